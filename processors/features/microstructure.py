"""Microstructure: one instrument's top, levels, order flow and trades at a decision."""

from functools import partial
from math import nan, pi, sqrt
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
    F_BUY,
    F_COUNT,
    F_MID,
    F_NOTIONAL,
    F_PAIRS,
    F_SELL,
    F_X,
    F_XY,
    F_Y,
    FIVE,
    HAS_LEVELS,
    LAST_PRICE,
    LEVELS,
    S_BUY,
    S_COUNT,
    S_EFFECTIVE,
    S_MID,
    S_OFI,
    S_OFI_MULTI,
    S_SELL,
    S_SIGNED,
    S_WEIGHT,
    SECOND,
    VPIN_BUCKETS,
    VPIN_COUNT,
    VPIN_IMBALANCES,
    VPIN_SIZES,
    five,
    mid_price,
    second,
    sum_fives,
    sum_seconds,
)

_feature = partial(Feature, group="microstructure", interval="decision")
_book = partial(_feature, inputs=("book",), missing="null without a live book of two sides")
_flow = partial(_book, unit="ratio")
_trades = partial(_feature, inputs=("trades",))
_both = partial(_feature, inputs=("top", "trades"))
_NO_VOLUME = "null when nothing was bought or sold in the window"
_NO_RETURN = "returns without both mid prices are left out, null when none is left"
_returns = partial(_feature, inputs=("top",), missing=_NO_RETURN, warm_up=300)

