"""The picture of the docs: three small panels as SVG text."""

import numpy as np
from numpy.typing import NDArray

from venues.simulator.facts import Observed, autocorrelation

Floats = NDArray[np.float64]
WIDTH, HEIGHT, MARGIN = 300, 180, 36
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
POINTS = 240


def draw(seen: Observed, law: list[tuple[float, float, float, float]]) -> str:
    """Prices, autocorrelations and the signal's law, side by side."""
    prices = seen.log_price - seen.log_price[0]
    step = max(1, len(prices) // POINTS)
    time = np.arange(0, len(prices), step) / 60.0
    price_lines = [(time, 1e4 * prices[::step, i]) for i in range(prices.shape[1])]
    returns = np.diff(seen.log_mid[:, 0, 0])
    lags = np.arange(1, 61)
    memory = [
        (lags.astype(float), np.array([autocorrelation(of, int(lag)) for lag in lags]))
        for of in (returns, np.abs(returns))
    ]
    table = np.array(law)
    lines = [(table[:, 0], table[:, column]) for column in (1, 2, 3)]
    panels = [
        _panel(0, "efficient prices: bps over minutes", price_lines, ("1st", "2nd", "3rd symbol")),
        _panel(1, "autocorrelation over lag in s", memory, ("returns", "absolute returns")),
        _panel(2, "IC over strength, 5 s", lines, ("flow state", "imbalance", "trade flow")),
    ]
    size = f'width="{3 * WIDTH}" height="{HEIGHT}" viewBox="0 0 {3 * WIDTH} {HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="9">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(panels)}</svg>\n'
    )


def _panel(
    place: int, title: str, lines: list[tuple[Floats, Floats]], names: tuple[str, ...]
) -> str:
    left, top = place * WIDTH + MARGIN, 24
    width, height = WIDTH - MARGIN - 12, HEIGHT - top - 24
    x = np.concatenate([line[0] for line in lines])
    y = np.concatenate([line[1] for line in lines])
    x_low, x_span = float(x.min()), float(np.ptp(x)) or 1.0
    y_low, y_span = float(y.min()), float(np.ptp(y)) or 1.0
    parts = [
        f'<text x="{left}" y="14" font-weight="bold">{title}</text>\n',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" '
        'stroke="#999"/>\n',
    ]
    for text, x_at, y_at, anchor in (
        (f"{y_low + y_span:.3g}", left - 3, top + 8, "end"),
        (f"{y_low:.3g}", left - 3, top + height, "end"),
        (f"{x_low:.3g}", left, top + height + 11, "start"),
        (f"{x_low + x_span:.3g}", left + width, top + height + 11, "end"),
    ):
        parts.append(f'<text x="{x_at}" y="{y_at}" text-anchor="{anchor}">{text}</text>\n')
    for number, (across, up) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{left + width * (a - x_low) / x_span:.1f},"
            f"{top + height * (1.0 - (b - y_low) / y_span):.1f}"
            for a, b in zip(across.tolist(), up.tolist(), strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>\n')
        parts.append(
            f'<text x="{left + 6}" y="{top + 12 + 11 * number}" fill="{colour}">'
            f"{names[number % len(names)]}</text>\n"
        )
    return "".join(parts)
