"""The checker finds each planted loss, duplicate, swap and altered byte, and nothing else."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.torture import checker
from tests.torture.checker import Judgement, Record
from tests.torture.reading import Quotes, flat

IDS = [(offset, seq) for offset in range(0, 60, 3) for seq in range(2)]


def id_of(value: bytes) -> tuple[int, int]:
    """Of the made-up events here: `offset.seq payload`."""
    offset, _, seq = value.split(b" ")[0].partition(b".")
    return int(offset), int(seq)


def records() -> list[Record]:
    pick = random.Random(1)
    return [
        (b"BTC-USDT", b"%d.%d %s" % (*identity, pick.randbytes(8)), 1_000 + identity[0])
        for identity in IDS
    ]


def judged(found: list[Record]) -> Judgement:
    result = Judgement()
    checker.derived(result, "bars[0]", records(), found, id_of)
    return result


def kinds(result: Judgement) -> set[str]:
    return {finding.kind for finding in result.findings}


def test_what_is_as_it_should_be_is_not_found_fault_with() -> None:
    result = judged(records())
    assert not result.findings
    assert not result.repeats
    assert result.compared["bars"] == len(IDS)


@pytest.mark.parametrize("place", [0, 17, len(IDS) - 1])
def test_each_lost_event_is_found(place: int) -> None:
    found = records()
    lost = found.pop(place)
    (finding,) = judged(found).findings
    assert (finding.kind, finding.what) == ("missing", str(id_of(lost[1])))


@pytest.mark.parametrize("place", [0, 17, len(IDS) - 1])
@pytest.mark.parametrize("behind", [0, 1, 9])
def test_each_repeat_is_counted_and_with_other_bytes_found(place: int, behind: int) -> None:
    found = records()
    found.insert(min(place + 1 + behind, len(found)), found[place])
    result = judged(found)
    assert result.repeats == 1
    assert not result.findings
    key, value, time = found[place]
    found = records()
    found.insert(min(place + 1 + behind, len(found)), (key, value + b"!", time))
    assert kinds(judged(found)) == {"altered"}


@pytest.mark.parametrize(("a", "b"), [(0, 1), (4, 5), (3, 30)])
def test_each_swap_is_found(a: int, b: int) -> None:
    found = records()
    found[a], found[b] = found[b], found[a]
    assert kinds(judged(found)) == {"order"}


@pytest.mark.parametrize(
    "alter",
    [
        lambda key, value, time: (key, value[:-1] + bytes([value[-1] ^ 1]), time),
        lambda key, value, time: (b"ETH-USDT", value, time),
        lambda key, value, time: (key, value, time + 1),
        lambda key, value, time: (key, value + b"\0", time),
    ],
    ids=["a bit", "the key", "the time", "longer"],
)
@pytest.mark.parametrize("place", [0, 17, len(IDS) - 1])
def test_each_altered_byte_is_found(alter: Callable[..., Record], place: int) -> None:
    found = records()
    found[place] = alter(*found[place])
    assert kinds(judged(found)) == {"altered"}


def test_each_bit_of_an_event_matters() -> None:
    for bit in range(8 * len(records()[5][1])):
        found = records()
        key, value, time = found[5]
        altered = bytearray(value)
        altered[bit // 8] ^= 1 << bit % 8
        found[5] = (key, bytes(altered), time)
        assert judged(found).findings, bit


def test_an_event_that_nobody_derives_is_found() -> None:
    assert kinds(judged([*records(), (b"BTC-USDT", b"99.0 more", 1)])) == {"additional"}
    assert kinds(judged([*records(), (b"BTC-USDT", b"no id", 1)])) == {"altered"}


PUBLISHED = {("okx-swap", "BTC-USDT"): [str(number) for number in range(100)]}


def accounted(*found: str, window: int = 10) -> set[str]:
    result = Judgement()
    checker.trades(result, PUBLISHED, {("okx-swap", "BTC-USDT"): found}, window)
    return kinds(result)


def test_trades_are_accounted_for_from_the_first_that_was_collected() -> None:
    names = [str(number) for number in range(100)]
    assert accounted(*names) == set()
    assert accounted(*names[40:]) == set()
    # Sent again after a crash, and fetched after a loss: later, and dropped by the first stage.
    assert accounted(*names[:50], *names[45:]) == set()
    assert accounted(*names[:20], *names[30:], *names[20:30]) == set()


@pytest.mark.parametrize("place", [1, 50, 99])
def test_each_lost_trade_is_found(place: int) -> None:
    names = [str(number) for number in range(100)]
    del names[place]
    assert accounted(*names) == {"missing"}


def test_a_trade_that_comes_again_too_late_or_was_never_published_is_found() -> None:
    names = [str(number) for number in range(100)]
    assert accounted(*names, names[80]) == {"doubled"}
    assert accounted(*names, "100") == {"unknown"}
    assert accounted() == {"missing"}


def test_a_trade_that_took_effect_twice_is_found() -> None:
    btc, result = ("okx-swap", "BTC-USDT"), Judgement()
    checker.effect(result, {btc: 100}, {btc: 100})
    checker.effect(result, {btc: 100}, {btc: 97})
    assert not result.findings
    checker.effect(result, {btc: 100}, {btc: 101})
    assert kinds(result) == {"doubled"}


PLANTED = {(0, 7): b"\0junk", (3, 9): b"more"}
LETTERS = [
    (source, *place, data) for place, data in PLANTED.items() for source in ("worker", "sink")
]


def test_letters_are_announced_once_by_each_with_their_bytes() -> None:
    def found(letters: list[Any]) -> set[str]:
        result = Judgement()
        checker.letters(result, PLANTED, letters)
        return kinds(result)

    assert found(LETTERS) == set()
    for place in range(len(LETTERS)):
        assert found(LETTERS[:place] + LETTERS[place + 1 :]) == {"letters"}
        assert found([*LETTERS, LETTERS[place]]) == {"letters"}
        altered = list(LETTERS)
        altered[place] = (*altered[place][:3], b"other")
        assert found(altered) == {"letters"}
    assert found([*LETTERS, ("worker", 1, 1, b"x")]) == {"letters"}


MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": number, "time": MOMENT, "price": number / 7, "gap": float("nan"), "sizes": [1.0, 2.0]}
    for number in range(20)
]


def compared(found: list[Any]) -> set[str]:
    result = Judgement()
    checker.table(result, "bars", {(row["id"],): row for row in ROWS}, found, ["id"])
    return kinds(result)


def test_each_row_is_there_once_with_every_column() -> None:
    assert compared(list(ROWS)) == set()
    for place in range(len(ROWS)):
        assert compared(ROWS[:place] + ROWS[place + 1 :]) == {"missing"}
        assert compared([*ROWS, ROWS[place]]) == {"doubled"}
        for column, value in (
            ("price", -1.0), ("gap", 0.0), ("sizes", [1.0]), ("sizes", [2.0, 1.0]),
            ("time", MOMENT.replace(microsecond=1)), ("price", None),
        ):  # fmt: skip
            altered = list(ROWS)
            altered[place] = ROWS[place] | {column: value}
            assert compared(altered) == {"altered"}, column
    assert compared([*ROWS, {"id": 99}]) == {"additional"}
    swapped = [
        row | {"price": ROWS[1 - row["id"]]["price"]} if row["id"] < 2 else row for row in ROWS
    ]
    assert compared(swapped) == {"altered"}


def test_an_event_becomes_columns() -> None:
    event = {"a": {"b": 1}, "bids": [{"price": 1.0, "size": 2.0}], "names": ["x"], "none": []}
    assert flat(event) == {
        "a_b": 1, "bids_price": [1.0], "bids_size": [2.0], "names": ["x"], "none": [],
    }  # fmt: skip


def test_the_first_quote_of_an_interval_is_stored() -> None:
    rule = Quotes(1_000_000)

    def stored(second: float, symbol: str = "BTC-USDT") -> bool:
        time = datetime.fromtimestamp(1_700_000_000 + second, UTC)
        return rule.is_stored({"venue": "okx-swap", "symbol": symbol, "event_time": time})

    assert [stored(s) for s in (0.5, 0.9, 1.0, 0.9, 1.9, 2.0)] == [1, 0, 1, 0, 0, 1]
    assert stored(0.5, "ETH-USDT")
    # Time jumped: it counts from there.
    assert [stored(s) for s in (500, 30, 30.5, 31)] == [1, 1, 0, 1]