FEATURES = (
    _feature(
        name="spread_bps",
        formula="(ask - bid) / mid · 10,000; negative while the top is crossed",
        source="Foucault, Pagano, Roell (2013), Market Liquidity, 2.2.1: quoted spread",
        unit="bps",
        inputs=("top",),
        warm_up=0,
        missing="null without both best prices",
    ),
    _book(
        name="microprice_deviation_bps",
        formula="((bid · ask_quantity + ask · bid_quantity) / (both quantities) - mid) / mid"
        " · 10,000, of the book's best level",
        source="Gatheral, Oomen (2010), Zero-intelligence realized variance estimation: microprice",
        unit="bps",
        warm_up=0,
    ),
    *(
        _book(
            name=f"book_imbalance_{levels}",
            formula=f"(bids - asks) / (bids + asks), quantities of {levels} levels a side",
            source="Cartea, Donnelly, Jaimungal (2018), Enhancing trading strategies with order"
            " book signals: volume imbalance",
            unit="ratio",
            low=-1.0,
            high=1.0,
            warm_up=0,
        )
        for levels in (1, 5, 10)
    ),
    *(
        _book(
            name=f"{side}_depth_slope",
            formula="least squares through the origin: share of the cumulative quantity in that of"
            " 10 levels, per cent, on the distance from the mid, bps",
            source="Naes, Skjeltorp (2006), Order book characteristics and the volume-volatility"
            " relation: slope, here of shares",
            unit="percent per bps",
            warm_up=0,
        )
        for side in ("bid", "ask")
    ),
    _book(
        name="book_depth_notional",
        formula="sum of price · quantity, 10 levels of both sides",
        source="Foucault, Pagano, Roell (2013), Market Liquidity, 2.3: depth",
        unit="quote",
        low=0.0,
        warm_up=0,
    ),
    _flow(
        name="ofi_1_10s",
        formula="order-flow imbalance of the best level, 10 s, over the mean best quantity now",
        source="Cont, Kukanov, Stoikov (2014), The price impact of order book events, eq. 10",
        warm_up=10,
    ),
    _flow(
        name="ofi_1_60s",
        formula="order-flow imbalance of the best level, 60 s, over the mean best quantity now",
        source="Cont, Kukanov, Stoikov (2014), The price impact of order book events, eq. 10",
        warm_up=60,
    ),
    _flow(
        name="ofi_multi_10s",
        formula="sum of the order-flow imbalance of 10 levels, 10 s, over the mean best quantity"
        " now",
        source="Xu, Gould, Howison (2018), Multi-level order-flow imbalance in a limit order book,"
        " summed",
        warm_up=10,
    ),
    *(
        _trades(
            name=f"trade_imbalance_{seconds}s",
            formula=f"(bought - sold) / (bought + sold) by takers, {seconds} s, base units",
            source="Chordia, Roll, Subrahmanyam (2002), Order imbalance, liquidity, and market"
            " returns",
            unit="ratio",
            low=-1.0,
            high=1.0,
            warm_up=seconds,
            missing=_NO_VOLUME,
        )
        for seconds in (10, 60, 300)
    ),
    _trades(
        name="vpin",
        formula="sum of |bought - sold| over the sum of sizes of the last 50 volume buckets, each"
        " a tenth of five minutes' volume when it began",
        source="Easley, Lopez de Prado, O'Hara (2012), Flow toxicity and liquidity in a"
        " high-frequency world; takers' sides in place of bulk classification",
        unit="ratio",
        low=0.0,
        high=1.0,
        # Of the usual volume: 50 tenths of five minutes.
        warm_up=1800,
        missing="null until 50 buckets are full",
    ),
    _both(
        name="kyle_lambda_60s",
        formula="least squares slope, with intercept: mid returns of 1 s, bps, on bought less sold"
        " notional of the second, million quote",
        source="Kyle (1985), Continuous auctions and insider trading; Hasbrouck (2009), Trading"
        " costs and returns for U.S. equities",
        unit="bps per million quote",
        warm_up=60,
        missing="returns without both mid prices are left out, null when the flow does not vary",
    ),
    _both(
        name="amihud_300s",
        formula="mean of |mid return of 5 s| / notional of those 5 s, where there were trades",
        source="Amihud (2002), Illiquidity and stock returns",
        unit="bps per million quote",
        low=0.0,
        warm_up=300,
        missing=_NO_RETURN,
    ),
    _trades(
        name="roll_spread_bps_300s",
        formula="2 · sqrt(-cov) of successive returns from trade to trade, 0 when cov >= 0",
        source="Roll (1984), A simple implicit measure of the effective bid-ask spread",
        unit="bps",
        low=0.0,
        warm_up=300,
        missing="null when no pair of returns ends in the window",
    ),
    _both(
        name="effective_spread_bps_60s",
        formula="mean by quantity of 2 · sign · (price - mid) / mid, mid at the trade",
        source="Huang, Stoll (1996), Dealer versus auction markets: effective spread",
        unit="bps",
        warm_up=60,
        missing="trades without a side or a mid price are left out, null when none is left",
    ),
    _both(
        name="realised_spread_bps_60s",
        formula="mean by quantity of 2 · sign · (price - mid) / mid, mid 5 s after the end of the"
        " trade's second, trades of the seconds that have one",
        source="Huang, Stoll (1996), Dealer versus auction markets: realized spread",
        unit="bps",
        warm_up=60,
        missing="trades without a later mid price are left out, null when none is left",
    ),
    _trades(
        name="trade_intensity_60s",
        formula="trades of 60 s / 60 s",
        source="Engle, Russell (1998), Autoregressive conditional duration: mean intensity",
        unit="1/s",
        low=0.0,
        warm_up=60,
        missing="null before the first trade",
    ),
    _trades(
        name="intensity_ratio",
        formula="trades a second of 60 s / those of the last five minutes",
        source="Engle, Russell (1998), Autoregressive conditional duration: mean intensity",
        unit="ratio",
        low=0.0,
        warm_up=300,
        missing="null without trades in five minutes",
    ),
    _returns(
        name="realised_variance_300s",
        formula="sum of r², r = mid returns of 5 s",
        source="Andersen, Bollerslev (1998), Answering the skeptics",
        unit="bps²",
        low=0.0,
    ),
    _returns(
        name="bipower_variation_300s",
        formula="π / 2 · sum of |r| · |r'|, successive mid returns of 5 s",
        source="Barndorff-Nielsen, Shephard (2004), Power and bipower variation with stochastic"
        " volatility and jumps",
        unit="bps²",
        low=0.0,
    ),
    _returns(
        name="jump_share_300s",
        formula="max(0, 1 - bipower_variation_300s / realised_variance_300s)",
        source="Huang, Tauchen (2005), The relative contribution of jumps to total price variance",
        unit="ratio",
        low=0.0,
        high=1.0,
    ),
)
(
    _SPREAD, _MICROPRICE, _IMBALANCE_1, _IMBALANCE_5, _IMBALANCE_10, _BID_SLOPE, _ASK_SLOPE,
    _DEPTH, _OFI_1_10S, _OFI_1_60S, _OFI_MULTI_10S, _TRADES_10S, _TRADES_60S, _TRADES_300S, _VPIN,
    _KYLE, _AMIHUD, _ROLL, _EFFECTIVE, _REALISED, _INTENSITY, _INTENSITY_RATIO, _VARIANCE,
    _BIPOWER, _JUMPS,
) = range(25)  # fmt: skip
_BPS = 10_000.0
_MILLION = 1e6
_HALF_PI = pi / 2.0
# Seconds from the end of a trade's second to the mid price of its realised spread.
_LATER = 5


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _over(part: float, whole: float) -> Any:
    return part / whole if whole > 0.0 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slope(floats: Any, prices: int, quantities: int, mid: float, sign: float) -> Any:
    """Per cent of a side's quantity that a basis point further from the mid adds."""
    total = 0.0
    for level in range(LEVELS):
        total += floats[quantities + level]
    cumulative = squares = products = 0.0
    for level in range(LEVELS):
        price, quantity = floats[prices + level], floats[quantities + level]
        if price <= 0.0:
            break
        cumulative += quantity
        distance = sign * (mid - price) / mid * _BPS
        squares += distance * distance
        products += distance * (100.0 * cumulative / total)
    return _over(products, squares)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _decide_book(floats: Any, integers: Any, out: Any) -> None:
    bid, ask = floats[BID_PRICES], floats[ASK_PRICES]
    if integers[HAS_LEVELS] == 0 or bid <= 0.0 or ask <= 0.0:
        out[_MICROPRICE : _OFI_MULTI_10S + 1] = nan
        return
    mid = (bid + ask) / 2.0
    bids = asks = notional = 0.0
    for level in range(LEVELS):
        bid_quantity, ask_quantity = floats[BID_QUANTITIES + level], floats[ASK_QUANTITIES + level]
        bids += bid_quantity
        asks += ask_quantity
        notional += floats[BID_PRICES + level] * bid_quantity
        notional += floats[ASK_PRICES + level] * ask_quantity
        if level == 0:
            imbalance = _over(bids - asks, bids + asks)
            out[_IMBALANCE_1] = imbalance
            # The microprice less the mid, multiplied out: it does not cancel.
            out[_MICROPRICE] = (ask - bid) / 2.0 * imbalance / mid * _BPS
        elif level == 4:
            out[_IMBALANCE_5] = _over(bids - asks, bids + asks)
    out[_IMBALANCE_10] = _over(bids - asks, bids + asks)
    out[_BID_SLOPE] = _slope(floats, BID_PRICES, BID_QUANTITIES, mid, 1.0)
    out[_ASK_SLOPE] = _slope(floats, ASK_PRICES, ASK_QUANTITIES, mid, -1.0)
    out[_DEPTH] = notional
    best = (floats[BID_QUANTITIES] + floats[ASK_QUANTITIES]) / 2.0
    out[_OFI_1_10S] = _over(sum_seconds(floats, integers, S_OFI, 10), best)
    out[_OFI_1_60S] = _over(sum_seconds(floats, integers, S_OFI, CLOSED), best)
    out[_OFI_MULTI_10S] = _over(sum_seconds(floats, integers, S_OFI_MULTI, 10), best)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _vpin(floats: Any, integers: Any) -> Any:
    if integers[VPIN_COUNT] < VPIN_BUCKETS:
        return nan
    imbalance = size = 0.0
    for at in range(VPIN_BUCKETS):
        imbalance += floats[VPIN_IMBALANCES + at]
        size += floats[VPIN_SIZES + at]
    return _over(imbalance, size)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _kyle(floats: Any, integers: Any) -> Any:
    """Covariance of return and flow over the variance of flow."""
    count = 0
    # Flow is counted from the first one, so that what does not vary has no variance at all.
    first = flows = returns = squares = products = 0.0
    for ago in range(CLOSED, 0, -1):
        at = second(integers, ago)
        before, mid = floats[second(integers, ago + 1) + S_MID], floats[at + S_MID]
        if before <= 0.0 or mid <= 0.0:
            continue
        if count == 0:
            first = floats[at + S_SIGNED]
        flow = floats[at + S_SIGNED] - first
        change = mid / before - 1.0
        count += 1
        flows += flow
        returns += change
        squares += flow * flow
        products += flow * change
    if count == 0:
        return nan
    covariance = products - flows * returns / count
    return _over(covariance, squares - flows * flows / count) * _BPS * _MILLION


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _roll(floats: Any, integers: Any) -> Any:
    pairs = sum_fives(floats, integers, F_PAIRS, CLOSED)
    if pairs == 0.0:
        return nan
    before = sum_fives(floats, integers, F_X, CLOSED)
    after = sum_fives(floats, integers, F_Y, CLOSED)
    covariance = sum_fives(floats, integers, F_XY, CLOSED) / pairs
    covariance -= before / pairs * (after / pairs)
    return 2.0 * sqrt(-covariance) * _BPS if covariance < 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _realised_spread(floats: Any, integers: Any) -> Any:
    total = weight = 0.0
    for ago in range(CLOSED, _LATER, -1):
        at = second(integers, ago)
        later = floats[second(integers, ago - _LATER) + S_MID]
        if later <= 0.0:
            continue
        bought, sold = floats[at + S_BUY], floats[at + S_SELL]
        total += 2.0 * (floats[at + S_SIGNED] - (bought - sold) * later) / later
        weight += bought + sold
    return _over(total, weight) * _BPS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _decide_trades(floats: Any, integers: Any, out: Any) -> None:
    bought = sum_seconds(floats, integers, S_BUY, 10)
    sold = sum_seconds(floats, integers, S_SELL, 10)
    out[_TRADES_10S] = _over(bought - sold, bought + sold)
    bought = sum_seconds(floats, integers, S_BUY, CLOSED)
    sold = sum_seconds(floats, integers, S_SELL, CLOSED)
    out[_TRADES_60S] = _over(bought - sold, bought + sold)
    bought = sum_fives(floats, integers, F_BUY, CLOSED)
    sold = sum_fives(floats, integers, F_SELL, CLOSED)
    out[_TRADES_300S] = _over(bought - sold, bought + sold)
    out[_VPIN] = _vpin(floats, integers)
    out[_KYLE] = _kyle(floats, integers)
    out[_ROLL] = _roll(floats, integers)
    out[_EFFECTIVE] = _BPS * _over(
        sum_seconds(floats, integers, S_EFFECTIVE, CLOSED),
        sum_seconds(floats, integers, S_WEIGHT, CLOSED),
    )
    out[_REALISED] = _realised_spread(floats, integers)
    a_second = sum_seconds(floats, integers, S_COUNT, CLOSED) / CLOSED
    out[_INTENSITY] = a_second if floats[LAST_PRICE] > 0.0 else nan
    # The buckets of five begin up to four seconds before the last five minutes.
    span = CLOSED * FIVE + integers[SECOND] % FIVE
    out[_INTENSITY_RATIO] = _over(a_second, sum_fives(floats, integers, F_COUNT, CLOSED) / span)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _decide_returns(floats: Any, integers: Any, out: Any) -> None:
    """What is counted from the mid returns of five seconds."""
    impact = variance = bipower = last = 0.0
    traded = returns = pairs = run = 0
    for ago in range(CLOSED, 0, -1):
        at = five(integers, ago)
        before, mid = floats[five(integers, ago + 1) + F_MID], floats[at + F_MID]
        if before <= 0.0 or mid <= 0.0:
            run = 0
            continue
        change = abs(mid / before - 1.0) * _BPS
        returns += 1
        variance += change * change
        if run > 0:
            pairs += 1
            bipower += last * change
        if floats[at + F_NOTIONAL] > 0.0:
            traded += 1
            impact += change / floats[at + F_NOTIONAL] * _MILLION
        last = change
        run += 1
    bipower *= _HALF_PI
    out[_AMIHUD] = _over(impact, traded)
    out[_VARIANCE] = variance if returns > 0 else nan
    out[_BIPOWER] = bipower if pairs > 0 else nan
    out[_JUMPS] = max(0.0, 1.0 - bipower / variance) if pairs > 0 and variance > 0.0 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decide(floats: Any, integers: Any, out: Any) -> None:
    """Write the 25 features of one instrument's market: its rows, as `market` keeps them."""
    mid = mid_price(floats)
    out[_SPREAD] = (floats[BEST_ASK] - floats[BEST_BID]) / mid * _BPS if mid > 0.0 else nan
    _decide_book(floats, integers, out)
    _decide_trades(floats, integers, out)
    _decide_returns(floats, integers, out)
