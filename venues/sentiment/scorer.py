"""What a method of scoring is: the seam that others plug into."""

from typing import Protocol


class Scorer(Protocol):
    """A method that scores headlines; pure: the same words give the same score, always."""

    @property
    def name(self) -> str:
        """What the setting `collector.news.sentiment` calls it."""

    @property
    def version(self) -> str:
        """Changes whenever any score may change."""

    def score(self, title: str, text: str | None) -> float:
        """From -1 (bad news) to 1 (good news); 0 where nothing is said."""


def method(scorer: Scorer) -> str:
    """Name and version in one, as `News.sentiment_method` has it: `lexicon-1`."""
    return f"{scorer.name}-{scorer.version}"
