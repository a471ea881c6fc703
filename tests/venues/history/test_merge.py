"""Merging: streams of several files come as one, by receive time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from venues.history.merge import first_and_rest, merge, numbered
from venues.history.reads import Refused, Stream


def stream_of(number: int, times: list[int]) -> Stream:
    what = Refused(0, "", "", b"")
    return numbered(number, ((time, line, what) for line, time in enumerate(times)))


@given(st.lists(st.lists(st.integers(0, 50), max_size=30), min_size=1, max_size=4))
@settings(max_examples=60)
def test_merged_reads_are_by_time_then_file_and_keep_each_files_order(
    files: list[list[int]],
) -> None:
    merged = [
        (time, number, line)
        for time, number, line, _ in merge([stream_of(n, times) for n, times in enumerate(files)])
    ]
    assert merged == sorted(merged)
    assert len(merged) == sum(map(len, files))
    for number, times in enumerate(files):
        lines = [line for _, found, line in merged if found == number]
        assert lines == list(range(len(times)))


def test_time_that_goes_back_takes_the_newest_time_of_its_file() -> None:
    assert [time for time, *_ in stream_of(0, [5, 3, 9, 7])] == [5, 5, 9, 9]


def test_first_read_is_seen_without_losing_it() -> None:
    first, rest = first_and_rest(stream_of(0, [4, 6]))
    assert first is not None
    assert first[0] == 4
    assert [time for time, *_ in rest] == [4, 6]
    assert first_and_rest(stream_of(0, []))[0] is None
