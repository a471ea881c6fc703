"""All targets by name; made when they are asked for, since some compile kernels."""

from collections.abc import Callable

from tests.fuzz.control_targets import ConfigTarget, ControlTarget
from tests.fuzz.file_target import FileTarget
from tests.fuzz.log_targets import DecodeTarget, RecordBatchTarget, SchemaTarget, SpoolTarget
from tests.fuzz.pipeline_target import PipelineTarget
from tests.fuzz.target import Target
from tests.fuzz.venue_targets import DialectTarget, FeedTarget, NewsTarget

TARGETS: dict[str, Callable[[], Target]] = {
    "feed-binance": lambda: FeedTarget("binance"),
    "feed-bybit": lambda: FeedTarget("bybit"),
    "feed-okx": lambda: FeedTarget("okx"),
    "news": NewsTarget,
    "dialects": DialectTarget,
    "record-batch": RecordBatchTarget,
    "decode": DecodeTarget,
    "schemas": SchemaTarget,
    "pipeline": PipelineTarget,
    "spool": SpoolTarget,
    "import": FileTarget,
    "configuration": ConfigTarget,
    "control": ControlTarget,
}
# Cases of each thousand.
SHARES = {
    "feed-binance": 120, "feed-bybit": 100, "feed-okx": 100, "news": 60, "dialects": 60,
    "record-batch": 120, "decode": 180, "schemas": 30, "pipeline": 50, "spool": 60, "import": 50,
    "configuration": 20, "control": 50,
}  # fmt: skip
# Compiled kernels read these bytes: the long form checks their every index.
KERNELS = {"record-batch", "decode", "pipeline"}
