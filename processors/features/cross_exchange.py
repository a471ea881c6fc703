"""Cross-exchange features: how the markets of one symbol stand to each other.

A market is fresh when its mid price is known, its top was confirmed lately, and `quality` does not
exclude it. A comparison of fewer than two markets, or with a primary that is not fresh, is null.
"""

from functools import partial
from math import inf, isfinite, isnan, nan, sqrt
from typing import Any

import numba

from processors.features.catalogue import Feature
from processors.features.market import (
    ASK_PRICES,
    ASK_QUANTITIES,
    BEST_ASK,
    BEST_BID,
    BID_PRICES,
    BID_QUANTITIES,
    CLOSED,
    EXCLUDED,
    F_NOTIONAL,
    FUNDED,
    FUNDING_HOURS,
    FUNDING_RATE,
    HAS_LEVELS,
    KNOWN,
    LEVELS,
    S_MID,
    TOP_TIME,
    mid_price,
    second,
    sum_fives,
)
from processors.instruments import LINEAR, SPOT
from processors.median_kernel import median

BINANCE, BYBIT, OKX = range(3)
# Places in the output; before them are the gaps of the three exchanges.
_VOLUME_SHARES = 3
(
    _LIQUIDITY_SHARE, _LEAD_1, _LEAD_5, _BASIS, _BASIS_CHANGE, _FUNDING_DIFFERENCE, _EDGE,
    _DISPERSION, _PRESSURE_DIFFERENCE, _REFERENCE_DEVIATION,
) = range(6, 16)  # fmt: skip
_BPS = 1e4
_FUNDING_HOURS = 8.0
_PRESSURE_LEVELS = 5
# The second that ended a minute before the last pulse, or the oldest that the ring has.
_MINUTE = CLOSED + 1

_MAKAROV = "Makarov, Schoar (2020), Trading and arbitrage in cryptocurrency markets"
_FRAGMENTED = "O'Hara, Ye (2011), Is market fragmentation harming market quality?"
_LEAD = "Huth, Abergel (2014), High frequency lead/lag relationships"
_PERPETUAL = "He, Manela, Ross, von Wachter (2022), Fundamentals of perpetual futures"

_feature = partial(Feature, group="cross-exchange", interval="decision")
_top = partial(_feature, inputs=("top",), warm_up=0, unit="bps")
_book = partial(
    _feature,
    inputs=("top", "book"),
    warm_up=0,
    unit="ratio",
    missing="null unless the primary and another are fresh and have a book",
)


def _gap(a: str, b: str) -> Feature:
    return _top(
        name=f"price_gap_{a}_{b}_bps",
        formula=f"(mid {a} - mid {b}) / their mean, spot markets",
        source=_MAKAROV,
        low=-2e4,
        high=2e4,
        missing="null unless both are fresh",
    )


def _volume_share(exchange: str) -> Feature:
    return _feature(
        name=f"volume_share_{exchange}",
        formula=f"notional traded on {exchange} over that of all markets, 300 s",
        source=_FRAGMENTED,
        unit="ratio",
        low=0.0,
        high=1.0,
        inputs=("trades",),
        warm_up=300,
        missing="null without a trade in the window, or a market of the exchange",
    )


def _lead_return(seconds: int) -> Feature:
    return _top(
        name=f"lead_return_{seconds}s_bps",
        formula=f"mean return of the other markets' mids less the primary's, {seconds} s",
        source=_LEAD,
        warm_up=seconds + 1,
        missing="null unless the primary and another are fresh",
    )


