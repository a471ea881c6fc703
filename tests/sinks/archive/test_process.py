"""`tape archive` as a process: killed at any instant it loses nothing and writes nothing twice."""

import json
import random
import subprocess
import sys
from pathlib import Path
from time import sleep

from streams import log
from tests.sinks.archive.archives import START_US, Archived, plain, session

_DAY_US = 86_400_000_000


def _command(archived: Archived, *arguments: str) -> list[str]:
    settings = ("--set", f"archive.url={archived.folder}", "--set", "archive.segment_records=200")
    command = [sys.executable, "-m", "tape", "--tape", archived.tape.name, *settings, "archive"]
    return [*command, *arguments]


def _run(archived: Archived, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _command(archived, *arguments), env=archived.tape.environment, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def test_killed_at_random_instants_it_goes_on_exactly_once(
    archived: Archived, tmp_path: Path
) -> None:
    pick = random.Random(3)
    archived.tape.write(session(400, START_US + _DAY_US))
    kills, known = 0, 0
    for _ in range(5):
        with (tmp_path / "log").open("wb") as out:
            process = subprocess.Popen(
                _command(archived, "run", "--once"), env=archived.tape.environment,
                stdout=out, stderr=out,
            )  # fmt: skip
            # From the first new segment on.
            while process.poll() is None and len(archived.files("*.json")) == known:
                sleep(0.005)
            sleep(pick.random() * 0.15)
            kills += process.poll() is None
            process.kill()
            process.wait()
        known = len(archived.files("*.json"))
    assert kills >= 2
    assert archived.write().segments or known
    assert archived.problems() == []
    assert sum(proof.orphans for proof in archived.verify()) == 0
    tape, archive = archived.tape, archived.open()
    for partition, end in tape.ends().items():
        wanted = plain(log.read(tape.kafka, tape.name, "tape", partition, 0, None))
        assert plain(archive.read("tape", partition, 0, end)) == wanted
    named = {
        file.path
        for topic, partitions in archive.topics().items()
        for partition in partitions
        for start in archive.starts(topic, partition)
        for file in archive.segment(topic, partition, start).files
    }
    assert named == {str(p.relative_to(archived.folder)) for p in archived.files("*.parquet")}


def test_commands_say_what_is_there_and_end_with_1_where_it_is_damaged(
    archived: Archived,
) -> None:
    done = _run(archived, "run", "--once")
    assert done.returncode == 0, done.stderr
    listed = json.loads(_run(archived, "list", "--json").stdout)
    rows = {(row["topic"], row["partition"]): row for row in listed["partitions"]}
    assert rows["tape", 0]["end"] == archived.tape.ends()[0] == rows["tape", 0]["records"]
    assert rows["tape", 0]["first_day"] < rows["tape", 0]["last_day"]
    path = archived.files("tape/*/day=*/symbol=BTC-USDT/*.parquet")[0]
    path.unlink()
    damaged = _run(archived, "verify", "--json")
    assert damaged.returncode == 1
    assert not json.loads(damaged.stdout)["verified"]
    assert f"{path.relative_to(archived.folder)} is missing" in damaged.stderr
