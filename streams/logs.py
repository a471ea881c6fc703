"""Structured logs: JSON lines, or readable on a terminal; secrets masked; libraries included."""

import logging
import re
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

from streams.config import TelemetryConfig

MASK = "********"
_SECRET_KEY = re.compile(r"passw|secret|token|api_?key|credential", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@", re.IGNORECASE)
_SECRET_IN_QUERY = re.compile(r"([?&](?:auth_token|api_?key|token|signature)=)[^&\s\"']+", re.I)
# What libraries tell at their level `info` is of no use to who runs Tape. Faust's services log
# under the module of their class, and our transport's are such.
_QUIET = (
    *("faust", "aiokafka", "mode", "asyncio", "librdkafka", "httpx", "httpcore"),
    "streams.transport",
)
# So often at most may one of them say the same: it is 20 times a second of a broker that is away.
_REPEAT_S = 30.0
_MOST_KEPT = 1_000
# Local variables are left out: a client's configuration among them holds its password.
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

Entry = MutableMapping[str, Any]


def set_up(config: TelemetryConfig, **context: Any) -> None:
    """Set logging up for this process; `context` is in every line of it."""
    as_json = config.log_format == "json" or (
        config.log_format == "auto" and not sys.stderr.isatty()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Any] = (
        [_tracebacks, mask, structlog.processors.JSONRenderer()]
        if as_json
        else [
            mask,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_OnceInAWhile())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(
            logging.DEBUG if config.log_level == "debug" else logging.WARNING
        )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)


class _OnceInAWhile(logging.Filter):
    """Lets what a library repeats pass once in half a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_QUIET) or record.levelno <= logging.DEBUG:
            return True
        # What differs from one librdkafka line to the next is after how long, how often.
        told = record.name, record.getMessage().partition("(after ")[0]
        now = time.monotonic()
        if now - self._passed.get(told, -_REPEAT_S) < _REPEAT_S:
            return False
        if len(self._passed) >= _MOST_KEPT:
            self._passed.clear()
        self._passed[told] = now
        return True


def logger(name: str) -> Any:
    """A logger: `log.info("snapshot_written", partition=3)`, events rather than sentences."""
    return structlog.stdlib.get_logger(name)


def mask(_logger: Any, _method: str, entry: Entry) -> Entry:
    """Mask secrets: values of telling names, passwords and keys in URLs."""
    for key, value in entry.items():
        entry[key] = _masked(key, value)
    return entry


def _masked(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, str):
        value = _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", value)
        return _SECRET_IN_QUERY.sub(rf"\g<1>{MASK}", value)
    if isinstance(value, dict):
        return {inner: _masked(str(inner), part) for inner, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", part) for part in value]
    return value
