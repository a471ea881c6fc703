"""Methods by name, and methods of others."""

import pytest

from schemas.errors import ConfigError
from venues.sentiment import DEFAULT, method, scorer


class Optimist:
    """A method from outside."""

    name = "optimist"
    version = "3"

    def score(self, title: str, text: str | None) -> float:
        return 1.0


class Nothing:
    """No method."""


def test_the_default_is_a_name_that_is_known() -> None:
    assert method(scorer()) == f"{DEFAULT}-{scorer().version}"


def test_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"sentiment: no method 'lexcon'; did you mean 'lexicon'"):
        scorer("lexcon")
    with pytest.raises(ConfigError, match=r"no method 'zzz'; there are: lexicon"):
        scorer("zzz")


def test_another_method_is_plugged_in_by_module_and_class() -> None:
    found = scorer(f"{__name__}:Optimist")
    assert (method(found), found.score("crash", None)) == ("optimist-3", 1.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Scorer", "was not found"),
        (f"{__name__}:Missing", "was not found"),
        (f"{__name__}:Nothing", "has no name, version, score"),
        (":", "was not found"),
    ],
)
def test_what_is_no_method_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scorer(name)
