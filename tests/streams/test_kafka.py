"""Address and security reach every client; a broker that is away is a clear error."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from schemas.errors import ConfigError, StoreError
from streams.config import KafkaConfig
from streams.kafka import aiokafka_config, client_config, connect
from tests.security.certificates import Authority

DEAD = "127.0.0.1:1"
Configure = Callable[[KafkaConfig], dict[str, Any]]
CONFIGURATIONS = (client_config, aiokafka_config)


@pytest.fixture
def secured(tmp_path: Path) -> KafkaConfig:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.sign("ada", key_password="hidden")
    return KafkaConfig(
        bootstrap="one:9093,two:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="ada",
        sasl_password=SecretStr("secret"),
        ssl_ca_file=str(authority.file),
        ssl_certificate_file=str(certificate),
        ssl_key_file=str(key),
        ssl_key_password=SecretStr("hidden"),
    )


def test_tls_and_sasl_reach_confluent_kafka(secured: KafkaConfig) -> None:
    config = client_config(secured)
    assert config["bootstrap.servers"] == "one:9093,two:9093"
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("ada", "secret")
    assert config["ssl.key.password"] == "hidden"
    # librdkafka itself accepts them: it reads the certificates when a client is made.
    AdminClient(config)
    Producer(config)
    Consumer(config | {"group.id": "g"}).close()


def test_tls_and_sasl_reach_aiokafka(secured: KafkaConfig) -> None:
    config = aiokafka_config(secured)
    assert config["bootstrap_servers"] == ["one:9093", "two:9093"]
    assert config["security_protocol"] == "SASL_SSL"
    assert config["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl_plain_username"], config["sasl_plain_password"]) == ("ada", "secret")
    context = config["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert len(context.get_ca_certs()) == 1


def test_a_plain_broker_gets_no_security_settings() -> None:
    plain = KafkaConfig(bootstrap=DEAD)
    assert not any(name.startswith(("ssl.", "sasl.")) for name in client_config(plain))
    assert not any(name.startswith(("ssl", "sasl")) for name in aiokafka_config(plain))


@pytest.mark.parametrize("make", CONFIGURATIONS)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ssl_ca_file", "/nowhere/ca.pem"),
        ("ssl_certificate_file", "/nowhere/certificate.pem"),
        ("ssl_key_file", "/nowhere/key.pem"),
        ("ssl_certificate_file", ""),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    secured: KafkaConfig, make: Configure, setting: str, value: str
) -> None:
    broken = secured.model_copy(update={setting: value})
    with pytest.raises(ConfigError, match=rf"kafka\.{setting} '{re.escape(value)}'"):
        make(broken)


@pytest.mark.parametrize("make", CONFIGURATIONS)
@pytest.mark.parametrize("password", ["", "another"])
def test_a_key_whose_password_is_wrong_is_an_error_and_no_question_on_the_terminal(
    secured: KafkaConfig, make: Configure, password: str
) -> None:
    broken = secured.model_copy(update={"ssl_key_password": SecretStr(password)})
    with pytest.raises(ConfigError, match=r"kafka\.ssl_key_password"):
        make(broken)


def test_a_key_may_lie_in_the_certificates_file(secured: KafkaConfig, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(
        Path(secured.ssl_certificate_file).read_text() + Path(secured.ssl_key_file).read_text()
    )
    one_file = secured.model_copy(
        update={"ssl_certificate_file": str(both), "ssl_key_file": ""},
    )
    aiokafka_config(one_file)
    config = client_config(one_file)
    assert config["ssl.key.location"] == str(both)
    AdminClient(config)


@pytest.mark.parametrize("make", CONFIGURATIONS)
@pytest.mark.parametrize("missing", [{"sasl_username": ""}, {"sasl_password": SecretStr("")}])
def test_sasl_without_a_name_or_a_password_is_refused(
    secured: KafkaConfig, make: Configure, missing: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.sasl_username and kafka\.sasl_password"):
        make(secured.model_copy(update=missing))


def test_a_dead_broker_is_named_with_what_to_do() -> None:
    with pytest.raises(StoreError, match=rf"{DEAD}.*tape up"):
        connect(KafkaConfig(bootstrap=DEAD), timeout_s=1)


def test_no_address_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap"):
        client_config(KafkaConfig())
