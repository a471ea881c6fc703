"""Address and security reach every client; a broker that is away is a clear error."""

import ssl
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from schemas.errors import ConfigError, StoreError
from streams.config import KafkaConfig
from streams.kafka import aiokafka_config, client_config, connect

DEAD = "127.0.0.1:1"


@pytest.fixture
def secured(tmp_path: Path) -> KafkaConfig:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=tape", "-days", "1"]
    command += ["-keyout", str(key), "-out", str(certificate), "-passout", "pass:hidden"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not here to make a certificate")
    return KafkaConfig(
        bootstrap="one:9093,two:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="ada",
        sasl_password=SecretStr("secret"),
        ssl_ca_file=str(certificate),
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


def test_a_certificate_that_is_not_there_is_named(secured: KafkaConfig) -> None:
    broken = secured.model_copy(update={"ssl_ca_file": "/nowhere/ca.pem"})
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem"):
        aiokafka_config(broken)


def test_a_dead_broker_is_named_with_what_to_do() -> None:
    with pytest.raises(StoreError, match=rf"{DEAD}.*tape up"):
        connect(KafkaConfig(bootstrap=DEAD), timeout_s=1)


def test_no_address_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap"):
        client_config(KafkaConfig())
