"""What comes from the features' catalogue: calls of a user's features, the Avro record, a page.

`tape features generate` writes all of it; the tests say when one of them is behind.
"""

import hashlib
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import processors.features.custom
from processors.features import market
from processors.features.catalogue import Feature
from processors.features.technical import RING
from schemas.errors import ConfigError

_CUSTOM = Path(processors.features.custom.__file__).parent
_DISPATCH = _CUSTOM / "dispatch.py"
_ROOT = _CUSTOM.parents[2]
AVRO = _ROOT / "schemas" / "avro" / "FeatureVector.avsc"
PAGE = _ROOT / "docs" / "features.md"
_HEAD = '''\
"""Calls of a user's own features. Written by `tape features generate`; do not edit."""
# ruff: noqa
# fmt: off

from typing import Any

import numba

from processors.features.catalogue import Feature
'''
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def custom_modules(folder: Path = _CUSTOM) -> list[ModuleType]:
    """A user's modules in the order of their names; ConfigError for one that is none."""
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.stem in {"__init__", "dispatch"}:
            continue
        if not _NAME.fullmatch(path.stem):
            raise ConfigError(f"{path}: its name has to be one that Python can import")
        try:
            module = importlib.import_module(f"{processors.features.custom.__name__}.{path.stem}")
        except Exception as error:
            raise ConfigError(
                f"{path} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        try:
            _check_module(module)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        found.append(module)
    return found


def _check_module(module: ModuleType) -> None:
    """ConfigError when it is not what `dispatch` can call."""
    features = getattr(module, "FEATURES", ())
    if not isinstance(features, tuple) or not features:
        raise ConfigError("FEATURES has to be a tuple of Feature, at least one")
    if not all(isinstance(each, Feature) for each in features):
        raise ConfigError("FEATURES has to be a tuple of Feature and nothing else")
    if hasattr(module, "on_bar") == hasattr(module, "on_decision"):
        raise ConfigError("define either on_bar or on_decision")
    hook, interval = ("on_bar", "1m") if hasattr(module, "on_bar") else ("on_decision", "decision")
    for each in features:
        if each.interval != interval:
            raise ConfigError(
                f"the interval of {each.name} is {each.interval!r}; with {hook} goes {interval!r}"
            )
    floats = integers = 0
    if hook == "on_bar":
        sizes = [getattr(module, name, None) for name in ("FLOATS", "INTEGERS")]
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ConfigError("with on_bar goes how much state it has: FLOATS and INTEGERS")
        floats, integers = module.FLOATS, module.INTEGERS
    _try(hook, getattr(module, hook), floats, integers, len(features))


def _try(hook: str, kernel: Any, floats: int, integers: int, width: int) -> None:
    """Compile and call it once, on zeros: what numba says of it is said here, not in a worker."""
    bars = hook == "on_bar"
    expected = 5 if bars else 3
    if not hasattr(kernel, "py_func"):
        raise ConfigError(f"{hook} has to be compiled: put `@numba.njit(...)` before it")
    if len(inspect.signature(kernel.py_func).parameters) != expected:
        wanted = "bars, count, floats, integers, out" if bars else "floats, integers, out"
        raise ConfigError(f"{hook} has to take ({wanted})")
    given: tuple[Any, ...] = (np.zeros((RING, 5)), 1) if bars else ()
    given += (
        np.zeros(floats if bars else market.FLOATS),
        np.zeros(integers if bars else market.INTEGERS, np.int64),
        np.zeros(width),
    )
    try:
        kernel(*given)
    except Exception as error:
        raise ConfigError(f"{hook} cannot be compiled or run:\n{str(error).strip()}") from error


def dispatch(modules: list[ModuleType]) -> str:
    """The text of `custom/dispatch.py`."""
    names = [module.__name__.rpartition(".")[2] for module in modules]
    of_bars = [n for n, m in zip(names, modules, strict=True) if hasattr(m, "on_bar")]
    of_decisions = [n for n in names if n not in of_bars]
    imports = [f"from processors.features.custom import {name}" for name in names]

    def total(of: list[str], attribute: str, empty: str) -> str:
        return " + ".join(f"{name}.{attribute}" for name in of) or empty

    lines = [*imports, ""] if imports else [""]
    lines += [
        "# Hashes of the modules' texts: another text, another version of the feature set.",
        f"SOURCES: tuple[str, ...] = {tuple(map(_source, modules))!r}",
        f"BAR_FEATURES: tuple[Feature, ...] = {total(of_bars, 'FEATURES', '()')}",
        f"BAR_FLOATS = {total(of_bars, 'FLOATS', '0')}",
        f"BAR_INTEGERS = {total(of_bars, 'INTEGERS', '0')}",
        f"DECISION_FEATURES: tuple[Feature, ...] = {total(of_decisions, 'FEATURES', '()')}",
    ]
    sizes = {name: module for name, module in zip(names, modules, strict=True)}
    calls, f, i, o = [], 0, 0, 0
    for name in of_bars:
        module = sizes[name]
        f2, i2, o2 = f + module.FLOATS, i + module.INTEGERS, o + len(module.FEATURES)
        calls.append(f"    {name}.on_bar(bars, count, floats[{f}:{f2}], integers[{i}:{i2}], "
                     f"out[{o}:{o2}])")  # fmt: skip
        f, i, o = f2, i2, o2
    lines += _function(
        "on_bar(bars: Any, count: int, floats: Any, integers: Any, out: Any)",
        "One bar further for each module with `on_bar`.", calls,
    )  # fmt: skip
    calls, o = [], 0
    for name in of_decisions:
        o2 = o + len(sizes[name].FEATURES)
        calls.append(f"    {name}.on_decision(floats, integers, out[{o}:{o2}])")
        o = o2
    lines += _function(
        "on_decision(floats: Any, integers: Any, out: Any)",
        "One decision for each module with `on_decision`; rows of an instrument as in `market`.",
        calls,
    )  # fmt: skip
    return _HEAD + "\n".join(lines) + "\n"


def _source(module: ModuleType) -> str:
    return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()[:12]


def _function(signature: str, doc: str, calls: list[str]) -> list[str]:
    return [
        "", "", '@numba.njit(cache=True, nogil=True, error_model="numpy")',
        f"def {signature} -> None:", f'    """{doc}"""', *calls,
    ]  # fmt: skip


def record() -> dict[str, Any]:
    """The Avro record of a vector: a nullable double, null by default, for each feature."""
    from processors.features import feature_set  # noqa: PLC0415 after dispatch.py is written

    fields = [
        {"name": each.name, "type": ["null", "double"], "doc": _doc(each), "default": None}
        for each in feature_set.FEATURES
    ]
    return {
        "type": "record",
        "name": "FeatureVector",
        "namespace": "tape",
        "doc": "The features of a symbol at a decision, from what precedes it and nothing else.",
        "feature_set": feature_set.version(),
        "fields": [*_head(feature_set.GROUPS), *fields],
    }


def _head(groups: tuple[str, ...]) -> list[dict[str, Any]]:
    """The fields before the features: those of every derived record, and what a vector is of."""
    head: list[dict[str, Any]] = json.loads((AVRO.parent / "ReferencePrice.avsc").read_text())[
        "fields"
    ][:5]
    bits = ", ".join(f"{1 << bit} {name}" for bit, name in enumerate(groups))
    return [
        *head,
        {"name": "venue", "type": "string",
         "doc": "Venue that technical, microstructure and regime features are of."},
        {"name": "feature_set", "type": "string",
         "doc": "Version of the feature set: of all formulas together."},
        {"name": "stale", "type": "int", "default": 0,
         "doc": f"Groups that rest on data that are old or excluded, bits: {bits}."},
        {"name": "fallback", "type": "int", "default": 0,
         "doc": "Groups of another venue than the first that is known, bits as in `stale`."},
    ]  # fmt: skip


def _doc(feature: Feature) -> str:
    return f"{feature.formula}; {feature.unit}."


def page() -> str:
    """The text of `docs/features.md`'s table."""
    from processors.features import feature_set  # noqa: PLC0415

    lines = []
    for group in feature_set.GROUPS:
        of_group = [each for each in feature_set.FEATURES if each.group == group]
        lines += [
            f"## {group[0].upper()}{group[1:]}: {len(of_group)}", "",
            "| name | formula | source | unit | range | inputs | warm-up | missing input |",
            "|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in (
                f"`{each.name}`", each.formula, each.source, each.unit,
                f"{each.low:g} to {each.high:g}", ", ".join(each.inputs),
                f"{each.warm_up} {_UNITS[each.interval]}", each.missing,
            )) + " |"
            for each in of_group
        ]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


