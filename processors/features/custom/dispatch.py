"""Calls of a user's own features. Written by `tape features generate`; do not edit."""
# ruff: noqa
# fmt: off

from typing import Any

import numba

from processors.features.catalogue import Feature

# Hashes of the modules' texts: another text, another version of the feature set.
SOURCES: tuple[str, ...] = ()
BAR_FEATURES: tuple[Feature, ...] = ()
BAR_FLOATS = 0
BAR_INTEGERS = 0
DECISION_FEATURES: tuple[Feature, ...] = ()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_bar(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further for each module with `on_bar`."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_decision(floats: Any, integers: Any, out: Any) -> None:
    """One decision for each module with `on_decision`; rows of an instrument as in `market`."""
