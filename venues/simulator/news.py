"""Headlines that move prices, in the shape of CryptoPanic's API."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from venues.simulator.parameters import STEP_US

POSTS_URL = "https://cryptopanic.com/api/v1/posts/?public=true"
NAMES = {
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "BNB": "BNB",
    "XRP": "XRP",
    "DOGE": "Dogecoin",
    "ADA": "Cardano",
}
PUBLISHERS = (
    ("coinledger.example", "Coin Ledger"),
    ("blockwire.example", "Blockwire"),
    ("chainpost.example", "Chain Post"),
    ("marketdesk.example", "Market Desk"),
)
GOOD = (
    "{name} surges as institutional demand hits record high",
    "Major bank approves {name} custody, adoption gains",
    "{name} rallies after successful upgrade, developers celebrate",
    "Fund inflows into {name} soar, analysts bullish",
    "Court ruling is a big win for {name} holders",
)
BAD = (
    "{name} plunges after exchange hack, losses feared",
    "Regulator sues over {name} products, fears of ban grow",
    "{name} slumps as outage halts withdrawals",
    "Large {name} holder sells, panic and liquidations follow",
    "Critical bug found in {name} client, price crashes",
)
NEUTRAL = (
    "{name} trades sideways as traders wait for data",
    "Weekly report: what happened to {name}",
    "Conference on {name} opens in Lisbon",
)
NEUTRAL_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Headline:
    """A post, and what it will do to the price."""

    news_id: int
    published_us: int
    symbol: int
    """Index of the symbol that it moves."""
    base: str
    sentiment: float
    """-1 to 1; 0 for headlines that say nothing."""
    title: str
    publisher: int
    votes: tuple[int, int, int]
    """Negative, positive, important."""


class Newsroom:
    """Headlines as a Poisson process."""

    def __init__(
        self,
        random: np.random.Generator,
        bases: list[str],
        per_hour: float,
        last_id: int = 21_000_000,
    ) -> None:
        self._random = random
        self._bases = bases
        self._per_hour = per_hour
        self._last_id = last_id

    def headlines(self, start_us: int, end_us: int) -> list[Headline]:
        """What is published in [start, end), in order."""
        expected = self._per_hour * (end_us - start_us) / 3.6e9
        count = int(self._random.poisson(expected))
        times = np.sort(self._random.integers(start_us, end_us, count))
        return [self.write(int(time)) for time in times]

    def write(self, published_us: int) -> Headline:
        """The next headline, of a given time."""
        random = self._random
        self._last_id += int(random.integers(1, 40))
        symbol = int(random.integers(len(self._bases)))
        neutral, size, side, choice = random.random(4)
        sentiment = 0.0
        if neutral >= NEUTRAL_SHARE:
            sentiment = round((0.3 + 0.7 * size) * (1.0 if side < 0.5 else -1.0), 2)
        lines = GOOD if sentiment > 0 else BAD if sentiment < 0 else NEUTRAL
        base = self._bases[symbol]
        positive = int(random.poisson(2.0 + 8.0 * max(sentiment, 0.0)))
        negative = int(random.poisson(2.0 + 8.0 * max(-sentiment, 0.0)))
        return Headline(
            self._last_id,
            published_us,
            symbol,
            base,
            sentiment,
            lines[int(choice * len(lines))].format(name=NAMES.get(base, base)),
            int(random.integers(len(PUBLISHERS))),
            (negative, positive, int(random.poisson(1.0 + 4.0 * abs(sentiment)))),
        )


def kicks(
    headlines: list[Headline], start_us: int, steps: int, symbols: int, move: float
) -> NDArray[np.float64]:
    """(steps, symbols): the total log move that each step's headlines will cause."""
    out = np.zeros((steps, symbols))
    for headline in headlines:
        step = (headline.published_us - start_us) // STEP_US
        out[step, headline.symbol] += move * headline.sentiment
    return out


def post(headline: Headline) -> str:
    """The answer to a poll that finds this one new post."""
    domain, publisher = PUBLISHERS[headline.publisher]
    slug = "-".join(word for word in headline.title.replace(",", "").replace(":", "").split())
    when = datetime.fromtimestamp(headline.published_us / 1e6, UTC)
    published = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    base, name = headline.base, NAMES.get(headline.base, headline.base)
    negative, positive, important = headline.votes
    found = {
        "kind": "news",
        "domain": domain,
        "votes": {
            "negative": negative,
            "positive": positive,
            "important": important,
            "liked": positive,
            "disliked": negative,
            "lol": 0,
            "toxic": 0,
            "saved": 0,
            "comments": 0,
        },
        "source": {"title": publisher, "region": "en", "domain": domain, "path": None},
        "title": headline.title,
        "published_at": published,
        "slug": slug,
        "currencies": [
            {
                "code": base,
                "title": name,
                "slug": name.lower(),
                "url": f"https://cryptopanic.com/news/{name.lower()}/",
            }
        ],
        "id": headline.news_id,
        "url": f"https://cryptopanic.com/news/{headline.news_id}/{slug}",
        "created_at": published,
    }
    answer = {"count": 1, "next": None, "previous": None, "results": [found]}
    return json.dumps(answer, separators=(",", ":"))
