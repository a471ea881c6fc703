"""How far labels are TextBlob's polarity; runs in an environment of its own.

Argument: a JSON file, a list of [class, polarity, title, text]. Prints one JSON object.
"""

import json
import sys
from pathlib import Path

from textblob import TextBlob


def _class(polarity: float) -> str:
    return "positive" if polarity > 0 else "negative" if polarity < 0 else "neutral"


def main() -> None:
    """Compare the labels with what TextBlob says of the texts, and of the titles."""
    rows = json.loads(Path(sys.argv[1]).read_text())
    found = {}
    for name, place in (("title", 2), ("text", 3)):
        polarities = [TextBlob(row[place]).sentiment.polarity for row in rows]
        pairs = list(zip(rows, polarities, strict=True))
        found[name] = {
            # The file has two decimals, cut or rounded.
            "same_polarity": sum(abs(p - row[1]) < 0.0101 for row, p in pairs) / len(rows),
            "same_class": sum(_class(p) == row[0] for row, p in pairs) / len(rows),
        }
    print(json.dumps(found))


main()
