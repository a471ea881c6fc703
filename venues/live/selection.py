"""Which instruments are collected: the configured symbols among what each venue lists.

A canonical symbol names a spot pair on spot venues and the perpetual elsewhere; a dated contract
has its date in its symbol.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import ConfigError
from schemas.events import Instrument

TRADING = frozenset(("TRADING", "Trading", "live"))
"""The venues' words for an instrument that trades."""
_DATED = "_FUTURE"


@dataclass(frozen=True, slots=True)
class Selection:
    """The instruments to collect, by venue, and what is not everywhere, said by name."""

    instruments: dict[str, tuple[Instrument, ...]]
    warnings: tuple[str, ...]


def trades(instrument: Instrument) -> bool:
    """Whether the venue trades an instrument now."""
    return instrument.status in TRADING


def select(listed: Mapping[str, Iterable[Instrument]], symbols: Sequence[str]) -> Selection:
    """Choose among the venues' instrument lists.

    ConfigError, with the nearest symbols that trade, for a symbol that trades on no venue and for
    a venue on which none of the symbols trade. A symbol that some of the venues do not trade, be
    it for a while, is a warning: a collector that starts anew during a halt collects the rest.
    """
    known = {venue: _by_symbol(venue, found) for venue, found in listed.items()}
    problems = [
        *(_unknown(symbol, known) for symbol in symbols if not _anywhere(symbol, known)),
        *(
            _bare(venue, found, symbols)
            for venue, found in known.items()
            if not _any(found, symbols)
        ),
    ]
    if problems:
        raise ConfigError("the symbols cannot be collected:\n  " + "\n  ".join(problems))
    warnings = [
        f"{symbol} {_state(found.get(symbol))} on {venue}: not collected there"
        for venue, found in known.items()
        for symbol in dict.fromkeys(symbols)
        if not _trading(found, symbol)
    ]
    chosen = {venue: _of(found, symbols) for venue, found in known.items()}
    return Selection(chosen, tuple(warnings))


def select_of(
    venue: str, listed: Iterable[Instrument], symbols: Sequence[str]
) -> tuple[Instrument, ...]:
    """Those of the symbols that one venue trades now, in the symbols' order; none is no error."""
    return _of(_by_symbol(venue, listed), symbols)


def _of(found: Mapping[str, Instrument], symbols: Sequence[str]) -> tuple[Instrument, ...]:
    return tuple(found[each] for each in dict.fromkeys(symbols) if _trading(found, each))


def _by_symbol(venue: str, instruments: Iterable[Instrument]) -> dict[str, Instrument]:
    """A venue's instruments by symbol; of several under one, the first that trades."""
    found: dict[str, Instrument] = {}
    for each in instruments:
        if each.venue != venue or each.kind == "OTHER":
            continue
        before = found.get(each.symbol)
        if before is None or (trades(each) and not trades(before)):
            found[each.symbol] = each
    return found


def _trading(found: Mapping[str, Instrument], symbol: str) -> bool:
    return symbol in found and trades(found[symbol])


def _any(found: Mapping[str, Instrument], symbols: Sequence[str]) -> bool:
    return any(_trading(found, symbol) for symbol in symbols)


def _anywhere(symbol: str, known: Mapping[str, Mapping[str, Instrument]]) -> bool:
    return any(_trading(found, symbol) for found in known.values())


def _state(instrument: Instrument | None) -> str:
    return "is not listed" if instrument is None else f"does not trade ({instrument.status})"


def _unknown(symbol: str, known: Mapping[str, Mapping[str, Instrument]]) -> str:
    states = {venue: found.get(symbol) for venue, found in known.items()}
    halted = [f"{venue} ({each.status})" for venue, each in states.items() if each is not None]
    said = f"is listed on {', '.join(halted)} but does not trade" if halted else "is on no venue"
    near = "; ".join(
        f"{venue}: {', '.join(names)}"
        for venue, found in known.items()
        if (names := nearest(symbol, found))
    )
    return f"{symbol!r} {said}; nearest that trade: {near or 'none'}"


def _bare(venue: str, found: Mapping[str, Instrument], symbols: Sequence[str]) -> str:
    near = dict.fromkeys(name for symbol in symbols for name in nearest(symbol, found))
    return (
        f"{venue} trades none of {', '.join(symbols)}; nearest that trade there: "
        f"{', '.join(near) or 'none'}; take it out of `venues` or add one of them to `symbols`"
    )


def nearest(symbol: str, found: Mapping[str, Instrument]) -> list[str]:
    """Up to three symbols that trade and are most like one; dated contracts only to a dated one."""
    dated = symbol.count("-") > 1
    names = [
        each.symbol
        for each in found.values()
        if trades(each) and (dated or not each.kind.endswith(_DATED))
    ]
    return difflib.get_close_matches(symbol.upper(), names, n=3, cutoff=0.6)
