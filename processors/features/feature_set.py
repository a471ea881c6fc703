"""The feature set: all features in the order of the vector, their groups, and their version."""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from typing import Any

from processors.features import (
    calendar,
    cross_exchange,
    indicators_kernel,
    microstructure,
    sentiment,
)
from processors.features.custom import dispatch

# Bits of the masks `stale` and `fallback`, one a group.
GROUPS = ("technical", "microstructure", "cross-exchange", "time and regime", "sentiment")
_OF_BARS = len(indicators_kernel.FEATURES) - len(dispatch.BAR_FEATURES)

BUILT_IN = (
    *indicators_kernel.FEATURES[:_OF_BARS],
    *calendar.FEATURES,
    *microstructure.FEATURES,
    *cross_exchange.FEATURES,
    *sentiment.FEATURES,
)
FEATURES = (*BUILT_IN, *dispatch.BAR_FEATURES, *dispatch.DECISION_FEATURES)
NAMES = tuple(feature.name for feature in FEATURES)


@cache
def version() -> str:
    """First twelve hex digits of the SHA-256 of all entries: another formula, another version."""
    entries: list[dict[str, Any]] = [
        {key: value for key, value in asdict(feature).items() if key != "talib"}
        for feature in FEATURES
    ]
    if dispatch.SOURCES:
        # Of a user's features the code counts, too: who changes it need not know what counts.
        entries.append({"sources": list(dispatch.SOURCES)})
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()[:12]
