"""The method `lexicon`: a word list of finance and crypto, and rules for how words act together.

The rules, each with a test of its name: the longest phrase counts; a direction is good or bad by
what it is said of ("liquidations soar"); an undoing turns around what it undoes ("lawsuit
dismissed"); so does a negation; words make others stronger or weaker; doubt weakens the whole;
what stands before a "but" and after a "despite" counts for less. No word of it is looked up
outside a clause. Sums only, and one square root: the same bits on every machine.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from math import sqrt

from venues.sentiment.words import Entry, Words, words

# How far words act, in words.
_NEGATION = 3
_UNDOING = 4
_SUBJECT = 4
_STRENGTH = 2
# Something turned around is weaker than its opposite: "not good" is not "bad".
_TURNED = 0.7
# A total of this gives a score of 0.71.
_HALFWAY = 1.0
# A text adds at most this to the title's total, and is read so far: news says first what is new.
_TEXT_SHARE = 0.5
_TEXT_READ = 1_000
_QUESTION = 0.6
_LARGE_MOVE = 1.3
_LARGE_PERCENT = 10.0

_TAG = re.compile(r"<[^>]*>")
_JOINED = re.compile(r"(?<=\w)[-/–—](?=\w)")
_TOKEN = re.compile(r"\$?\d[\d.,]*%?|[a-z][a-z0-9&.]*(?:'[a-z]+)?|[,;:?!|()]|\s[-–—]\s")
_BREAKS = frozenset(",;:?!|()")


@dataclass(slots=True)
class _Term:
    """A phrase found in a clause."""

    at: int
    entry: Entry
    value: float


class LexiconScorer:
    """Scores by words and rules.

    >>> scorer = LexiconScorer()
    >>> scorer.score("Bitcoin soars to all-time high", None) > 0.5
    True
    >>> scorer.score("Exchange halts withdrawals after hack", None) < -0.5
    True
    >>> scorer.score("Bitcoin conference opens in Lisbon", None)
    0.0
    """

    name = "lexicon"
    version = "1"

    def __init__(self, known: Words | None = None) -> None:
        self._words = known or words()

    def score(self, title: str, text: str | None) -> float:
        """-1 to 1, rounded to four places; a text counts for less than the title."""
        total = self._total(title)
        if text:
            total += _TEXT_SHARE * _bounded(self._total(text[:_TEXT_READ]))
        return round(_bounded(total), 4) + 0.0

    def _total(self, text: str) -> float:
        tokens = tokenize(text)
        total, doubt = 0.0, 1.0
        for clause in _clauses(tokens):
            value, doubted = self._clause(clause)
            _, first = self._words.match(clause, 0)
            if first is not None and first.kind == "but":
                total *= first.weight
            total += value
            doubt = min(doubt, doubted)
        if tokens and tokens[-1] == "?":
            doubt *= _QUESTION
        return total * doubt

    def _clause(self, tokens: list[str]) -> tuple[float, float]:
        """What a clause says, and by how much the headline is to be doubted for it."""
        terms, doubt = [], 1.0
        at = 0
        while at < len(tokens):
            length, entry = self._words.match(tokens, at)
            if entry is not None:
                if entry.kind == "doubt":
                    doubt = min(doubt, entry.weight)
                elif entry.kind != "plain":
                    terms.append(_Term(at, entry, entry.weight))
            at += length
        if not terms:
            return 0.0, doubt
        _direct(terms, tokens)
        _undo(terms)
        _strengthen(terms)
        _negate(terms)
        return _weigh(terms), doubt


def _bounded(total: float) -> float:
    """A total of any size to between -1 and 1; square roots are the same everywhere."""
    return total / sqrt(total * total + _HALFWAY)


def tokenize(text: str) -> list[str]:
    """Words, numbers and marks, in lower case, without tags; hyphens part words.

    >>> tokenize("BTC's sell-off: <b>-5%</b>, or worse?")
    ['btc', 'sell', 'off', ':', '5%', ',', 'or', 'worse', '?']
    """
    text = unescape(_TAG.sub(" ", text)).lower().replace("’", "'").replace("‘", "'")
    tokens = _TOKEN.findall(_JOINED.sub(" ", text))
    return [_bare(token) for token in tokens]


def _bare(token: str) -> str:
    """Without a possessive ending and full stops at the end; a dash between words is a colon."""
    if token[0].isspace():
        return ":"
    return token.removesuffix("'s").rstrip(".") if token[0].isalpha() else token


def _clauses(tokens: list[str]) -> Iterator[list[str]]:
    clause: list[str] = []
    for token in tokens:
        if token in _BREAKS:
            if clause:
                yield clause
            clause = []
        else:
            clause.append(token)
    if clause:
        yield clause


def _near(terms: list[_Term], term: _Term, kinds: tuple[str, ...], reach: int) -> _Term | None:
    """The nearest term of these kinds, what comes after it first."""
    found = [
        other
        for other in terms
        if other is not term and other.entry.kind in kinds and abs(other.at - term.at) <= reach
    ]
    return min(found, key=lambda other: (abs(other.at - term.at), -other.at), default=None)


def _direct(terms: list[_Term], tokens: list[str]) -> None:
    """Say of each direction whether it is good or bad by what it is said of."""
    for term in terms:
        if term.entry.kind in ("burden", "aside"):
            direction = _near(terms, term, ("rise", "fall"), _SUBJECT)
            if direction is not None:
                term.value = 0.0
                direction.value *= -1.0 if term.entry.kind == "burden" else 0.0
        elif term.entry.kind in ("rise", "fall"):
            large = any(_large(token) for token in tokens[term.at : term.at + 4])
            term.value *= _LARGE_MOVE if large else 1.0


def _large(token: str) -> bool:
    number = token.rstrip("%").replace(",", "")
    try:
        return token.endswith("%") and float(number) >= _LARGE_PERCENT
    except ValueError:
        return False


def _undo(terms: list[_Term]) -> None:
    """Turn around what is undone, the nearest good or bad thing; it speaks for both then."""
    for term in terms:
        if term.entry.kind != "undo":
            continue
        target = _near(terms, term, ("good", "bad", "burden"), _UNDOING)
        if target is not None and target.value:
            target.value *= -_TURNED
            term.value = 0.0


def _strengthen(terms: list[_Term]) -> None:
    for place, term in enumerate(terms):
        if term.entry.kind in ("strong", "weak"):
            term.value = 0.0
            if place + 1 < len(terms) and terms[place + 1].at - term.at <= _STRENGTH:
                terms[place + 1].value *= term.entry.weight


def _negate(terms: list[_Term]) -> None:
    for place, term in enumerate(terms):
        if term.entry.kind != "not":
            continue
        term.value = 0.0
        following = (other for other in terms[place + 1 :] if other.value)
        target = next(following, None)
        if target is not None and target.at - term.at <= _NEGATION:
            target.value *= -term.entry.weight


def _weigh(terms: list[_Term]) -> float:
    """The sum; less of what stands before the last "but" and after the first "despite"."""
    buts = [term for term in terms if term.entry.kind == "but"]
    despites = [term for term in terms if term.entry.kind == "despite"]
    total = 0.0
    for term in terms:
        value = term.value
        if term.entry.kind in ("but", "despite"):
            continue
        if buts and term.at < buts[-1].at:
            value *= buts[-1].entry.weight
        if despites and term.at > despites[0].at:
            value *= despites[0].entry.weight
        total += value
    return total
