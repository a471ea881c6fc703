"""The latent process: efficient prices, volatility, the flow state, venues' deviations, news."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from venues.simulator.compiled import compiled
from venues.simulator.parameters import (
    STEP_US,
    PriceParameters,
    drift_coefficient,
    per_second_volatility,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Path:
    """What the latent process did over one chunk; arrays have steps + 1 points, first is now."""

    log_price: Floats
    """(points, symbols): log of the efficient price."""
    signal: Floats
    """(points, symbols): the flow state s, mean 0, variance 1."""
    offset: Floats
    """(points, venues, symbols): log of the venue's fair price over the efficient price."""
    basis: Floats
    """(venues, symbols): the slow part of the offset at the chunk's start; 0 on spot."""
    activity: Floats
    """(symbols,): trading activity at the chunk's start, 1 on average."""


@compiled
def _advance(
    state: Floats,
    offsets: Floats,
    bases: Floats,
    shocks: Floats,
    normals: Floats,
    jumps: Floats,
    kicks: Floats,
    sigma: Floats,
    basis_deviation: Floats,
    numbers: Floats,
    log_price: Floats,
    signal: Floats,
    offset: Floats,
) -> None:
    """Steps the process; rows of state: log price, own log volatility, signal, news, [common]."""
    (
        drift,
        rho,
        a_vol,
        b_vol,
        vol_var,
        a_sig,
        b_sig,
        a_dev,
        b_dev,
        a_bas,
        b_bas,
        a_news,
        basis_mean,
        dt,
    ) = numbers
    symbols = sigma.shape[0]
    venues = offsets.shape[0]
    root = math.sqrt(dt)
    common_weight = math.sqrt(rho)
    own_weight = math.sqrt(1.0 - rho)
    for step in range(shocks.shape[0]):
        column = 0
        state[4, 0] = a_vol * state[4, 0] + b_vol * normals[step, column]
        column += 1
        for i in range(symbols):
            state[1, i] = a_vol * state[1, i] + b_vol * normals[step, column]
            now = sigma[i] * math.exp(state[4, 0] + state[1, i] - vol_var)
            shock = common_weight * shocks[step, 0] + own_weight * shocks[step, 1 + i]
            state[3, i] += kicks[step, i]
            state[0, i] += (
                drift * now * state[2, i] * dt
                + now * root * shock
                + jumps[step, i]
                + state[3, i] * (1.0 - a_news)
            )
            state[3, i] *= a_news
            state[2, i] = a_sig * state[2, i] + b_sig * normals[step, column + 1]
            log_price[step + 1, i] = state[0, i]
            signal[step + 1, i] = state[2, i]
            column += 2
        for v in range(venues):
            for i in range(symbols):
                offsets[v, i] = a_dev * offsets[v, i] + b_dev * normals[step, column]
                if basis_deviation[v] > 0.0:
                    bases[v, i] = (
                        basis_mean
                        + a_bas * (bases[v, i] - basis_mean)
                        + b_bas * basis_deviation[v] * normals[step, column + 1]
                    )
                offset[step + 1, v, i] = offsets[v, i] + bases[v, i]
                column += 2


class LatentProcess:
    """Correlated prices of several symbols on several venues, from one generator."""

    def __init__(
        self,
        random: np.random.Generator,
        start_prices: dict[str, float],
        perpetual: tuple[bool, ...],
        signal_strength: float,
        parameters: PriceParameters,
    ) -> None:
        self._random = random
        self._model = parameters
        symbols, venues = len(start_prices), len(perpetual)
        self._sigma = np.array([per_second_volatility(parameters, name) for name in start_prices])
        self._basis_deviation = np.where(
            np.array(perpetual), parameters.basis_deviation_bps * 1e-4, 0.0
        )
        self._numbers = self._coefficients(
            drift_coefficient(signal_strength, parameters.signal_seconds)
        )
        self._state = np.zeros((5, symbols))
        self._state[0] = [math.log(price) for price in start_prices.values()]
        self._state[1] = parameters.log_volatility_deviation * random.standard_normal(symbols)
        self._state[2] = random.standard_normal(symbols)
        self._state[4, 0] = parameters.log_volatility_deviation * random.standard_normal()
        self._offsets = (
            parameters.venue_deviation_bps * 1e-4 * random.standard_normal((venues, symbols))
        )
        self._bases = np.where(
            self._basis_deviation[:, None] > 0.0,
            parameters.basis_mean_bps * 1e-4
            + self._basis_deviation[:, None] * random.standard_normal((venues, symbols)),
            0.0,
        )

    def _coefficients(self, drift: float) -> Floats:
        model, dt = self._model, STEP_US * 1e-6

        def decay(seconds: float) -> float:
            return math.exp(-dt / seconds)

        def noise(seconds: float, deviation: float) -> float:
            return deviation * math.sqrt(1.0 - decay(seconds) ** 2)

        return np.array(
            [
                drift,
                model.correlation,
                decay(model.log_volatility_seconds),
                noise(model.log_volatility_seconds, model.log_volatility_deviation),
                2.0 * model.log_volatility_deviation**2,
                decay(model.signal_seconds),
                noise(model.signal_seconds, 1.0),
                decay(model.venue_deviation_seconds),
                noise(model.venue_deviation_seconds, model.venue_deviation_bps * 1e-4),
                decay(model.basis_seconds),
                noise(model.basis_seconds, 1.0),
                decay(model.news_seconds),
                model.basis_mean_bps * 1e-4,
                dt,
            ]
        )

    def advance(self, steps: int, kicks: Floats | None = None) -> Path:
        """The next `steps` steps; `kicks` (steps, symbols) is the log move that news will cause."""
        symbols, venues = self._sigma.size, self._basis_deviation.size
        model, random = self._model, self._random
        scale = math.sqrt((model.tail_degrees - 2.0) / model.tail_degrees)
        shocks = scale * random.standard_t(model.tail_degrees, (steps, 1 + symbols))
        normals = random.standard_normal((steps, 1 + 2 * symbols + 2 * venues * symbols))
        chance = model.jumps_per_hour / 3_600.0 * STEP_US * 1e-6
        jumps = np.where(
            random.random((steps, symbols)) < chance,
            model.jump_bps * 1e-4 * random.standard_normal((steps, symbols)),
            0.0,
        )
        log_price = np.empty((steps + 1, symbols))
        signal = np.empty((steps + 1, symbols))
        offset = np.empty((steps + 1, venues, symbols))
        log_price[0], signal[0] = self._state[0], self._state[2]
        offset[0] = self._offsets + self._bases
        basis = self._bases.copy()
        activity = np.exp(0.5 * (self._state[4, 0] + self._state[1]))
        _advance(
            self._state,
            self._offsets,
            self._bases,
            shocks,
            normals,
            jumps,
            np.zeros((steps, symbols)) if kicks is None else kicks,
            self._sigma,
            self._basis_deviation,
            self._numbers,
            log_price,
            signal,
            offset,
        )
        return Path(log_price, signal, offset, basis, activity)