FEATURES = (
    _gap("binance", "bybit"),
    _gap("binance", "okx"),
    _gap("bybit", "okx"),
    _volume_share("binance"),
    _volume_share("bybit"),
    _volume_share("okx"),
    _book(
        name="liquidity_share",
        formula="primary's notional of 10 levels of both sides over that of all fresh markets",
        source=_FRAGMENTED,
        low=0.0,
        high=1.0,
    ),
    _lead_return(1),
    _lead_return(5),
    _top(
        name="perp_spot_basis_bps",
        formula="median mid of linear perpetuals / median mid of spot markets - 1",
        source=_PERPETUAL,
        low=-1e4,
        missing="null unless a perpetual and a spot market are fresh",
    ),
    _top(
        name="basis_change_60s_bps",
        formula="perp_spot_basis_bps less that of a minute ago, of markets known at both times",
        source=_PERPETUAL,
        warm_up=_MINUTE,
        missing="null unless a perpetual and a spot market are fresh and were known",
    ),
    _feature(
        name="funding_difference_bps",
        formula="largest less smallest funding rate for 8 h",
        source=f"{_PERPETUAL}; an interval that the exchange does not name counts as 8 h",
        unit="bps",
        low=0.0,
        inputs=("funding",),
        warm_up=0,
        missing="null unless two perpetuals have told a rate",
    ),
    _top(
        name="arbitrage_edge_bps",
        formula=(
            "largest (bid b · (1 - fee b) - ask a · (1 + fee a)) / mean of both mids, "
            "over pairs of one kind"
        ),
        source=_MAKAROV,
        missing="null unless two of one kind are fresh",
    ),
    _top(
        name="price_dispersion_bps",
        formula="standard deviation of the mids / their mean, markets of the primary's kind",
        source=_MAKAROV,
        low=0.0,
        missing="null unless two of the kind are fresh",
    ),
    _book(
        name="book_pressure_difference",
        formula=(
            "primary's (bids - asks) / (bids + asks) less the mean of the other markets', "
            "quantities of 5 levels"
        ),
        source=(
            "Cartea, Donnelly, Jaimungal (2018), "
            "Enhancing trading strategies with order book signals"
        ),
        low=-2.0,
        high=2.0,
    ),
    _top(
        name="reference_deviation_bps",
        formula="primary's mid / median mid of the markets of its kind - 1",
        source="Binance, price index of futures: deviation from the median of all sources",
        low=-1e4,
        missing="null unless the primary and another of its kind are fresh",
    ),
)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_fresh(floats: Any, integers: Any, now: int, stale_after: int) -> Any:
    return (
        integers[EXCLUDED] == 0
        and now - integers[TOP_TIME] <= stale_after
        and 0.0 < mid_price(floats) < inf
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spot_mid(
    exchange: int, floats: Any, integers: Any, members: Any, exchanges: Any, kinds: Any,
    now: int, stale_after: int,
) -> Any:  # fmt: skip
    """Mid price of an exchange's spot market, NaN when it is not fresh."""
    for i in members:
        if (
            exchanges[i] == exchange
            and kinds[i] == SPOT
            and _is_fresh(floats[i], integers[i], now, stale_after)
        ):
            return mid_price(floats[i])
    return nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _volume_shares(floats: Any, integers: Any, members: Any, exchanges: Any, out: Any) -> None:
    """Each exchange's share in the notional of five minutes.

    A market that only later events are of is not known, and its exchange has no share.
    """
    for i in members:
        if integers[i, KNOWN] == 1 and exchanges[i] >= 0:
            out[exchanges[i]] = 0.0
    total = 0.0
    for i in members:
        if integers[i, KNOWN] == 0:
            continue
        notional = sum_fives(floats[i], integers[i], F_NOTIONAL, CLOSED)
        total += notional
        if exchanges[i] >= 0:
            out[exchanges[i]] += notional
    # Without a trade that is 0 / 0, which is NaN.
    for exchange in range(3):
        out[exchange] /= total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _depth(floats: Any, integers: Any) -> Any:
    """Notional of all levels of both sides, quote; 0 without a book."""
    if integers[HAS_LEVELS] == 0:
        return 0.0
    total = 0.0
    for level in range(LEVELS):
        total += floats[BID_PRICES + level] * floats[BID_QUANTITIES + level]
        total += floats[ASK_PRICES + level] * floats[ASK_QUANTITIES + level]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _imbalance(floats: Any, integers: Any) -> Any:
    """(bids - asks) / (bids + asks) of five levels' quantities, NaN without a book."""
    if integers[HAS_LEVELS] == 0:
        return nan
    bids = asks = 0.0
    for level in range(_PRESSURE_LEVELS):
        bids += floats[BID_QUANTITIES + level]
        asks += floats[ASK_QUANTITIES + level]
    return (bids - asks) / (bids + asks) if bids + asks > 0.0 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _return(floats: Any, integers: Any, seconds: int) -> Any:
    """Return of the mid price over the last closed seconds, NaN when it is not known."""
    last = floats[second(integers, 1) + S_MID]
    before = floats[second(integers, 1 + seconds) + S_MID]
    return last / before - 1.0 if last > 0.0 and before > 0.0 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _against_others(
    floats: Any, integers: Any, members: Any, primary: int, now: int, stale_after: int, out: Any
) -> None:
    """Compare a primary that is fresh with the other fresh markets: depth, returns, pressure."""
    own_depth = _depth(floats[primary], integers[primary])
    depth = lead_1 = lead_5 = pressure = 0.0
    leads_1 = leads_5 = pressures = 0
    for i in members:
        if i == primary or not _is_fresh(floats[i], integers[i], now, stale_after):
            continue
        depth += _depth(floats[i], integers[i])
        change = _return(floats[i], integers[i], 1)
        if not isnan(change):
            lead_1 += change
            leads_1 += 1
        change = _return(floats[i], integers[i], 5)
        if not isnan(change):
            lead_5 += change
            leads_5 += 1
        imbalance = _imbalance(floats[i], integers[i])
        if not isnan(imbalance):
            pressure += imbalance
            pressures += 1
    if own_depth > 0.0 and depth > 0.0:
        out[_LIQUIDITY_SHARE] = own_depth / (own_depth + depth)
    # A mean of none is 0 / 0, which is NaN.
    own_1 = _return(floats[primary], integers[primary], 1)
    own_5 = _return(floats[primary], integers[primary], 5)
    out[_LEAD_1] = (lead_1 / leads_1 - own_1) * _BPS
    out[_LEAD_5] = (lead_5 / leads_5 - own_5) * _BPS
    own_imbalance = _imbalance(floats[primary], integers[primary])
    out[_PRESSURE_DIFFERENCE] = own_imbalance - pressure / pressures


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mid_ago(floats: Any, integers: Any, ago: int) -> Any:
    """The mid price at the end of the second so many ago, 0: now."""
    return floats[second(integers, ago) + S_MID] if ago > 0 else mid_price(floats)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mids(
    kind: int, ago: int, known: int, floats: Any, integers: Any, members: Any, kinds: Any,
    now: int, stale_after: int, scratch: Any,
) -> Any:  # fmt: skip
    """Put the mids, so many seconds ago, of a kind's fresh markets into `scratch`: their number.

    Only of markets whose mid of `known` seconds ago is known as well.
    """
    count = 0
    for i in members:
        if kinds[i] != kind or not _is_fresh(floats[i], integers[i], now, stale_after):
            continue
        mid = _mid_ago(floats[i], integers[i], ago)
        if mid > 0.0 and _mid_ago(floats[i], integers[i], known) > 0.0:
            scratch[count] = mid
            count += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _basis(
    ago: int, known: int, floats: Any, integers: Any, members: Any, kinds: Any,
    now: int, stale_after: int, scratch: Any,
) -> Any:  # fmt: skip
    """Basis of the perpetuals so many seconds ago, bps; `known` as in `_mids`."""
    of = (floats, integers, members, kinds, now, stale_after, scratch)
    count = _mids(LINEAR, ago, known, *of)
    if count == 0:
        return nan
    linear = median(scratch, count)
    count = _mids(SPOT, ago, known, *of)
    return (linear / median(scratch, count) - 1.0) * _BPS if count > 0 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _funding_difference(floats: Any, integers: Any, members: Any) -> Any:
    """Largest less smallest funding rate for eight hours, bps."""
    count = 0
    largest, smallest = -inf, inf
    for i in members:
        if integers[i, FUNDED] == 0 or not isfinite(floats[i, FUNDING_RATE]):
            continue
        hours = floats[i, FUNDING_HOURS]
        rate = floats[i, FUNDING_RATE] * (_FUNDING_HOURS / hours if hours > 0.0 else 1.0)
        largest, smallest = max(largest, rate), min(smallest, rate)
        count += 1
    return (largest - smallest) * _BPS if count > 1 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _arbitrage_edge(
    floats: Any, integers: Any, members: Any, kinds: Any, fees: Any, now: int, stale_after: int
) -> Any:
    """What is left, at best, of buying on one market and selling on another of its kind, bps."""
    best = -inf
    for a in members:
        if not _is_fresh(floats[a], integers[a], now, stale_after):
            continue
        ask = floats[a, BEST_ASK] * (1.0 + fees[a])
        for b in members:
            if a == b or kinds[a] != kinds[b]:
                continue
            if not _is_fresh(floats[b], integers[b], now, stale_after):
                continue
            bid = floats[b, BEST_BID] * (1.0 - fees[b])
            edge = (bid - ask) / ((mid_price(floats[a]) + mid_price(floats[b])) / 2.0)
            best = max(best, edge)
    return best * _BPS if best > -inf else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dispersion(mids: Any, count: int) -> Any:
    """Standard deviation of the first `count` numbers over their mean, bps."""
    total = squares = 0.0
    for k in range(count):
        total += mids[k]
    mean = total / count
    for k in range(count):
        squares += (mids[k] - mean) * (mids[k] - mean)
    return sqrt(squares / count) / mean * _BPS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decide(
    floats: Any, integers: Any, members: Any, exchanges: Any, kinds: Any, fees: Any,
    primary: int, now: int, stale_after: int, scratch: Any, out: Any,
) -> None:  # fmt: skip
    """Write the features of one symbol, NaN where there is none.

    `floats` and `integers` are all instruments' rows (market.py). `members` are the symbol's
    instruments in the order of their venues' names; `exchanges` (BINANCE, BYBIT, OKX, -1: other),
    `kinds` (instruments.py) and `fees` (a taker's, fractions) have an entry an instrument;
    `primary` is an instrument, -1: none. Times are microseconds. `scratch` has room for a number
    a member.
    """
    out[:] = nan
    at = 0
    for a in range(OKX):
        for b in range(a + 1, OKX + 1):
            mid_a = _spot_mid(a, floats, integers, members, exchanges, kinds, now, stale_after)
            mid_b = _spot_mid(b, floats, integers, members, exchanges, kinds, now, stale_after)
            out[at] = (mid_a - mid_b) / ((mid_a + mid_b) / 2.0) * _BPS
            at += 1
    _volume_shares(floats, integers, members, exchanges, out[_VOLUME_SHARES:_LIQUIDITY_SHARE])
    of = (floats, integers, members, kinds, now, stale_after, scratch)
    out[_BASIS] = _basis(0, 0, *of)
    out[_BASIS_CHANGE] = _basis(0, _MINUTE, *of) - _basis(_MINUTE, 0, *of)
    out[_FUNDING_DIFFERENCE] = _funding_difference(floats, integers, members)
    out[_EDGE] = _arbitrage_edge(floats, integers, members, kinds, fees, now, stale_after)
    if primary < 0:
        return
    count = _mids(kinds[primary], 0, 0, *of)
    if count > 1:
        out[_DISPERSION] = _dispersion(scratch, count)
    if not _is_fresh(floats[primary], integers[primary], now, stale_after):
        return
    _against_others(floats, integers, members, primary, now, stale_after, out)
    if count > 1:
        middle = median(scratch, count)
        out[_REFERENCE_DEVIATION] = (mid_price(floats[primary]) / middle - 1.0) * _BPS
