"""Which features are worth their place: clusters, importance and stability over past data.

In: a frame of features by time and symbol, with a label or a price to make one from. Out: a
`Selection` that says which columns to keep and why, written as JSON, and its report in HTML.
The way of a frame: frame (samples) → clusters → importance (over folds) → drift → select → report.
Research, not part of a running tape: it needs the extra `research`.
"""

from importlib.util import find_spec

from schemas.errors import ConfigError

if missing := [name for name in ("sklearn", "scipy", "matplotlib") if find_spec(name) is None]:
    raise ConfigError(
        f"feature selection needs {', '.join(missing)}: install Tape with its extra `research`"
    )

from tape.selection.options import SelectionOptions
from tape.selection.selection import Selection, select

__all__ = ["Selection", "SelectionOptions", "select"]
