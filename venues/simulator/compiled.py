"""The one decorator by which the model's kernels are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Machine code of `function`, kept on disk between runs; no fastmath, so the bits hold."""
    return cast(Callable[P, R], njit(cache=True)(function))
