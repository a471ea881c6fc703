"""The first quote of an interval is stored, however the tape is cut into batches."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.sampling import JUMP_BACK_US, Sampler, Series
from tests.sinks.batches import Json, batch

INTERVAL_US = 1_000_000
QUOTES = st.lists(
    st.tuples(
        st.sampled_from(["binance-spot", "okx-spot"]),
        st.sampled_from(["BTC-USDT", "BTC-USDC", "ÉTH-USDT"]),
        st.integers(-3_000_000, 8_000_000) | st.integers(0, 10 * JUMP_BACK_US),
    ),
    max_size=30,
)


def quote(venue: str, symbol: str, time: int) -> Json:
    zeros = dict.fromkeys(("bid_price", "bid_quantity", "ask_price", "ask_quantity"), 0.0)
    times = {"event_time": time, "receive_time": time}
    return {"venue": venue, "symbol": symbol, "sequence": 0} | times | zeros


def kept(sampler: Sampler, quotes: list[tuple[str, str, int]]) -> list[bool]:
    made = batch("tape", 0, [("Quote", quote(*one)) for one in quotes])
    return sampler.keep(made, "Quote", made.row).tolist() if quotes else []


def by_the_rule(quotes: list[tuple[str, str, int]]) -> list[bool]:
    last: dict[Series, int] = {}
    result = []
    for venue, symbol, time in quotes:
        before = last.get((venue, symbol))
        keep = (
            before is None
            or time // INTERVAL_US > before // INTERVAL_US
            or time < before - JUMP_BACK_US
        )
        if keep:
            last[venue, symbol] = time
        result.append(keep)
    return result


@settings(max_examples=60, deadline=None)
@given(QUOTES)
def test_first_quote_of_each_interval_is_kept_per_venue_and_symbol(
    quotes: list[tuple[str, str, int]],
) -> None:
    assert kept(Sampler(INTERVAL_US), quotes) == by_the_rule(quotes)


@settings(max_examples=60, deadline=None)
@given(QUOTES, st.integers(0, 30))
def test_sampling_does_not_depend_on_batches_or_restarts(
    quotes: list[tuple[str, str, int]], at: int
) -> None:
    first = Sampler(INTERVAL_US)
    one = kept(first, quotes[:at])
    restarted = Sampler(INTERVAL_US, dict(first.last))
    assert one + kept(restarted, quotes[at:]) == kept(Sampler(INTERVAL_US), quotes)


def test_interval_of_zero_keeps_every_quote() -> None:
    assert kept(Sampler(0), [("okx-spot", "BTC-USDT", 5)] * 3) == [True] * 3


def test_quote_from_the_far_future_does_not_end_the_sampling() -> None:
    quotes = [("okx-spot", "BTC-USDT", time * INTERVAL_US) for time in (1, 10**9, 2, 3)]
    assert kept(Sampler(INTERVAL_US), quotes) == [True] * 4


def test_changed_names_only_the_series_that_moved() -> None:
    sampler = Sampler(INTERVAL_US)
    kept(sampler, [("okx-spot", "BTC-USDT", 5), ("okx-spot", "ETH-USDT", 5)])
    sampler.changed.clear()
    kept(sampler, [("okx-spot", "BTC-USDT", 6), ("okx-spot", "ETH-USDT", 2 * INTERVAL_US)])
    assert sampler.changed == {("okx-spot", "ETH-USDT")}
