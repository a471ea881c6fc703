"""Where the recorded market data is, when it is there."""

import os
from pathlib import Path

import pytest


def shared_data() -> Path:
    """The folder of recorded data; skips the calling test where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("TAPE_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip("recorded data (../shared/data) is not here")
    return path
