"""Scores of headlines: how good or bad a piece of news is for who holds what it is about.

In: a title and, where given, a text. Out: a number from -1 (bad) to 1 (good), the same on every
machine and at every time. `scorer(name)` gives the method that a setting names.
"""

from venues.sentiment.registry import DEFAULT, scorer
from venues.sentiment.scorer import Scorer, method

__all__ = ["DEFAULT", "Scorer", "method", "scorer"]
