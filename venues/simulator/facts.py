"""Stylised facts: what the model's market looks like, measured; and the picture of the docs.

`python -m venues.simulator.facts --svg docs/market-model.svg` prints the tables and draws;
`--speed` measures how fast frames are made instead.
"""

import argparse
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from venues.simulator.market import Market

Floats = NDArray[np.float64]
HORIZON_SECONDS = 5
IMBALANCE_LEVELS = 5
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Observed:
    """A market sampled at the end of every second."""

    log_price: Floats
    """(seconds, symbols): the efficient price."""
    signal: Floats
    """(seconds, symbols): the flow state."""
    log_mid: Floats
    """(seconds, venues, symbols)"""
    imbalance: Floats
    """(seconds, venues, symbols): of the best five levels."""
    flow: Floats
    """(seconds, venues, symbols): share of bought less sold in the second's traded quantity."""
    spread_bps: Floats
    """(seconds, venues, symbols)"""
    trades: Floats
    """(seconds, venues, symbols): number of trades in the second."""


def observe(market: Market, seconds: int) -> Observed:
    """Lets `market` run for `seconds` without writing frames."""
    engine = market.engine()
    shape = (seconds, len(market.venues), len(market.symbols))
    log_price, signal = np.empty((seconds, shape[2])), np.empty((seconds, shape[2]))
    log_mid, imbalance, flow = np.empty(shape), np.empty(shape), np.empty(shape)
    spread, trades = np.empty(shape), np.empty(shape)
    for second in range(seconds):
        happened = engine.second()
        log_price[second] = happened.path.log_price[-1]
        signal[second] = happened.path.signal[-1]
        for venue, books in enumerate(engine.books):
            for symbol, book in enumerate(books):
                at = (second, venue, symbol)
                prints = happened.activities[venue][symbol].trades
                bought = sum(row[3] for row in prints if row[4])
                total = sum(row[3] for row in prints)
                log_mid[at] = np.log(book.mid_price())
                imbalance[at] = book.imbalance(IMBALANCE_LEVELS)
                flow[at] = 2.0 * bought / total - 1.0 if total else 0.0
                spread[at] = book.spread_bps()
                trades[at] = len(prints)
    return Observed(log_price, signal, log_mid, imbalance, flow, spread, trades)


def excess_kurtosis(values: Floats) -> float:
    """Fourth standardised moment less 3: 0 for a normal distribution."""
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3.0)


def autocorrelation(values: Floats, lag: int) -> float:
    """Correlation of a series with itself `lag` steps later."""
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def information_coefficient(predictor: Floats, log_price: Floats, horizon: int) -> float:
    """Correlation of a predictor with the log return over the next `horizon` samples."""
    future = log_price[horizon:] - log_price[:-horizon]
    return float(np.corrcoef(predictor[:-horizon], future)[0, 1])


def stylised_facts(seen: Observed) -> dict[str, float]:
    """Figures of the first venue and symbol, and correlations across venues and symbols."""
    mid = seen.log_mid[:, 0, 0]
    returns = np.diff(mid)
    minutes = np.diff(mid[::60])
    size = np.abs(returns)
    facts = {
        "volatility of 1 s returns, bps": float(returns.std() * 1e4),
        "excess kurtosis, 1 s": excess_kurtosis(returns),
        "excess kurtosis, 60 s": excess_kurtosis(minutes),
        "autocorrelation of returns, lag 1 s": autocorrelation(returns, 1),
        "autocorrelation of returns, lag 10 s": autocorrelation(returns, 10),
        "autocorrelation of absolute returns, lag 1 s": autocorrelation(size, 1),
        "autocorrelation of absolute returns, lag 60 s": autocorrelation(size, 60),
        "autocorrelation of trade flow, lag 1 s": autocorrelation(seen.flow[:, 0, 0], 1),
        "correlation of trade count and absolute return": float(
            np.corrcoef(seen.trades[1:, 0, 0], size)[0, 1]
        ),
        "mean spread, bps": float(seen.spread_bps[:, 0, 0].mean()),
        "median spread, bps": float(np.median(seen.spread_bps[:, 0, 0])),
        "trades a second": float(seen.trades[:, 0, 0].mean()),
    }
    if seen.log_mid.shape[1] > 1:
        other = np.diff(seen.log_mid[:, 1, 0])
        facts["correlation of two venues, 1 s"] = float(np.corrcoef(returns, other)[0, 1])
        ten, other_ten = (np.diff(seen.log_mid[::10, venue, 0]) for venue in (0, 1))
        facts["correlation of two venues, 10 s"] = float(np.corrcoef(ten, other_ten)[0, 1])
    if seen.log_mid.shape[2] > 1:
        other = np.diff(seen.log_mid[:, 0, 1])
        facts["correlation of two symbols, 1 s"] = float(np.corrcoef(returns, other)[0, 1])
    return facts


def signal_law(seconds: int, seed: int) -> list[tuple[float, float, float, float]]:
    """(strength, IC of the flow state, of the imbalance, of the trade flow), mean over symbols."""
    rows = []
    for strength in STRENGTHS:
        market = Market(
            seed=seed,
            venues=("binance-spot",),
            events_per_second=300.0,
            signal_strength=strength,
            news_per_hour=0.0,
        )
        seen = observe(market, seconds)
        symbols = range(len(market.symbols))
        means = [
            float(
                np.mean(
                    [
                        information_coefficient(of[:, i], seen.log_mid[:, 0, i], HORIZON_SECONDS)
                        for i in symbols
                    ]
                )
            )
            for of in (seen.signal, seen.imbalance[:, 0], seen.flow[:, 0])
        ]
        rows.append((strength, means[0], means[1], means[2]))
    return rows


def frames_per_second(count: int, rate: float) -> float:
    """How many of `count` frames of the default market are made in a second on this machine."""
    frames = Market(events_per_second=rate).frames()
    next(frames)
    begun = time.perf_counter()
    for _ in islice(frames, count):
        pass
    return count / (time.perf_counter() - begun)


def main() -> None:
    """Measures, prints Markdown tables, draws."""
    from venues.simulator import picture  # noqa: PLC0415 - only the command draws

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=7_200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        for rate in (500.0, 2_000.0, 20_000.0):
            print(f"{rate:>8.0f} frames/s asked: {frames_per_second(100_000, rate):>9,.0f} made/s")
        return
    seen = observe(Market(seed=options.seed), options.seconds)
    print("| fact | measured |\n|---|---:|")
    for name, value in stylised_facts(seen).items():
        print(f"| {name} | {value:.3f} |")
    law = signal_law(options.seconds, options.seed)
    print("\n| strength | IC of s | IC of imbalance | IC of trade flow |\n|---:|---:|---:|---:|")
    for row in law:
        print("| " + " | ".join(f"{value:.3f}" for value in row) + " |")
    if options.svg is not None:
        options.svg.write_text(picture.draw(seen, law), encoding="utf-8")


if __name__ == "__main__":
    main()
