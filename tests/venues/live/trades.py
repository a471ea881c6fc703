"""Trades for tests: short to write, short to read."""

from collections.abc import Iterable

from schemas.events import Trade


def trade(
    number: int | str, time_us: int = 0, venue: str = "binance-spot", **other: object
) -> Trade:
    """A trade by id; numbered ones happen a microsecond times their number, if no time is given."""
    time_us = time_us or (number if isinstance(number, int) else 0)
    fields = {"count": 1, "backfilled": False, "receive_time": time_us, **other}
    return Trade(
        venue=venue, symbol="BTC-USDT", event_time=time_us, trade_id=str(number), price=1.0,
        quantity=1.0, aggressor_side="BUY", kind="MARKET", **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def ids(trades: Iterable[Trade]) -> list[str]:
    return [trade.trade_id for trade in trades]