_UNITS = {"1m": "bars of 1 m", "5m": "bars of 5 m", "decision": "s"}
_BEGIN = "<!-- what follows is written by `tape features generate` -->\n"


def documented(text: str) -> str:
    """A page with its generated part renewed."""
    return text.partition(_BEGIN)[0] + _BEGIN + "\n" + page()


def write() -> list[Path]:
    """Write all, and drop compiled kernels that are behind; the files.

    Record and page in a new process, since modules that are loaded stay as they are. ConfigError
    when that refuses; then all is as before.
    """
    before, text = _DISPATCH.read_text(), dispatch(custom_modules())
    if text != before:
        _DISPATCH.write_text(text)
    _drop_stale_kernels()
    code = "from tape.features.generate import write_rest; write_rest()"
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        _DISPATCH.write_text(before)
        _drop_stale_kernels()
        raise ConfigError(done.stderr.strip())
    return [_DISPATCH, AVRO, PAGE]


def _drop_stale_kernels() -> None:
    """Drop what numba keeps of kernels that call changed ones: it looks at their own file only."""
    for cache in _CUSTOM.parent.rglob("__pycache__"):
        folder = cache.parent
        # A user's features are called by the two kernels that have `dispatch` in.
        newest = max(
            path.stat().st_mtime
            for path in folder.rglob("*.py")
            if folder == _CUSTOM or path.parent != _CUSTOM
        )
        for cached in cache.glob("*.nb[ic]"):
            calls = folder == _CUSTOM.parent and cached.name.split(".")[0] in _CALLERS
            if calls or cached.stat().st_mtime < newest:
                cached.unlink()


