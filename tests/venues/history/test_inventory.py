"""The table of docs/import.md is what the command prints of the recorded data."""

from pathlib import Path

import pytest

from tests.data import shared_data
from venues.history.inventory import row

DOCS = Path(__file__).resolve().parents[3] / "docs" / "import.md"
FOLDERS = ("ws", "ohlcv", "trades")
SMALL = 1_000_000


@pytest.mark.parametrize(
    "small", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["small", "large"]
)
@pytest.mark.parametrize("folder", FOLDERS)
def test_documented_counts_are_those_of_an_import(folder: str, small: bool) -> None:
    documented = DOCS.read_text()
    for path in sorted((shared_data() / folder).iterdir()):
        if small == (path.stat().st_size < SMALL):
            assert "| " + " | ".join(row(path)) + " |" in documented, path.name
