"""The methods of scoring by name."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from schemas.errors import ConfigError
from venues.sentiment.lexicon import LexiconScorer
from venues.sentiment.scorer import Scorer

DEFAULT = "lexicon"
SCORERS: dict[str, Callable[[], Scorer]] = {"lexicon": LexiconScorer}


@cache
def scorer(name: str = DEFAULT) -> Scorer:
    """The method of a name, or what `module:Class` names, made without arguments.

    ConfigError for a name that is not known, with the nearest one.
    """
    make = SCORERS.get(name)
    if make is not None:
        return make()
    if ":" in name:
        return _imported(name)
    near = get_close_matches(name, SCORERS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
        f"collector.news.sentiment: no method {name!r}; {hint}there are: {', '.join(SCORERS)}, "
        "and any class of yours as module:Class"
    )


def _imported(name: str) -> Scorer:
    module, _, attribute = name.partition(":")
    try:
        found: Scorer = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"collector.news.sentiment: {name!r} was not found: {error}") from None
    missing = [part for part in ("name", "version", "score") if not hasattr(found, part)]
    if missing:
        raise ConfigError(f"collector.news.sentiment: {name!r} has no {', '.join(missing)}")
    return found
