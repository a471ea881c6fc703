"""The word list's form, and that ours has it."""

import pytest

from schemas.errors import ConfigError
from venues.sentiment.words import Entry, forms, parse, words


def test_phrases_are_matched_longest_first_with_their_regular_forms() -> None:
    known = parse("good 0.5\n  ~rally, short squeeze\nbad 0.4\n  short")
    assert known.match(["rallied"], 0) == (1, Entry("good", 0.5))
    assert known.match(["short", "squeeze"], 0) == (2, Entry("good", 0.5))
    assert known.match(["short", "sellers"], 0) == (1, Entry("bad", -0.4))
    assert known.match(["nothing"], 0) == (1, None)


def test_hyphens_part_words_and_inflection_is_of_the_first() -> None:
    known = parse("good 0.5\n  ~break-out")
    assert known.match(["breaks", "out"], 0)[1] == Entry("good", 0.5)


def test_what_is_written_out_wins_over_a_regular_form() -> None:
    known = parse("bad 0.7\n  ~slide\ngood 0.2\n  slides")
    assert known.match(["slides"], 0)[1] == Entry("good", 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 0.5\n  hack\nbad 0.5\n  ~hack", "'hack' is there twice"),
        ("  hack", "line 1: words before the first section"),
        ("awful 0.5\n  hack", "line 1: 'awful 0.5' is no section"),
        ("good much\n  hack", "line 1: 'good much' is no section"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_our_list_is_well_formed_and_has_the_words_of_the_trade() -> None:
    known = words()
    expected = {
        "hack": "bad", "exploit": "bad", "rug pull": "bad", "depeg": "bad", "listing": "good",
        "etf approval": "good", "halving": "good", "short squeeze": "good", "sell off": "bad",
        "all time high": "good", "lawsuit dismissed": "good", "inflation": "burden",
        "soars": "rise", "plunged": "fall", "dismissed": "undo", "not": "not", "despite": "despite",
    }  # fmt: skip
    for phrase, kind in expected.items():
        tokens = phrase.split()
        length, entry = known.match(tokens, 0)
        assert (length, entry and entry.kind) == (len(tokens), kind), phrase
    for phrases in known.by_first.values():
        assert all(-1.0 <= entry.weight <= 1.5 for _, entry in phrases)


def test_regular_forms() -> None:
    assert {"crash", "crashes", "crashed", "crashing"} <= forms("crash")
    assert {"surge", "surges", "surged", "surging"} == forms("surge")
    assert {"delays", "delayed"} <= forms("delay")
