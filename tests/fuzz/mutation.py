"""Cases out of samples: bytes changed by a seeded random source, the same for the same number."""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """What a target is fed: `body` is mutated, `head` says how to take it and seldom is."""

    head: bytes
    body: bytes


_TOKEN = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|[\[\]{},:]'
)
_NUMBERS = (
    b"0", b"-0", b"-1", b"1", b"0.0", b"1e-320", b"1e308", b"1e309", b"-1e308", b"1e5000", b"NaN",
    b"Infinity", b"-Infinity", b"127", b"65536", b"2147483648", b"4294967296",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808",
    b"18446744073709551616", b"4611686018427387904", b"1e18", b"4102444800001", b"253402300800000",
    b"1" * 400, b"0." + b"3" * 400,
)  # fmt: skip
_TOKENS = (
    *_NUMBERS,
    *(b'"' + number + b'"' for number in _NUMBERS),
    b"null", b"true", b"false", b"[]", b"{}", b'""', b"[[]]", b"[null]", b"[1,2]", b'["1","2"]',
    b'{"a":1}', b'" "', b'"\\u0000"', b'"\\ud800"', b'"\xc3\x84"', b'"\xff\xfe"', b'"."', b'"-"',
    b'"' + b"A" * 300 + b'"', b"[" * 200, b"[" * 100 + b"]" * 100, b'"http://["', b'"2020-13-01"',
    b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"', b'"2021-01-01T00:00:00+23:59"',
)  # fmt: skip
_BYTES = (
    b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x00" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7,
    b"\xff" * 7 + b"\x7f", b"\x80" + b"\x00" * 7, b"\x00" * 7 + b"\x80", b"\xff" * 9 + b"\x01",
    b"\x80" * 9 + b"\x01", b"\xff" * 10, b"\xfe" + b"\xff" * 8 + b"\x01",
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f", b"\x00\x00\x00\x00\x00\x00\xf0\x7f", b"\n", b"\r", b",",
    b'"', b"{", b"[", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04",
)  # fmt: skip
_MOST = 1 << 16


def mutated(seed: Case, others: Sequence[Case], pick: random.Random, text: bool) -> Case:
    """One to a few changes of a sample, `text`: mostly of whole tokens of JSON."""
    head, body = seed
    if pick.random() < 0.03:
        head = _changed(head, pick, others, True)
    for _ in range(1 + min(int(pick.expovariate(0.9)), 12)):
        body = _changed(body, pick, others, text)
    return Case(head, body[:_MOST])


def _changed(data: bytes, pick: random.Random, others: Sequence[Case], text: bool) -> bytes:
    if text and pick.random() < 0.7:
        return _tokens(data, pick)
    how = pick.choice(_HOW)
    if how is _spliced:
        return _spliced(data, pick, pick.choice(others).body)
    return how(data, pick, b"")


def _tokens(data: bytes, pick: random.Random) -> bytes:
    places = [found.span() for found in _TOKEN.finditer(data)]
    if not places:
        return pick.choice(_TOKENS)
    start, end = pick.choice(places)
    chance = pick.random()
    if chance < 0.6:
        return data[:start] + pick.choice(_TOKENS) + data[end:]
    first, last = pick.choice(places)
    if chance < 0.75:  # a token where another was
        return data[:start] + data[first:last] + data[end:]
    if chance < 0.9:
        return data[:start] + data[end:]
    return data[:end] + data[start:end] + data[end:]


def _flipped(data: bytes, pick: random.Random, _: bytes) -> bytes:
    if not data:
        return b"\x01"
    at = pick.randrange(len(data))
    return data[:at] + bytes((data[at] ^ (1 << pick.randrange(8)),)) + data[at + 1 :]


def _overwritten(data: bytes, pick: random.Random, _: bytes) -> bytes:
    new, at = pick.choice(_BYTES), pick.randrange(len(data) + 1)
    return data[:at] + new + data[at + len(new) :]


def _inserted(data: bytes, pick: random.Random, _: bytes) -> bytes:
    at = pick.randrange(len(data) + 1)
    new = pick.choice(_BYTES) if pick.random() < 0.7 else pick.randbytes(pick.randrange(1, 20))
    return data[:at] + new + data[at:]


def _deleted(data: bytes, pick: random.Random, _: bytes) -> bytes:
    at = pick.randrange(len(data) + 1)
    return data[:at] + data[at + 1 + int(pick.expovariate(0.1)) :]


def _repeated(data: bytes, pick: random.Random, _: bytes) -> bytes:
    at = pick.randrange(len(data) + 1)
    end = min(len(data), at + 1 + int(pick.expovariate(0.05)))
    return data[:end] + data[at:end] * pick.choice((1, 1, 1, 2, 50)) + data[end:]


def _cut(data: bytes, pick: random.Random, _: bytes) -> bytes:
    return data[: pick.randrange(len(data) + 1)]


def _spliced(data: bytes, pick: random.Random, other: bytes) -> bytes:
    return data[: pick.randrange(len(data) + 1)] + other[pick.randrange(len(other) + 1) :]


_HOW: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    _flipped, _flipped, _overwritten, _overwritten, _inserted, _deleted, _repeated, _cut, _spliced,
)  # fmt: skip
