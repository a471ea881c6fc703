"""The word list: `words.txt` read into phrases with what they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from schemas.errors import ConfigError

Kind = Literal[
    "good", "bad", "rise", "fall", "burden", "aside", "undo", "not", "strong", "weak", "doubt",
    "but", "despite", "plain",
]  # fmt: skip
Phrase = tuple[str, ...]

_PATH = Path(__file__).with_name("words.txt")
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a phrase does."""

    kind: Kind
    weight: float


@dataclass(frozen=True, slots=True)
class Words:
    """All phrases, by their first word, the longest first."""

    by_first: dict[str, list[tuple[Phrase, Entry]]]

    def match(self, tokens: list[str], at: int) -> tuple[int, Entry | None]:
        """How many tokens the longest phrase at a place has, and what it does; else 1, None."""
        for phrase, entry in self.by_first.get(tokens[at], ()):
            if len(phrase) == 1 or tuple(tokens[at : at + len(phrase)]) == phrase:
                return len(phrase), entry
        return 1, None


@cache
def words() -> Words:
    """The word list that comes with Tape."""
    return parse(_PATH.read_text(encoding="utf-8"))


def parse(text: str) -> Words:
    """A word list out of its text; ConfigError names the line that is wrong.

    A form that `~` made gives way to an entry that was written out.
    """
    written: dict[Phrase, Entry] = {}
    made: dict[Phrase, Entry] = {}
    for entry, spelled in _entries(text):
        stem = spelled.removeprefix("~")
        first, *rest = stem.replace("-", " ").split()
        if (first, *rest) in written:
            raise ConfigError(f"word list: {stem!r} is there twice")
        written[first, *rest] = entry
        if spelled.startswith("~"):
            for form in forms(first):
                made.setdefault((form, *rest), entry)
    by_first: dict[str, list[tuple[Phrase, Entry]]] = {}
    for phrase, entry in {**made, **written}.items():
        by_first.setdefault(phrase[0], []).append((phrase, entry))
    for phrases in by_first.values():
        phrases.sort(key=lambda one: -len(one[0]))
    return Words(by_first)


def _entries(text: str) -> Iterator[tuple[Entry, str]]:
    entry: Entry | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            entry = _section(line, number)
            continue
        if entry is None:
            raise ConfigError(f"word list, line {number}: words before the first section")
        yield from ((entry, word) for part in line.split(",") if (word := part.strip()))


def _section(line: str, number: int) -> Entry:
    kind, _, weight = line.partition(" ")
    try:
        if kind not in get_args(Kind):
            raise ValueError
        value = float(weight)
    except ValueError:
        raise ConfigError(
            f"word list, line {number}: {line!r} is no section; it is `kind weight`, with a kind "
            f"of {', '.join(get_args(Kind))}"
        ) from None
    return Entry(kind, -value if kind in ("bad", "fall") else value)  # type: ignore[arg-type]  # checked above


def forms(verb: str) -> set[str]:
    """The regular forms of a verb, or noun; too many rather than too few.

    >>> sorted(forms("rally"))
    ['rallied', 'rallies', 'rally', 'rallying']
    >>> sorted(forms("ban"))
    ['ban', 'baned', 'baning', 'banned', 'banning', 'bans']
    """
    if verb.endswith("e"):
        return {verb, verb + "s", verb + "d", verb[:-1] + "ing"}
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return {verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"}
    plural = "es" if verb.endswith(("s", "x", "z", "ch", "sh")) else "s"
    found = {verb, verb + plural, verb + "ed", verb + "ing"}
    if len(verb) > 2 and verb[-1] not in _VOWELS + "wxy" and verb[-2] in _VOWELS:
        found |= {verb + verb[-1] + "ed", verb + verb[-1] + "ing"}
    return found