_CALLERS = ("kernel", "indicators_kernel")


def write_rest() -> None:
    """Write record and page from the modules as they are now."""
    from processors.features import feature_set  # noqa: PLC0415

    try:
        check_features(feature_set.FEATURES, feature_set.GROUPS)
    except ConfigError as error:
        sys.exit(str(error))
    AVRO.write_text(record_text())
    PAGE.write_text(documented(PAGE.read_text() if PAGE.exists() else "# Features\n\n"))


def record_text() -> str:
    """The text of the Avro record's file."""
    return json.dumps(record(), indent=2, ensure_ascii=False) + "\n"


def check_features(features: tuple[Feature, ...], groups: tuple[str, ...]) -> None:
    """ConfigError when an entry cannot be a field of the vector."""
    counts = Counter(each.name for each in features)
    taken = {field["name"] for field in _head(groups)}
    for each in features:
        if counts[each.name] > 1 or each.name in taken:
            raise ConfigError(f"the name {each.name!r} is taken: give the feature another one")
        if not _NAME.fullmatch(each.name):
            raise ConfigError(f"the name {each.name!r} has to be letters, digits and _")
        if each.group not in groups:
            raise ConfigError(
                f"the group of {each.name} is {each.group!r}; there are {', '.join(groups)}"
            )
