"""What shapes the outputs: the processors' configuration and version, and their hash."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import catalogue
from schemas.errors import ConfigError

# Raised whenever the same input would give other bytes; another feature set gives others, too.
VERSION = f"3-{catalogue.schema('FeatureVector')['feature_set']}"

Interval = Literal["1s", "1m", "5m", "1h"]
INTERVAL_US: dict[str, int] = {
    "1s": 1_000_000,
    "1m": 60_000_000,
    "5m": 300_000_000,
    "1h": 3_600_000_000,
}


class VersionMismatch(ConfigError):
    """The tape asks for another version of the processors than this one.

    `version` is what it asks for, `partition` and `offset` say where.
    """

    def __init__(self, version: str, partition: int, offset: int) -> None:
        super().__init__(
            f"from offset {offset} of partition {partition} on, the tape is for version {version} "
            f"of the processors; this is version {VERSION}: run that release, or write a new "
            "configuration with `tape configure`"
        )
        self.version, self.partition, self.offset = version, partition, offset


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SeenConfig(Section):
    """What has been seen takes no effect again: two collectors may write the same event."""

    trades: Annotated[int, Field(ge=1, le=1 << 20)] = 8_192
    """Trade ids remembered for each venue and symbol."""
    others: Annotated[int, Field(ge=1, le=1 << 20)] = 1_024
    """Closed klines and settled funding rates remembered for each venue and symbol; headlines
    and index values for each partition."""
    restart_ms: Annotated[int, Field(ge=0)] = 2_000
    """A quote or book whose sequence is not above the newest, but whose event time is so much
    later, is of a venue that began to count anew."""
    set_back_ms: Annotated[int, Field(ge=0)] = 60_000
    """What has no sequence and is older than the newest is a repeat; unless by more than this:
    then a clock was wrong."""


class BooksConfig(Section):
    """Order books."""

    levels: Annotated[int, Field(ge=1, le=200)] = 10
    """Levels a side in `books` events."""
    emit_interval_ms: Annotated[int, Field(ge=0)] = 100
    """A changed book is emitted at most this often in event time; 0: on every change."""


class BarsConfig(Section):
    """Bars."""

    intervals: tuple[Interval, ...] = ("1s", "1m", "5m", "1h")
    grace_ms: Annotated[int, Field(ge=0)] = 1_000
    """A Clock pulse closes bars that ended at least this long before it."""


class ReferenceConfig(Section):
    """Reference price across venues."""

    stale_after_ms: Annotated[int, Field(ge=1)] = 5_000
    """A venue whose top of book is older than this (event time) does not contribute."""
    least_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A venue whose data score less (docs/quality.md) is left out."""
    return_score: Annotated[float, Field(ge=0, le=1)] = 0.8
    """It is taken back at this score."""


class QualityConfig(Section):
    """When a venue's data count as bad (docs/quality.md). Times are of the Clock pulses."""

    stale_ms: Annotated[int, Field(ge=1)] = 10_000
    """A book or quotes silent for longer, and longer than usual, are stale."""
    stale_trades_ms: Annotated[int, Field(ge=1)] = 60_000
    """The same for trades."""
    stale_factor: Annotated[float, Field(ge=1)] = 5.0
    """Longer than usual: so many times the longest silence of the last quarter of an hour."""
    crossed_ms: Annotated[int, Field(ge=0)] = 1_000
    """Best bid not below best ask for longer."""
    jump_bps: Annotated[float, Field(gt=0)] = 50.0
    """Mid price further from the other venues' than it usually is, basis points."""
    absurd_ratio: Annotated[float, Field(gt=1)] = 2.0
    """A trade at more than so many times the mid price, or less than one part of so many."""
    backwards_ms: Annotated[int, Field(ge=0)] = 2_000
    """Event time of a feed further back than the event before."""
    volume_ratio: Annotated[float, Field(gt=1)] = 10.0
    """Volume of about ten seconds over the largest such so far (it fades within the hour)."""
    outside_bps: Annotated[float, Field(gt=0)] = 100.0
    """A trade further beyond the best bid or ask, basis points."""
    learn_events: Annotated[int, Field(ge=1)] = 100
    """What is a usual silence is learnt from so many events of a feed before one is judged."""
    learn_s: Annotated[int, Field(ge=1)] = 60
    """Usual volumes and differences between venues are learnt for so many seconds."""
    clear_after_ms: Annotated[int, Field(ge=0)] = 5_000
    """A condition ends when nothing bad came for so long."""
    recover_s: Annotated[float, Field(gt=0)] = 60.0
    """The score goes from 0 to 1 in this time, seconds."""


class FeaturesConfig(Section):
    """Vectors of features (docs/features.md)."""

    enabled: bool = True
    decision_ms: Annotated[int, Field(ge=0)] = 1_000
    """A vector comes with the first Clock pulse of each such interval; below 1000 also with its
    first trade; 0: with every trade."""
    venues: tuple[str, ...] = (
        "binance-spot", "bybit-spot", "okx-spot",
        "binance-usdm", "bybit-linear", "okx-swap", "binance-coinm",
    )  # fmt: skip
    """A vector rests on the first of these that is usable."""
    stale_after_ms: Annotated[int, Field(ge=1)] = 10_000
    """A venue silent for longer is not usable, and its prices are not compared with others."""
    fees_bps: dict[str, Annotated[float, Field(ge=0)]] = {
        "binance-spot": 10.0, "bybit-spot": 10.0, "okx-spot": 10.0,
        "binance-usdm": 5.0, "bybit-linear": 5.5, "okx-swap": 5.0, "binance-coinm": 5.0,
    }  # fmt: skip
    """Taker fees by venue, basis points; a venue that is not named has 10."""


class ProcessorsConfig(Section):
    """All that shapes derived events."""

    symbols: tuple[str, ...] = ()
    """Canonical symbols to process; empty: all that are on the tape."""
    seen: SeenConfig = SeenConfig()
    books: BooksConfig = BooksConfig()
    bars: BarsConfig = BarsConfig()
    quality: QualityConfig = QualityConfig()
    reference: ReferenceConfig = ReferenceConfig()
    features: FeaturesConfig = FeaturesConfig()

    def canonical_json(self) -> str:
        """The one text form that is hashed and put on the tape."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def hash(self) -> str:
        """SHA-256 of version and configuration, lower-case hex."""
        return hashlib.sha256(f"{VERSION}\n{self.canonical_json()}".encode()).hexdigest()
