"""The latent process and what it makes of the books: tails, correlation, signal, news."""

import numpy as np
import pytest

from venues.simulator import facts
from venues.simulator.engine import random_for
from venues.simulator.facts import (
    autocorrelation,
    excess_kurtosis,
    information_coefficient,
    observe,
)
from venues.simulator.market import Market
from venues.simulator.parameters import (
    STEPS_A_SECOND,
    PriceParameters,
    drift_coefficient,
    per_second_volatility,
    theoretical_ic,
)
from venues.simulator.prices import LatentProcess

HOUR = 3_600
HORIZON = facts.HORIZON_SECONDS


@pytest.fixture(scope="module")
def seen() -> facts.Observed:
    """An hour of two symbols on three venues, without a signal."""
    market = Market(
        seed=21,
        symbols=("BTC-USDT", "ETH-USDT"),
        venues=("binance-spot", "bybit-linear", "okx-swap"),
        events_per_second=600.0,
        signal_strength=0.0,
    )
    return observe(market, HOUR)


def latent(strength: float, seconds: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Log prices and flow states of 16 symbols, sampled every second."""
    names = {f"S{i}-USDT": 100.0 for i in range(16)}
    random = random_for(seed, "latent")
    process = LatentProcess(random, names, (False,), strength, PriceParameters())
    path = process.advance(seconds * STEPS_A_SECOND)
    return path.log_price[::STEPS_A_SECOND], path.signal[::STEPS_A_SECOND]


def mean_ic(strength: float, horizon: int) -> float:
    prices, states = latent(strength, 2 * HOUR)
    values = [
        information_coefficient(states[:, i], prices[:, i], horizon) for i in range(prices.shape[1])
    ]
    return float(np.mean(values))


def test_returns_have_fat_tails(seen: facts.Observed) -> None:
    for symbol in range(2):
        assert excess_kurtosis(np.diff(seen.log_mid[:, 0, symbol])) > 1.0
        assert excess_kurtosis(np.diff(seen.log_price[:, symbol])) > 1.0


def test_volatility_is_as_configured() -> None:
    prices, _ = latent(0.0, 2 * HOUR)
    model = PriceParameters()
    jumps = model.jumps_per_hour / 3_600.0 * (model.jump_bps * 1e-4) ** 2
    expected = np.sqrt(per_second_volatility(model, "S0-USDT") ** 2 + jumps)
    assert np.diff(prices, axis=0).std() == pytest.approx(expected, rel=0.15)


def test_size_of_returns_remembers_and_sign_does_not() -> None:
    prices, _ = latent(0.0, 2 * HOUR)
    returns = np.diff(prices, axis=0)
    size = [autocorrelation(np.abs(returns[:, i]), 10) for i in range(16)]
    sign = [autocorrelation(returns[:, i], 1) for i in range(16)]
    assert np.mean(size) > 0.02
    assert abs(np.mean(sign)) < 0.02


def test_venues_move_together(seen: facts.Observed) -> None:
    returns = np.diff(seen.log_mid[:, :, 0], axis=0)
    correlation = np.corrcoef(returns.T)
    assert correlation.min() > 0.85


def test_symbols_are_correlated_as_configured() -> None:
    prices, _ = latent(0.0, 2 * HOUR)
    correlation = np.corrcoef(np.diff(prices, axis=0).T)
    off_diagonal = correlation[~np.eye(len(correlation), dtype=bool)]
    # Jumps and independent volatilities take something away from 0.7.
    assert 0.5 < off_diagonal.mean() < 0.72


def test_book_stays_about_the_fair_price(seen: facts.Observed) -> None:
    distance = 1e4 * np.abs(seen.log_mid[:, 0, 0] - seen.log_price[:, 0])
    assert np.median(distance) < 0.5
    assert np.median(seen.spread_bps) < 1.0
    assert seen.spread_bps.max() < 8.0
    assert seen.spread_bps.min() > 0.0


@pytest.mark.parametrize("strength", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_ic_of_the_flow_state_follows_the_formula(strength: float, horizon: int) -> None:
    expected = theoretical_ic(strength, horizon, "S0-USDT")
    assert mean_ic(strength, horizon) == pytest.approx(expected, abs=0.03)


def test_without_strength_nothing_predicts() -> None:
    assert drift_coefficient(0.0, 5.0) == 0.0
    assert theoretical_ic(0.0, 5.0, "BTC-USDT") == 0.0
    assert abs(mean_ic(0.0, HORIZON)) < 0.02


def test_strength_is_the_ic_over_its_own_time_constant() -> None:
    for strength in (0.1, 0.3, 0.6):
        # Without stochastic volatility and jumps it would be the same number.
        assert strength * 0.8 < theoretical_ic(strength, 5.0, "BTC-USDT") < strength


def test_imbalance_of_the_book_predicts_the_more_the_stronger_the_signal() -> None:
    found = []
    for strength in (0.0, 0.3, 0.6):
        market = Market(
            seed=3,
            symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT"),
            venues=("binance-spot",),
            events_per_second=240.0,
            signal_strength=strength,
            news_per_hour=0.0,
        )
        hours = observe(market, 2 * HOUR)
        found.append(
            np.mean(
                [
                    information_coefficient(
                        hours.imbalance[:, 0, i], hours.log_mid[:, 0, i], HORIZON
                    )
                    for i in range(3)
                ]
            )
        )
    assert abs(found[0]) < 0.04
    assert found[1] > 0.1
    assert found[2] > found[1] + 0.05


def test_takers_buy_more_when_the_flow_state_is_high(seen: facts.Observed) -> None:
    assert np.corrcoef(seen.signal[:, 0], seen.flow[:, 0, 0])[0, 1] > 0.15


def test_headline_moves_its_symbol_and_the_move_takes_a_minute() -> None:
    model = PriceParameters()
    moves = np.zeros((2, 3))
    for seed in range(150):
        for row, size in enumerate((0.0, 1e-3)):
            process = LatentProcess(
                random_for(seed, "latent"), {"BTC-USDT": 100.0}, (False,), 0.0, model
            )
            steps = 300 * STEPS_A_SECOND
            kicks = np.zeros((steps, 1))
            kicks[0, 0] = size
            price = process.advance(steps, kicks).log_price[:, 0]
            at = np.array([0, 60, 300]) * STEPS_A_SECOND
            moves[row] += (price[at] - price[0]) / 150
    # The same randomness with and without: the difference is the headline alone.
    effect = moves[1] - moves[0]
    assert effect[1] == pytest.approx(1e-3 * (1 - np.exp(-1)), rel=1e-3)
    assert effect[2] == pytest.approx(1e-3, rel=0.01)
