"""Settings of collecting: network, channels, when a feed counts as dead, news, the spool."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Channel = Literal["trades", "book", "quote", "kline", "mark"]
CHANNELS: tuple[Channel, ...] = ("trades", "book", "quote", "kline", "mark")

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewsConfig(Section):
    """CryptoPanic and the Fear & Greed index."""

    cryptopanic: bool = False
    """Poll CryptoPanic; it needs a key, except of a simulator."""
    cryptopanic_key: SecretStr = SecretStr("")
    cryptopanic_api: Literal["v1", "v2"] = "v2"
    """v2: the developer API; v1: the older `posts`."""
    cryptopanic_plan: Literal["developer", "growth", "enterprise"] = "developer"
    """v2's plan: a part of its address."""
    currencies: tuple[str, ...] = ()
    """Only posts about these, as BTC; empty: all posts."""
    poll_s: Seconds | None = None
    """CryptoPanic is asked this often; by default as often as the plan's requests a month last."""
    pages: Annotated[int, Field(ge=1, le=50)] = 5
    """After an outage so many pages are read at most, back to the last post that is known."""
    fear_greed: bool = True
    """Ask for the index, once an hour or when it says it changes."""
    fear_greed_days: Annotated[int, Field(ge=0)] = 2
    """Days of the index that are read at the start; 0: all there are."""
    sentiment: str = "lexicon"
    """Method that scores a headline on arrival (`venues/sentiment`)."""


class SpoolConfig(Section):
    """What waits on disk while Kafka is away."""

    folder: Path | None = None
    """Default: `spool` in the folder of the local stack's data (TAPE_HOME)."""
    max_mb: Annotated[int, Field(ge=1)] = 1024
    """Past it the newest events are dropped, counted and said."""
    fsync_s: Annotated[float, Field(ge=0.0)] = 1.0
    """The spool is synced to disk this often; 0: after each write."""


class CollectorConfig(Section):
    """The collector (`tape collect`)."""

    network: Literal["mainnet", "testnet"] = "mainnet"
    """testnet: Binance's and Bybit's testnets, OKX's demo."""
    address: str = ""
    """One address for all venues, e.g. of a simulator (`tape sim`): http://127.0.0.1:19443."""
    channels: tuple[Channel, ...] = CHANNELS
    book_depth: Annotated[int, Field(ge=1)] = 200
    """Levels a side that are wanted; each venue's next depth above is taken."""
    connect_timeout_s: Seconds = 10.0
    silence_s: Seconds = 10.0
    """A connection on which nothing came for so long is half open: closed and made anew."""
    backoff_first_s: Seconds = 0.25
    backoff_most_s: Seconds = 30.0
    """Waits between attempts double from the first to this, each with full jitter."""
    handover_before_s: Seconds = 300.0
    """A second connection takes over this long before the venue's cut (24 h at Binance)."""
    instruments_s: Seconds = 600.0
    """The venues' instrument lists are read again this often; changes go onto the tape."""
    clock_s: Seconds = 30.0
    """Each venue's clock is compared this often."""
    look_back_s: Seconds = 600.0
    """After a stop no longer than this, trades and candles that were missed are fetched; and so
    long a venue that refuses them is asked again."""
    news: NewsConfig = NewsConfig()
    spool: SpoolConfig = SpoolConfig()
