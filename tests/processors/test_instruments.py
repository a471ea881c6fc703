"""Interning finds the same instruments as a dict would."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.instruments import INVERSE, LINEAR, SPOT, UNKNOWN_KIND, Instruments
from processors.work import open_work
from tests.processors.batches import batch
from tests.processors.events import clock, feed, quote, trade

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_each_event_gets_the_instrument_of_its_names(pairs: list[tuple[str, str]]) -> None:
    instruments = Instruments()
    makers = (
        lambda venue, symbol: trade(1, 1.0, venue=venue, symbol=symbol),
        lambda venue, symbol: quote(2, 1.0, 2.0, venue=venue, symbol=symbol),
        lambda venue, symbol: feed(3, "LOST", "*", venue=venue, symbol=symbol),
    )
    events = [makers[n % 3](*pair) for n, pair in enumerate(pairs)]
    work = open_work(batch([*events, clock(4)]), instruments)
    assert work.instrument[-1] == -1
    assert work.event_time.tolist() == [event.event_time for event in events] + [
        clock(4).event_time
    ]
    text = instruments.text.tobytes()
    for (venue, symbol), index in zip(pairs, work.instrument.tolist(), strict=False):
        venue_start, venue_length, symbol_start, symbol_length = instruments.spans[index].tolist()
        assert text[venue_start : venue_start + venue_length] == venue.encode()
        assert text[symbol_start : symbol_start + symbol_length] == symbol.encode()
        assert instruments.symbol_names[instruments.symbols[index]] == symbol
    assert len(instruments) == len(set(pairs))


def test_thousands_of_instruments_keep_their_names() -> None:
    instruments = Instruments()
    pairs = [(f"venue-{n % 7}", f"SYMBOL{n}-USDT") for n in range(3_000)]
    first = open_work(batch([trade(0, 1.0, venue=v, symbol=s) for v, s in pairs]), instruments)
    again = open_work(
        batch([trade(0, 1.0, venue=v, symbol=s) for v, s in reversed(pairs)]), instruments
    )
    assert first.instrument.tolist() == list(range(3_000))
    assert again.instrument.tolist() == list(range(3_000))[::-1]


def test_venues_have_their_kinds() -> None:
    instruments = Instruments()
    for venue in (b"okx-spot", b"bybit-linear", b"binance-coinm", b"nowhere"):
        instruments.add(venue, b"BTC-USD")
    assert instruments.kinds.tolist() == [SPOT, LINEAR, INVERSE, UNKNOWN_KIND]


def test_order_is_by_the_bytes_of_symbol_then_venue() -> None:
    instruments = Instruments()
    for venue, symbol in (("b", "Z"), ("a", "Z"), ("z", "Ä"), ("c", "A")):
        instruments.add(venue.encode(), symbol.encode())
    assert instruments.order().tolist() == [3, 1, 0, 2]
