"""Powers, logarithms, sines and cosines of our own are those of mathematics, on any machine."""

import hashlib
import math
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.features.elementary import cosine, exp2, log2, sine

RELATIVE = 1e-14
LEAST = 5e-324

finite = st.floats(allow_nan=False, allow_infinity=False)


def on_circle(turns: float, quarter: int) -> float:
    """The sine so many quarters further, the turns reduced exactly to within an eighth of 0."""
    nearest = round(4 * Fraction(turns))
    angle = 2.0 * math.pi * float(Fraction(turns) - Fraction(nearest, 4))
    sign = 1.0 if (nearest + quarter) % 4 < 2 else -1.0
    return sign * (math.cos(angle) if (nearest + quarter) % 2 else math.sin(angle))


@given(st.floats(-1080.0, 1023.999) | st.floats(-1.0, 1.0))
@settings(deadline=None)  # the first call compiles
def test_power(x: float) -> None:
    assert exp2(x) == pytest.approx(2.0**x, rel=RELATIVE, abs=LEAST)


@given(st.integers(-1074, 1023))
@settings(deadline=None)  # the first call compiles
def test_power_of_a_whole_number_is_exact(n: int) -> None:
    assert exp2(float(n)) == math.ldexp(1.0, n)
    assert log2(math.ldexp(1.0, n)) == n


@given(finite.filter(lambda x: x > 0.0) | st.floats(0.9, 1.1))
@settings(deadline=None)  # the first call compiles
def test_logarithm(x: float) -> None:
    # The logarithm of 1 + p, which the library has to full precision near 1.
    near = abs(x - 1.0) < 0.5
    expected = math.log1p(x - 1.0) / math.log(2.0) if near else math.log2(x)
    assert log2(x) == pytest.approx(expected, rel=RELATIVE, abs=0.0)


@given(finite | st.floats(-3.0, 3.0) | st.integers(-40, 40).map(lambda n: n / 16))
@settings(deadline=None)  # the first call compiles
def test_circle(turns: float) -> None:
    assert sine(turns) == pytest.approx(on_circle(turns, 0), rel=RELATIVE, abs=LEAST)
    assert cosine(turns) == pytest.approx(on_circle(turns, 1), rel=RELATIVE, abs=LEAST)


@given(finite)
@settings(deadline=None)  # the first call compiles
def test_symmetry(turns: float) -> None:
    assert sine(-turns) == -sine(turns)
    assert cosine(-turns) == cosine(turns)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (exp2, 0.0, 1.0),
        (exp2, -0.0, 1.0),
        (exp2, 1024.0, math.inf),
        (exp2, 1e308, math.inf),
        (exp2, math.inf, math.inf),
        (exp2, -1e308, 0.0),
        (exp2, -math.inf, 0.0),
        (exp2, math.nan, math.nan),
        (log2, 0.0, -math.inf),
        (log2, -0.0, -math.inf),
        (log2, -LEAST, math.nan),
        (log2, -math.inf, math.nan),
        (log2, math.inf, math.inf),
        (log2, math.nan, math.nan),
        *[(f, x, math.nan) for f in (sine, cosine) for x in (math.inf, -math.inf, math.nan)],
    ],
)
def test_edges(function: Callable[[float], float], x: float, expected: float) -> None:
    np.testing.assert_equal(function(x), expected)


def test_bits_are_the_same_on_any_machine() -> None:
    grid = [n / 97 for n in range(-500, 500)]
    values = [f(x) for f in (exp2, sine, cosine) for x in grid]
    values += [log2(n / 97) for n in range(1, 1000)]
    digest = hashlib.sha256(struct.pack(f"<{len(values)}d", *values)).hexdigest()
    assert digest == "8d1d1b6b951b2103c4e7d433cdadbd89c63d8f3b297338c4bb51e09afc01f509"
