"""`features-talipp`: all technical features at every bar; the peer is talipp's own classes.

The peer updates, from Python, the indicators that both have, with the same parameters: about half
of ours. Ours updates all 62. Same bars, processor time; the peer runs in an environment of its own.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.features_talib import ours_us, walk
from benchmarks.harness import Result, compare, isolated, versions
from processors.features.technical import five_minutes, kernel

_RUNS = 5
_BARS = 4_000
_TALIPP = "talipp==2.7.0"


def run() -> Result:
    """Measure both sides, one after the other."""
    bars = walk(_BARS)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "bars.json"
        file.write_text(json.dumps(bars.tolist()))
        peer = isolated(Path(__file__).with_name("_features_talipp.py"), _TALIPP, str(file))
    ours = [ours_us(bars) for _ in range(_RUNS)]
    return compare(
        "features-talipp", "µs/bar", ours, peer["us"], versions("numba", "numpy"),
        more_is_better=False, bars=_BARS, peer_version=_TALIPP, peer_classes=peer["classes"],
        features=len(kernel.FEATURES) + len(five_minutes.FEATURES),
    )  # fmt: skip
