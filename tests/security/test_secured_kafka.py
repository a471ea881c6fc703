"""TLS and SASL are given once, by environment variables, and reach every client there is."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from psycopg import sql
from pydantic import SecretStr

from processors.config import ProcessorsConfig
from schemas.errors import StoreError
from schemas.registry import Registry
from streams.config import KafkaConfig, WorkerConfig
from streams.kafka import aiokafka_config, connect
from streams.telemetry import Metrics
from streams.worker import Parts, Worker
from tape import config
from tests.conftest import Stack
from tests.security.broker import MECHANISMS, Broker, secured_broker
from tests.security.certificates import Authority
from tests.security.cli import Cli
from tests.streams.derived import Tape
from tests.streams.market import events

PARTITIONS = 2
CANDLES = 60
WRONG = "never-to-be-seen"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as started:
        yield started


@pytest.fixture(scope="module")
def cli(stack: Stack, broker: Broker) -> Iterator[Cli]:
    name = f"t{uuid4().hex[:8]}"
    more = {
        "TAPE_PARTITIONS": str(PARTITIONS),
        "TAPE_WORKER__SNAPSHOT_INTERVAL_S": "0.5",
        # What is said at this level must not hold a password either.
        "TAPE_TELEMETRY__LOG_LEVEL": "debug",
    }
    yield Cli(stack, broker.by_password, name, more)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candles") / "okx_BTC-USDT-SWAP-1m.json"
    path.write_text(
        json.dumps([[1_617_235_200_000 + 60_000 * i, 1, 2, 0.5, 1.5, 9] for i in range(CANDLES)])
    )
    return path


@pytest.fixture(scope="module")
def tape(
    cli: Cli, broker: Broker, candles: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tape]:
    """A tape made and filled by password, with a sink, and a worker of either kind at work."""
    folder = tmp_path_factory.mktemp("logs")
    logs = [folder / name for name in ("worker.log", "certified.log", "sink.log")]
    cli.run("up")
    imported = cli.run("import", str(candles), "--json").json
    assert imported["counts"] == {"okx-swap": {"BTC-USDT": {"Kline": CANDLES}}}
    tape = _opened(cli)
    with ExitStack() as processes:
        processes.enter_context(cli.running("worker", logs[0]))
        processes.enter_context(_certified(cli, broker).running("worker", logs[1]))
        processes.enter_context(cli.running("sink", logs[2]))
        tape.write(events(1, 1_000))
        _wait(lambda: all(len(_partitions(log)) == 1 for log in logs[:2]), logs)
        tape.write(events(2, 1_000))
        _wait(lambda: tape.is_processed(tape.ends()), logs)
        yield tape


def _certified(cli: Cli, broker: Broker) -> Cli:
    return replace(cli, kafka=broker.by_certificate)


def _opened(cli: Cli) -> Tape:
    """The tape as a program sees it whose settings are in the environment."""
    with cli.in_environment():
        settings = config.load()
    registry = Registry(settings.registry.url)
    ids = registry.ids(settings.tape)
    return Tape(settings.tape, settings.kafka, registry, ids, PARTITIONS, cli.environment)


def _partitions(log: Path) -> list[int]:
    """What a worker was assigned last, by its log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"assigned"' in line]
    return lines[-1].get("partitions", []) if lines else []


