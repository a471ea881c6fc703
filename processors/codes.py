"""Numbers of the event kinds as kernels know them.

Compiled kernels are cached with these numbers in them: add new ones at the end, never renumber.
"""

from typing import Final

import numpy as np

from schemas import catalogue

OTHER: Final = 0
TRADE: Final = 1
BOOK_SNAPSHOT: Final = 2
BOOK_DELTA: Final = 3
QUOTE: Final = 4
KLINE: Final = 5
FEED_STATUS: Final = 6
CLOCK: Final = 7
MARK_PRICE: Final = 8
FUNDING: Final = 9
NEWS: Final = 10
SENTIMENT_INDEX: Final = 11

_CODES = {
    "Trade": TRADE,
    "BookSnapshot": BOOK_SNAPSHOT,
    "BookDelta": BOOK_DELTA,
    "Quote": QUOTE,
    "Kline": KLINE,
    "FeedStatus": FEED_STATUS,
    "Clock": CLOCK,
    "MarkPrice": MARK_PRICE,
    "Funding": FUNDING,
    "News": NEWS,
    "SentimentIndex": SENTIMENT_INDEX,
}

# By `Batch.kind`; the last entry serves kind -1, what could not be decoded.
BY_KIND = np.array([*(_CODES.get(record, OTHER) for record in catalogue.RECORDS), OTHER], np.int64)
