"""Kafka's address and security, given once in the configuration, in each client's own words."""

import logging
import ssl
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import ConfigError, StoreError
from streams.config import KafkaConfig

# librdkafka would write to standard error; it goes where the process's log goes, if anywhere.
_log = logging.getLogger("librdkafka")
_log.addHandler(logging.NullHandler())
# Its notes on the configuration say nothing that is not decided here.
_log.addFilter(lambda record: "CONFWARN" not in record.getMessage())


def client_config(kafka: KafkaConfig) -> dict[str, Any]:
    """What every confluent_kafka client is given; ConfigError when no address is known."""
    config: dict[str, Any] = {
        "bootstrap.servers": _bootstrap(kafka),
        "security.protocol": kafka.security_protocol,
        "client.id": "tape",
        "logger": _log,
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        config |= {
            name: value
            for name, value in (
                ("ssl.ca.location", kafka.ssl_ca_file),
                ("ssl.certificate.location", kafka.ssl_certificate_file),
                ("ssl.key.location", kafka.ssl_key_file),
                ("ssl.key.password", kafka.ssl_key_password.get_secret_value()),
            )
            if value
        }
    return config


def aiokafka_config(kafka: KafkaConfig) -> dict[str, Any]:
    """What every aiokafka client is given, Faust's included.

    ConfigError when no address is known or a certificate cannot be read.
    """
    config: dict[str, Any] = {
        "bootstrap_servers": _bootstrap(kafka).split(","),
        "security_protocol": kafka.security_protocol,
        "client_id": "tape",
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        config["ssl_context"] = _ssl_context(kafka)
    return config


def connect(kafka: KafkaConfig, timeout_s: float = 4.0) -> AdminClient:
    """An admin client of a broker that answers; StoreError when none does in time."""
    problems: list[str] = []

    def note(error: KafkaError) -> None:
        problems.append(error.str())

    admin = AdminClient(client_config(kafka) | {"error_cb": note})
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            admin.list_topics("__tape_none", timeout=min(1.0, timeout_s))
            return admin
        except KafkaException as error:
            admin.poll(0)
            if time.monotonic() > deadline:
                reason = problems[0] if problems else error.args[0].str()
                raise unreachable(kafka, reason) from None


def unreachable(kafka: KafkaConfig, reason: object) -> StoreError:
    """The error that says where Kafka was looked for, and what to do."""
    return StoreError(
        f"Kafka does not answer at {kafka.bootstrap} ({kafka.security_protocol}): {reason}; "
        "`tape up` starts the local one, kafka.bootstrap names another"
    )


def _bootstrap(kafka: KafkaConfig) -> str:
    if not kafka.bootstrap:
        raise ConfigError(
            "no address of Kafka is known: `tape up` starts the local one, or set kafka.bootstrap"
        )
    return kafka.bootstrap


def _ssl_context(kafka: KafkaConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_file or None)
        if kafka.ssl_certificate_file:
            context.load_cert_chain(
                kafka.ssl_certificate_file,
                kafka.ssl_key_file or None,
                kafka.ssl_key_password.get_secret_value() or None,
            )
    except OSError as error:
        raise ConfigError(
            "kafka.ssl_ca_file, ssl_certificate_file or ssl_key_file could not be read: "
            f"{error} (were {kafka.ssl_ca_file!r}, {kafka.ssl_certificate_file!r}, "
            f"{kafka.ssl_key_file!r})"
        ) from None
    return context
