"""Books rebuilt from diffs agree with the venues' own best bid and ask.

What agreement means, and the shares, are in docs/venues.md; `tests/venues/agreement.py` measures.
"""

import pytest

from tests.venues import agreement

EXACT = [run for run in agreement.RUNS if "bybit" not in run[0] and "spot_btcusdt" not in run[0]]
SPOT = next(run for run in agreement.RUNS if "spot_btcusdt" in run[0])
BYBIT = next(run for run in agreement.RUNS if "bybit" in run[0])


@pytest.mark.parametrize("run", EXACT, ids=lambda run: run[0])
def test_every_quote_agrees_with_the_rebuilt_book(run: tuple[str, ...]) -> None:
    measured = agreement.measure(run)
    assert measured
    for found in measured.values():
        assert found.agree == found.compared
        assert found.same == found.same_instant


def test_spot_quotes_agree_but_for_levels_that_came_and_went_between_two_diffs() -> None:
    ((_, found),) = agreement.measure(SPOT).items()
    assert found.same_instant > 1_000
    assert found.same == found.same_instant
    assert found.agree / found.compared > 0.9997


def test_bybit_tickers_agree_but_for_a_few_quantities() -> None:
    for found in agreement.measure(BYBIT).values():
        assert found.compared > 100
        assert found.agree / found.compared > 0.93


def test_okx_tickers_of_2022_repeat_what_the_book_was_before() -> None:
    compared, equal, longest = agreement.lagging()
    assert (compared, equal) == (23, 11)
    assert 0 < longest < 4_000


def test_a_book_that_is_wrong_would_not_agree() -> None:
    run = next(run for run in agreement.RUNS if "usdm_2021" in run[0])
    for found in agreement.measure(run, control=True).values():
        assert found.control < 0.3
