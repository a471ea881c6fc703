"""What the lexicon's rules do, one by one, and that scores hold everywhere."""

import doctest
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues.sentiment import lexicon, words
from venues.sentiment.lexicon import LexiconScorer

LEXICON = LexiconScorer()


def score(title: str, text: str | None = None) -> float:
    return LEXICON.score(title, text)


@pytest.mark.parametrize(
    "title",
    [
        "Bitcoin surges to new all-time high",
        "SEC wins approval of spot ETF: inflows hit record",
        "Judge: lawsuit dismissed against Ripple",
        "Short squeeze sends ether up 12%",
        "White hat returns stolen funds to bridge",
        "Bitcoin halving nears",
    ],
)
def test_good_news_is_good(title: str) -> None:
    assert score(title) > 0.05


@pytest.mark.parametrize(
    "title",
    [
        "Exchange hacked, $30M stolen",
        "DeFi project exits in rug pull",
        "Token crashes 40% after exploit",
        "SEC sues exchange over unregistered securities",
        "Stablecoin loses its peg",
        "Altcoins sell off as miners capitulate",
        "Exchange halts withdrawals",
    ],
)
def test_bad_news_is_bad(title: str) -> None:
    assert score(title) < -0.05


@pytest.mark.parametrize(
    "title", ["", "…", "Bitcoin conference opens in Lisbon", "Weekly report", "42", "?!"]
)
def test_what_says_nothing_is_zero(title: str) -> None:
    assert score(title) == 0.0


def test_longest_phrase_counts_and_not_its_words() -> None:
    assert score("Miners hit by short squeeze") > 0  # "short", "squeeze" and "hit by" alone are not
    assert score("What is the Fear & Greed index at") == 0.0
    assert score("Proof-of-work token") == 0.0


def test_direction_is_good_or_bad_by_what_it_is_said_of() -> None:
    assert score("Bitcoin price soars") > 0 > score("Liquidations soar")
    assert score("Inflation falls") > 0 > score("Inflation rises")
    assert score("Outflows slow") > 0 > score("Ether slows")
    assert score("Ruble sinks") == 0.0


def test_burden_of_which_nothing_is_said_is_bad_where_its_name_is() -> None:
    assert score("Outflows from funds") < 0
    assert score("Inflation report today") == 0.0


def test_undoing_turns_around_what_is_undone() -> None:
    assert score("Appeals court lifts ban on trading") > 0
    assert score("SEC rejects approval of fund") < 0
    assert score("Ether erases losses") > 0 > score("Ether erases gains")
    assert score("Regulator rejects the filing") < 0  # of nothing in particular


def test_negation_turns_around_but_less() -> None:
    assert score("Fund is profitable") > -score("Fund is not profitable") > 0
    assert score("Exchange was not hacked") > 0
    # Too far away to be meant.
    assert score("No word from the exchange that was hacked") < 0


def test_strength_changes_the_size_and_not_the_sign() -> None:
    assert score("Massive gains") > score("Gains") > score("Modest gains") > 0


def test_large_percentage_makes_a_move_larger() -> None:
    assert score("Ether jumps 25%") > score("Ether jumps 2%") > 0


def test_doubt_and_questions_weaken() -> None:
    assert score("Ether rallies") > score("Ether could rally") > 0
    assert score("Ether rallies") > score("Ether rallies?") > 0
    assert abs(score("Hack, lawsuits + More News")) < 0.2


def test_what_stands_before_but_counts_less() -> None:
    assert score("Losses but recovery") > 0 > score("Recovery but losses")
    assert score("Token crashed, but recovery is strong") > score(
        "Token crashed, recovery is strong"
    )


def test_what_stands_after_despite_counts_less() -> None:
    assert score("Ether rallies despite hack") > 0


def test_clauses_do_not_reach_into_each_other() -> None:
    assert score("Liquidations, ether soars") != score("Liquidations ether soars")


def test_text_counts_for_less_than_the_title() -> None:
    title, text = "Ether rallies", "It was hacked. Funds were stolen. Users were defrauded."
    assert score(title) > score(title, text) > score("Ether", text)
    assert score("Ether rallies", "") == score("Ether rallies")


def test_markup_dashes_and_apostrophes_do_not_hide_words() -> None:
    plain = score("Bitcoin's all time high is up 20%")
    assert score("Bitcoin’s all-time high is up <span class='green'>20%</span>") == plain
    assert score("ALL–TIME HIGH") == score("all time high") > 0
    assert score("Token isn’t hacked") == score("Token isn't hacked") > 0


TITLES = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["bitcoin", "not", "hacked", "soars", "liquidations", "despite", "but", "?", ",", "lifts",
         "ban", "massive", "may", "25%", "gains", "-", "'s", "<b>"]
    ),
    max_size=20,
).map(" ".join)  # fmt: skip


@settings(max_examples=150)
@given(TITLES, st.none() | st.text(max_size=100))
def test_any_words_give_the_same_score_within_bounds(title: str, text: str | None) -> None:
    found = LexiconScorer().score(title, text)
    assert -1.0 <= found <= 1.0
    assert found == LEXICON.score(title, text)
    assert str(found) != "-0.0"


def test_scores_are_the_same_in_another_process() -> None:
    titles = ["Massive hack: ether sinks 30%, but lifts off", "Fund's inflows soar?", "nothing"]
    program = (
        "from venues.sentiment import scorer; import json, sys;"
        "print(json.dumps([scorer().score(t, t) for t in json.loads(sys.argv[1])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(titles)],
        check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.strip() == str([score(title, title) for title in titles])


@pytest.mark.parametrize("module", [lexicon, words])
def test_examples_in_the_documentation_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module
    assert result.attempted > 0
    assert result.failed == 0