def _wait(holds: Callable[[], bool], logs: list[Path], within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "\n".join(log.read_text()[-3000:] for log in logs)
        time.sleep(0.2)


def test_workers_derive_the_tape_exactly_once_whichever_way_they_came_in(tape: Tape) -> None:
    assert sum(tape.ends().values()) > 2_000
    tape.assert_derived_once()


def test_the_proofs_hold(cli: Cli, tape: Tape, broker: Broker) -> None:
    verified = cli.run("verify", "timescale", "--json").json
    assert verified["verified"]
    assert verified["rows"] > 1_000
    replayed = _certified(cli, broker).run("replay", "--json").json
    assert replayed["identical"]
    assert replayed["events"] == sum(tape.ends().values())
    assert cli.run("rebuild", "bars", "--json").json["rows"] > 0


def test_topics_and_tail_show_the_tape(cli: Cli, tape: Tape) -> None:
    shown = cli.run("topics", "--json", "--seconds", "0").json["partitions"]
    lines = {(line["topic"], line["partition"]): line for line in shown}
    assert {p: lines["tape", p]["end"] for p in range(PARTITIONS)} == tape.ends()
    assert all(lines["tape", p]["worker_lag"] is not None for p in range(PARTITIONS))
    bars = cli.run("tail", "bars", "-n", "3", "--no-follow").out
    assert len(bars.splitlines()) == 3 * PARTITIONS


def test_status_and_doctor_say_that_it_answers(cli: Cli, broker: Broker) -> None:
    assert cli.run("status", "--json").json["services"]["kafka"]["answers"]
    assert f"{broker.by_password.bootstrap} answers" in cli.run("doctor").out


def test_the_configuration_shows_no_password(cli: Cli) -> None:
    shown = cli.run("config", "show").out
    assert "SCRAM-SHA-512" in shown
    assert "********" in shown


@pytest.mark.parametrize(
    "command",
    ["up", "import", "tail bars", "topics", "replay", "verify timescale", "rebuild timescale"],
)
def test_a_wrong_password_is_told_with_the_address_and_the_setting(
    command: str, cli: Cli, tape: Tape, candles: Path
) -> None:
    wrong = _mistaken(cli)
    words = command.split() + ([str(candles)] if command == "import" else [])
    ended = wrong.run(*words, status=1)
    _assert_told(ended.error, wrong.kafka)
    assert ended.seconds < 15


@pytest.mark.usefixtures("tape")
def test_a_worker_and_a_sink_with_a_wrong_password_end_and_say_why(
    cli: Cli, tmp_path: Path
) -> None:
    wrong = _mistaken(cli)
    logs = {name: tmp_path / f"{name}.log" for name in ("worker", "sink")}
    with ExitStack() as stack:
        began = time.monotonic()
        started = [stack.enter_context(wrong.process(name, log)) for name, log in logs.items()]
        assert [process.wait(60) for process in started] == [1, 1]
        assert time.monotonic() - began < 30  # 15 and what a busy machine takes to start them
    for log in logs.values():
        _assert_told(log.read_text(), wrong.kafka)


def test_a_worker_whose_faust_alone_is_kept_out_ends_and_says_why(
    tape: Tape, broker: Broker, tmp_path: Path
) -> None:
    trusted = Path(shutil.copy(broker.by_password.ssl_ca_file, tmp_path))
    kafka = _other(broker.by_password, ssl_ca_file=str(trusted))
    metrics = Metrics("worker", tape.name)
    worker = Worker(
        Parts(kafka, tape.registry, tape.name, WorkerConfig(), ProcessorsConfig(), metrics)
    )
    # Its other clients are connected by now; Faust's reads the file only when it starts.
    trusted.write_bytes(Authority(tmp_path / "stranger", "authority").file.read_bytes())
    with pytest.raises(StoreError, match=rf"{kafka.bootstrap}.*tape doctor"):
        asyncio.run(worker.run())


def test_status_and_doctor_say_why_it_refuses(cli: Cli) -> None:
    wrong = _mistaken(cli)
    for command in ("status", "doctor"):
        assert "kafka.sasl_password" in wrong.run(command, status=1).out


def _mistaken(cli: Cli) -> Cli:
    return replace(cli, kafka=_other(cli.kafka, sasl_password=SecretStr(WRONG)))


def _assert_told(text: str, kafka: KafkaConfig) -> None:
    assert f"tape: Kafka refuses us at {kafka.bootstrap} (SASL_SSL): " in text
    assert "kafka.sasl_password" in text
    assert WRONG not in text
    assert "Traceback" not in text


def _other(kafka: KafkaConfig, **changed: Any) -> KafkaConfig:
    return kafka.model_copy(update=changed)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_lets_both_clients_in(mechanism: str, broker: Broker) -> None:
    _assert_lets_in(_other(broker.by_password, sasl_mechanism=mechanism))


def test_a_certificate_lets_both_clients_in_whose_key_has_a_password(broker: Broker) -> None:
    _assert_lets_in(broker.by_certificate)


def test_without_a_certificate_of_its_own_no_client_comes_in(broker: Broker) -> None:
    bare = _other(broker.by_certificate, ssl_certificate_file="", ssl_key_file="")
    _assert_keeps_out(bare, "does not answer")


def test_a_broker_of_another_authority_is_not_trusted(broker: Broker, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "authority")
    _assert_keeps_out(
        _other(broker.by_password, ssl_ca_file=str(stranger.file)), r"kafka\.ssl_ca_file"
    )


def test_a_broker_whose_certificate_is_for_another_host_is_not_trusted(broker: Broker) -> None:
    renamed = broker.by_password.bootstrap.replace("127.0.0.1", "localhost")
    _assert_keeps_out(_other(broker.by_password, bootstrap=renamed), r"kafka\.bootstrap")


def test_a_client_without_security_is_told_what_it_spoke(broker: Broker) -> None:
    plain = KafkaConfig(bootstrap=broker.by_password.bootstrap)
    _assert_keeps_out(plain, r"\(PLAINTEXT\).*kafka\.security_protocol")


def _assert_lets_in(kafka: KafkaConfig) -> None:
    assert connect(kafka).list_topics(timeout=5).brokers
    asyncio.run(_start_aiokafka(kafka))


def _assert_keeps_out(kafka: KafkaConfig, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        connect(kafka)
    with pytest.raises(KafkaConnectionError):
        asyncio.run(_start_aiokafka(kafka))


async def _start_aiokafka(kafka: KafkaConfig) -> None:
    consumer = AIOKafkaConsumer(**aiokafka_config(kafka))
    try:
        await consumer.start()
        await consumer.topics()
    finally:
        await consumer.stop()
