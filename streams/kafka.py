"""Kafka's address and security, given once in the configuration, in each client's own words."""

import logging
import ssl
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import ConfigError, StoreError
from streams.config import KafkaConfig

# Both clients would write to standard error; it goes where the process's log goes, if anywhere.
_log = logging.getLogger("librdkafka")
_log.addHandler(logging.NullHandler())
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
# Its notes on the configuration say nothing that is not decided here.
_log.addFilter(lambda record: "CONFWARN" not in record.getMessage())

# Waiting heals none of these: what the settings are that they come from.
_SETTINGS_OF = {
    KafkaError._AUTHENTICATION: (
        "correct kafka.sasl_username and kafka.sasl_password, or kafka.sasl_mechanism"
    ),
    KafkaError._SSL: (
        "kafka.ssl_ca_file is to name the authority that signed the broker's certificate, "
        "kafka.bootstrap a host that the certificate is for"
    ),
}
_ELSEWHERE = (
    "`tape up` starts the local one, kafka.bootstrap names another, "
    "kafka.security_protocol how that one is spoken to"
)


def client_config(kafka: KafkaConfig) -> dict[str, Any]:
    """What every confluent_kafka client is given; ConfigError names a setting that is wrong."""
    _check(kafka)
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "security.protocol": kafka.security_protocol,
        "client.id": "tape",
        # A record is sent when it is there, not when the one before is acknowledged.
        "socket.nagle.disable": True,
        "logger": _log,
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        # The same errors as aiokafka's; librdkafka's own name no setting.
        _ssl_context(kafka)
        config |= {
            name: value
            for name, value in (
                ("ssl.ca.location", kafka.ssl_ca_file),
                ("ssl.certificate.location", kafka.ssl_certificate_file),
                ("ssl.key.location", kafka.ssl_key_file or kafka.ssl_certificate_file),
                ("ssl.key.password", kafka.ssl_key_password.get_secret_value()),
            )
            if value
        }
    return config


def aiokafka_config(kafka: KafkaConfig) -> dict[str, Any]:
    """What every aiokafka client is given, Faust's included.

    ConfigError names a setting that is wrong.
    """
    _check(kafka)
    config: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
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
    problems: list[KafkaError] = []
    admin = AdminClient(client_config(kafka) | {"error_cb": problems.append})
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            admin.list_topics("__tape_none", timeout=min(1.0, timeout_s))
            return admin
        except KafkaException as error:
            admin.poll(0)
            problem = _most_telling([*problems, error.args[0]])
            if problem.code() in _SETTINGS_OF or time.monotonic() > deadline:
                raise unreachable(kafka, problem) from None


def unreachable(kafka: KafkaConfig, problem: KafkaError) -> StoreError:
    """The error that says where Kafka was looked for, and what to do."""
    refused = problem.code() in _SETTINGS_OF
    return StoreError(
        f"Kafka {'refuses us' if refused else 'does not answer'} at {kafka.bootstrap} "
        f"({kafka.security_protocol}): {problem.str()}; "
        f"{_SETTINGS_OF.get(problem.code(), _ELSEWHERE)}"
    )


def _most_telling(problems: list[KafkaError]) -> KafkaError:
    """One that a setting causes, else the first that says more than that no broker is there."""
    for problem in problems:
        if problem.code() in _SETTINGS_OF:
            return problem
    vague = KafkaError._ALL_BROKERS_DOWN
    return next((one for one in problems if one.code() != vague), problems[-1])


def _check(kafka: KafkaConfig) -> None:
    if not kafka.bootstrap:
        raise ConfigError(
            "no address of Kafka is known: `tape up` starts the local one, or set kafka.bootstrap"
        )
    named = kafka.sasl_username and kafka.sasl_password.get_secret_value()
    if kafka.security_protocol.startswith("SASL") and not named:
        raise ConfigError(
            f"kafka.security_protocol is {kafka.security_protocol}, which needs "
            "kafka.sasl_username and kafka.sasl_password; one of them is empty"
        )


def _ssl_context(kafka: KafkaConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_file or None)
    except OSError as error:
        raise ConfigError(
            f"kafka.ssl_ca_file {kafka.ssl_ca_file!r} could not be read: {error}; it holds the "
            "certificates (PEM) of those who sign for the broker"
        ) from None
    if not kafka.ssl_certificate_file and not kafka.ssl_key_file:
        return context
    try:
        context.load_cert_chain(
            kafka.ssl_certificate_file,
            kafka.ssl_key_file or None,
            # Without one Python would ask for it on the terminal.
            kafka.ssl_key_password.get_secret_value(),
        )
    except OSError as error:
        raise ConfigError(
            f"kafka.ssl_certificate_file {kafka.ssl_certificate_file!r} with kafka.ssl_key_file "
            f"{kafka.ssl_key_file!r} (PEM) could not be read: {error}; is kafka.ssl_key_password "
            "the key's?"
        ) from None
    return context
