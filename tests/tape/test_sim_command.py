"""`tape sim` as a process: what it says at its start, what it refuses, how it ends."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from schemas.errors import ConfigError
from tape.cli import build

BARE = {name: value for name, value in os.environ.items() if not name.startswith("TAPE_")}
SMALL = ("--port", "0", "--symbol", "BTC-USDT", "--rate", "100")


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tape", "sim", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=BARE,
    )  # fmt: skip


def test_it_says_where_it_is_serves_and_ends_clean_at_ctrl_c(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"

    async def session() -> tuple[list[str], int | None, str]:
        process = await start(*SMALL, "--venue", "okx-spot", "--ledger", str(ledger))
        assert process.stdout is not None
        first = [(await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in "123"]
        address = first[1].rstrip().rpartition("--address ")[2]
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{address}/okx-spot/api/v5/public/instruments?instType=SPOT") as answer,
        ):
            assert "BTC-USDT" in await answer.text()
        process.send_signal(signal.SIGINT)
        rest, errors = await asyncio.wait_for(process.communicate(), 10)
        assert b"Traceback" not in errors
        return first, process.returncode, rest.decode()

    first, code, rest = asyncio.run(session())
    assert first[0].startswith("simulator at http://127.0.0.1:")
    assert "okx-spot" in first[0]
    assert "/control/faults" in first[2]
    assert code == 0
    assert "messages published" in rest
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert lines[-1]["book"] > 0


def run(*arguments: str) -> None:
    """The command in this process."""
    words = ["sim", *SMALL, *arguments]
    build(words)(words, standalone_mode=False)


def test_it_ends_after_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seconds", "0.2", "--speed", "max")
    assert capsys.readouterr().out.endswith("0 messages published\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "fast"), "--speed fast"),
        (("--weather", "hail"), "calm, rough, storm"),
        (("--start", "noon"), "--start noon"),
        (("--venue", "kraken"), "binance-spot"),
        (("--clock-offset", "okx-spot"), "VENUE=MS"),
        (("--clock-offset", "kraken=3"), "there are binance-spot"),
        (("--capture", "nothing.jsonl"), "no such file"),
        (("--script", "nothing.jsonl"), "nothing.jsonl"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(arguments: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run(*arguments)
