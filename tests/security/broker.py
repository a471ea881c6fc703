"""A real broker behind TLS: one listener for names and passwords, one for certificates."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from schemas.errors import StoreError
from streams.config import KafkaConfig
from streams.kafka import connect
from tape.config import StackConfig
from tape.stack.artifacts import Cache
from tape.stack.kafka import Kafka
from tape.stack.layout import Layout
from tape.stack.ports import HOST, free_ports
from tape.stack.process import Command, spawn
from tests.conftest import fresh_stack_config
from tests.security.certificates import Authority, one_line

USER = "ada"
# Signs that would show wherever a password is pasted into other text.
PASSWORD = "pa$$w0rd/of=ada+%41#&:;@x"
KEY_PASSWORD = "key-of/ada=%41"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_HEAP_MB = 256
_START_S = 60.0
_SECURITY = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Broker:
    """Where it is, and what a client needs."""

    by_password: KafkaConfig
    by_certificate: KafkaConfig
    log: Path


@contextmanager
def secured_broker(home: Path) -> Iterator[Broker]:
    """The stack's own Kafka with other listeners, in this folder; it ends with the block."""
    port, mutual_port, controller_port = free_ports(3)
    config = fresh_stack_config(home).model_copy(
        update={
            "kafka_port": port,
            "kafka_controller_port": controller_port,
            "heap_mb": _HEAP_MB,
        }
    )
    authority = Authority(home / "certificates", "authority")
    broker = _clients(home, port, mutual_port, authority)
    process = _start(config, _listeners(port, mutual_port, controller_port, authority), broker)
    try:
        yield broker
    finally:
        process.terminate()
        process.wait(30)


def _clients(home: Path, port: int, mutual_port: int, authority: Authority) -> Broker:
    certificate, key = authority.sign(USER, key_password=KEY_PASSWORD)
    by_password = KafkaConfig(
        bootstrap=f"{HOST}:{port}",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username=USER,
        sasl_password=SecretStr(PASSWORD),
        ssl_ca_file=str(authority.file),
    )
    by_certificate = KafkaConfig(
        bootstrap=f"{HOST}:{mutual_port}",
        security_protocol="SSL",
        ssl_ca_file=str(authority.file),
        ssl_certificate_file=str(certificate),
        ssl_key_file=str(key),
        ssl_key_password=SecretStr(KEY_PASSWORD),
    )
    return Broker(by_password, by_certificate, Layout(home).log("kafka"))


def _listeners(
    port: int, mutual_port: int, controller_port: int, authority: Authority
) -> dict[str, str]:
    certificate, key = authority.sign("broker", host=HOST)
    login = f'username="{USER}" password="{PASSWORD}"'
    scram = f"{_SECURITY}.scram.ScramLoginModule required {login};"
    plain = f'{_SECURITY}.plain.PlainLoginModule required {login} user_{USER}="{PASSWORD}";'
    clients = f"SECURED://{HOST}:{port},MUTUAL://{HOST}:{mutual_port}"
    return {
        "listeners": f"{clients},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": "SECURED:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SECURED",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "listener.name.secured.plain.sasl.jaas.config": plain,
        "listener.name.secured.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.secured.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": one_line(certificate, authority.file),
        "ssl.keystore.key": one_line(key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": one_line(authority.file),
    }


def _start(
    config: StackConfig, listeners: dict[str, str], broker: Broker
) -> "subprocess.Popen[Any]":
    layout = Layout(config.home)
    layout.create()
    kafka = Kafka(config, layout, Cache(config.cache))
    formatting = kafka.prepare()
    assert formatting is not None
    # What comes later in a properties file wins.
    with (kafka.folder / "server.properties").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in listeners.items())
    users = [
        f"--add-scram={mechanism}=[name={USER},password={PASSWORD}]"
        for mechanism in MECHANISMS
        if mechanism.startswith("SCRAM")
    ]
    done = spawn(Command([*formatting.argv, *users]), broker.log).wait(_START_S)
    assert done == 0, broker.log.read_text()
    process = spawn(kafka.command(), broker.log)
    deadline = time.monotonic() + _START_S
    while not _answers(broker.by_password):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"it does not answer:\n{broker.log.read_text()[-5000:]}")
        time.sleep(0.2)
    return process


def _answers(kafka: KafkaConfig) -> bool:
    try:
        connect(kafka, timeout_s=1)
    except StoreError:
        return False
    return True
