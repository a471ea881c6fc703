"""Instruments: only changes reach the tape, and what they mean is said."""

import msgspec

from schemas.events import Event, FeedStatus, Instrument
from venues.live.instruments import DELISTED, Listings


def instrument(name: str = "BTCUSDT", **changes: object) -> Instrument:
    plain = Instrument(
        venue="binance-spot", symbol=f"{name[:3]}-USDT", event_time=1, receive_time=1,
        venue_symbol=name, kind="SPOT", base=name[:3], quote="USDT", settle="USDT",
        status="TRADING", tick_size="0.01", lot_size="0.00001", min_quantity="", min_notional="5",
        contract_size="1",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def told(events: list[Event]) -> list[str]:
    return [
        f"{event.status} {event.channel}" if isinstance(event, FeedStatus) else event.status
        for event in events
        if isinstance(event, Instrument | FeedStatus)
    ]


def test_the_same_list_again_is_no_change() -> None:
    listings = Listings()
    assert told(listings.follow(instrument())) == ["TRADING"]
    assert listings.follow(instrument(receive_time=2)) == []
    assert (
        listings.update([instrument(event_time=9, receive_time=9), instrument("ETHUSDT")], 9) == []
    )


def test_a_changed_step_is_told_once() -> None:
    listings = Listings()
    listings.follow(instrument())
    (event,) = listings.update([instrument(tick_size="0.1")], 9)
    assert isinstance(event, Instrument)
    assert event.tick_size == "0.1"
    assert listings.update([instrument(tick_size="0.1")], 10) == []


def test_a_halt_and_its_end_are_told_with_a_status() -> None:
    listings = Listings()
    listings.follow(instrument())
    assert told(listings.update([instrument(status="BREAK")], 9)) == ["BREAK", "OTHER *"]
    assert told(listings.update([instrument()], 10)) == ["TRADING", "OTHER *"]


def test_a_symbol_that_is_listed_no_more_is_lost() -> None:
    listings = Listings()
    listings.follow(instrument())
    assert told(listings.update([instrument("ETHUSDT")], 9)) == [DELISTED, "LOST *"]
    assert listings.update([instrument("ETHUSDT")], 10) == []
