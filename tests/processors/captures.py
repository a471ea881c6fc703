"""Events of the recorded captures, as `tape import` puts them on the tape."""

from itertools import islice

from schemas.events import DeadLetter, Event
from tests.data import shared_data
from venues.history.importer import examine_all, open_files
from venues.history.names import Hints

BINANCE = (
    "binance_spot_btcusdt_20240808.hft.gz",
    "binance_usdm_btcusdt_20240808.hft.gz",
    "binance_cm_btcusd_perp_20240808.hft.gz",
)
SMALL = (
    "binance_spot_2021-10-12.jsonl.zst",
    "binance_usdm_2021-07-22.jsonl.zst",
    "binanceus_spot_2021-10-12.jsonl.zst",
    "bybit_v5_2026-08-09.jsonl.zst",
    "okx_v5_2022-05-13.jsonl.zst",
)


def capture(*names: str, most: int | None = None) -> list[Event]:
    """The first `most` events of captures, merged by receive time, with Clock pulses."""
    folder = shared_data() / "ws"
    opened = open_files(examine_all([folder / name for name in names]), Hints())
    events = (event for event in opened.events() if not isinstance(event, DeadLetter))
    return list(islice(events, most))
