"""`tape sim`: the venues' servers on this machine, played by a market model or by captures."""

import asyncio
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import ConfigError
from tape.terminal import program

if TYPE_CHECKING:
    from venues.simulator.server.fault import Fault
    from venues.simulator.server.simulator import Options, Simulator
    from venues.simulator.server.source import Source

_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 19443,
    seed: Annotated[int, typer.Option(help="Of market and weather.")] = 1,
    venue: Annotated[
        list[str] | None, typer.Option(help="Venue, repeatable; default: all six.")
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="BASE-QUOTE, repeatable; default: BTC, ETH, SOL.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=1, help="Messages a market second, about, over all venues.")
    ] = 2000.0,
    speed: Annotated[
        str, typer.Option(help="Market seconds a second, or max: as fast as it is read.")
    ] = "1",
    start: Annotated[
        str, typer.Option(help="The market's time at the start, ISO 8601 UTC; default: now.")
    ] = "",
    signal_strength: Annotated[
        float, typer.Option(help="How much the order flow tells of returns, 0 to 0.7.")
    ] = 0.2,
    news_per_hour: Annotated[float, typer.Option(min=0, help="Headlines.")] = 12.0,
    news_key: Annotated[
        str, typer.Option(help="The auth_token that CryptoPanic's address wants; default: any.")
    ] = "",
    clock_offset: Annotated[
        list[str] | None,
        typer.Option(help="How far a venue's clock is ahead, VENUE=MS, repeatable."),
    ] = None,
    capture: Annotated[
        list[Path] | None,
        typer.Option(help="Play recorded captures in place of the model, repeatable."),
    ] = None,
    weather: Annotated[str, typer.Option(help="Faults by chance: calm, rough or storm.")] = "calm",
    script: Annotated[
        Path | None, typer.Option(help="Faults by time: JSON lines, or .toml with [[fault]].")
    ] = None,
    prepare: Annotated[
        int, typer.Option(min=0, help="Make so many messages before letting anybody in.")
    ] = 0,
    ledger: Annotated[
        Path | None, typer.Option(help="Write every trade's id and the books' sequences here.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="End after this; 0: Ctrl-C ends.")] = 0.0,
) -> None:
    """Serve Binance, Bybit and OKX (spot and perpetuals), CryptoPanic and Fear & Greed here.

    Their own WebSocket and REST protocols, all at one address: a collector connects by it alone.
    Market time is wall time times --speed; faults are planted by `POST /control/faults`, by
    --script or by --weather, and every one is in the ledger at `GET /control/faults`.

    Example: `tape sim`, then `tape collect --address http://127.0.0.1:19443`

    Example: `tape sim --speed 20 --weather storm --ledger truth.jsonl`

    Example: `curl -d '{"fault": "disconnect", "venue": "binance-spot"}'
    http://127.0.0.1:19443/control/faults`
    """
    from streams import logs
    from tape.config import settings
    from venues.simulator.market import Market
    from venues.simulator.server.simulator import Options, Simulator
    from venues.simulator.server.source import ModelSource

    logs.set_up(settings().telemetry, component="simulator")
    pace = _speed(speed)
    offsets = dict(_offset(text) for text in clock_offset or [])
    if capture:
        from venues.simulator.server.captures import CaptureSource

        source: Source = CaptureSource(capture)
    else:
        kept: dict[str, Any] = {"venues": tuple(venue)} if venue else {}
        market = Market(
            seed=seed,
            symbols=tuple(symbol or _SYMBOLS),
            start_time_us=_start(start),
            events_per_second=rate,
            signal_strength=signal_strength,
            news_per_hour=news_per_hour,
            **kept,
        )
        source = ModelSource(market, offsets)
    unknown = set(offsets) - set(source.venues)
    if unknown:
        raise ConfigError(f"--clock-offset {min(unknown)}: there are {', '.join(source.venues)}")
    options = Options(
        host=host,
        port=port,
        speed=pace,
        seed=seed,
        offsets_us=offsets,
        faults=_faults(weather, script, seed, source.venues, symbol or _SYMBOLS),
        prepare=prepare,
        ledger=ledger,
        news_key=news_key,
    )
    asyncio.run(_serve(Simulator(source, options), seconds, options))


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < float("inf"):
        raise ConfigError(f"--speed {text}: give a number above 0, or max")
    return speed


def _start(text: str) -> int:
    """Microseconds UTC; of now a second ago, since a second is published at once."""
    if not text:
        _warm_up()
        return time.time_ns() // 1000 - 1_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--start {text}: give it like 2026-01-01T00:00:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _warm_up() -> None:
    """Compile the model before the time is taken."""
    from venues.simulator.market import Market

    next(Market(symbols=("BTC-USDT",), events_per_second=50.0).seconds())


def _offset(text: str) -> tuple[str, int]:
    venue, equals, ms = text.partition("=")
    try:
        return venue, round(float(ms) * 1000) if equals else int("")
    except ValueError:
        raise ConfigError(f"--clock-offset {text}: give it as VENUE=MS") from None


def _faults(
    weather: str, script: Path | None, seed: int, venues: tuple[str, ...], symbols: Any
) -> "list[Fault] | Any":
    """The faults to come, by time."""
    import heapq

    from venues.simulator.server import weather as skies

    if weather not in skies.WEATHERS:
        raise ConfigError(f"--weather {weather}: known are {', '.join(skies.WEATHERS)}")
    planned = skies.script(script) if script is not None else []
    chance = skies.forecast(weather, seed, venues, list(symbols))
    return heapq.merge(planned, chance, key=lambda fault: fault.at)


async def _serve(simulator: "Simulator", seconds: float, options: "Options") -> None:
    """Serve until the time is over or a signal comes."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with simulator:
        _tell(simulator, options)
        stop = asyncio.create_task(stopped.wait())
        play = asyncio.create_task(simulator.ended())
        done, _ = await asyncio.wait(
            (stop, play), timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED
        )
        stop.cancel()
        play.cancel()
        if play in done:
            await play
    print(f"ended: {simulator.stage.published:,} messages published")


def _tell(simulator: "Simulator", options: "Options") -> None:
    address = simulator.address
    speed = f"{options.speed:g}x" if options.speed else "as fast as it is read"
    venues = ", ".join(simulator.stage.venues)
    print(f"simulator at {address} ({speed}): {venues}, news", flush=True)
    print(f"  collect:  {program()} collect --address {address}", flush=True)
    print(f"  control:  {address}/control   faults: POST {address}/control/faults", flush=True)
