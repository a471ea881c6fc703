"""All numbers of the market model, and how the signal's strength becomes a drift."""

import math
from dataclasses import dataclass, field

from schemas.errors import ConfigError

SECONDS_A_YEAR = 365 * 86_400
MAX_SIGNAL_STRENGTH = 0.7
STEP_US = 50_000
"""Step of the latent process, microseconds."""
STEPS_A_SECOND = 1_000_000 // STEP_US


@dataclass(frozen=True, slots=True)
class PriceParameters:
    """The latent process: volatility, tails, correlation, venues, signal, news."""

    annual_volatility: dict[str, float] = field(
        default_factory=lambda: {"BTC-USDT": 0.50, "ETH-USDT": 0.65, "SOL-USDT": 0.85}
    )
    other_volatility: float = 0.80
    """Annual volatility (a fraction) of symbols not named above."""
    correlation: float = 0.70
    """Correlation of two symbols' innovations (one common factor)."""
    tail_degrees: float = 5.0
    """Degrees of freedom of the Student-t innovations."""
    log_volatility_deviation: float = 0.25
    """Standard deviation of log volatility, of the common part and of each symbol's own."""
    log_volatility_seconds: float = 600.0
    jumps_per_hour: float = 10.0
    jump_bps: float = 6.0
    """Standard deviation of a jump."""
    venue_deviation_bps: float = 0.25
    """Standard deviation of a venue's price about the efficient price."""
    venue_deviation_seconds: float = 4.0
    basis_mean_bps: float = 1.5
    basis_deviation_bps: float = 2.0
    basis_seconds: float = 3_600.0
    signal_seconds: float = 5.0
    """Time constant of the flow state that leads returns."""
    news_seconds: float = 60.0
    """A headline's drift decays with this time constant."""
    news_bps: float = 12.0
    """Total move after a headline of sentiment 1."""


@dataclass(frozen=True, slots=True)
class BookParameters:
    """Order books and order flow."""

    depth: int = 100
    """Levels a side that the book is kept at."""
    spacing_bps: float = 0.1
    """Mean distance of neighbouring levels."""
    inner_bps: float = 0.05
    outer_bps: float = 0.5
    """A new best quote lies between the two from the fair price; one further away is improved."""
    level_notional: float = 12_000.0
    """Median size of a level near the best, quote currency."""
    level_sigma: float = 0.8
    trade_notional: float = 1_200.0
    """Median size of a market order, quote currency."""
    trade_sigma: float = 1.4
    size_tilt: float = 0.6
    """How far the flow state tilts resting sizes: factor 1 ± tilt·tanh(s)."""
    flow_tilt: float = 0.35
    """How far the flow state tilts takers: P(buy) = 1/2 + tilt·tanh(s)."""
    pick_off_share: float = 0.6
    """Share of stale quotes that a taker takes; the others are cancelled."""


def drift_coefficient(strength: float, signal_seconds: float) -> float:
    """The coefficient k of the drift k·σ·s that gives an information coefficient `strength`.

    The coefficient is the correlation between s and the efficient price's return over the next
    `signal_seconds`, in units of volatility and without jumps and news. Raises ConfigError
    outside [0, 0.7].
    """
    if not 0.0 <= strength <= MAX_SIGNAL_STRENGTH:
        raise ConfigError(
            f"signal_strength was {strength}; give a number from 0 to {MAX_SIGNAL_STRENGTH}"
        )
    reach = 1.0 - math.exp(-1.0)
    squared = strength**2 / (signal_seconds * (reach**2 - 2.0 * strength**2 * math.exp(-1.0)))
    return math.sqrt(squared)


def theoretical_ic(strength: float, horizon_seconds: float, symbol: str) -> float:
    """Correlation of the flow state with the efficient price's return over a horizon.

    With stochastic volatility and jumps, without news; the R² of the best forecast is its square.
    """
    model = PriceParameters()
    tau, horizon = model.signal_seconds, horizon_seconds
    coefficient = drift_coefficient(strength, tau)
    sigma = per_second_volatility(model, symbol)
    mean_sigma = sigma * math.exp(-(model.log_volatility_deviation**2))
    jumps = model.jumps_per_hour / 3_600.0 * (model.jump_bps * 1e-4) ** 2
    decay = math.exp(-horizon / tau)
    covariance = coefficient * mean_sigma * tau * (1.0 - decay)
    drift_variance = 2.0 * (coefficient * sigma * tau) ** 2 * (horizon / tau - 1.0 + decay)
    return covariance / math.sqrt((sigma**2 + jumps) * horizon + drift_variance)


def per_second_volatility(model: PriceParameters, symbol: str) -> float:
    """Standard deviation of the diffusive log return over one second."""
    annual = model.annual_volatility.get(symbol, model.other_volatility)
    return annual / math.sqrt(SECONDS_A_YEAR)
