"""How to reach Kafka and the registry, and how workers run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaConfig(_Section):
    """Addresses and security of Kafka, given once for every client."""

    bootstrap: str = ""
    """host:port[,host:port]; empty: the local stack's broker."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca_file: str = ""
    ssl_certificate_file: str = ""
    ssl_key_file: str = ""
    ssl_key_password: SecretStr = SecretStr("")
    replication: Annotated[int, Field(ge=1)] = 1
    retention_bytes: int = -1
    """Size bound of a topic's partition; -1: none. Never by time (architecture, section 1)."""


class RegistryConfig(_Section):
    """The schema registry (Confluent API)."""

    url: str = ""
    """http://host:port/path; empty: the local stack's Apicurio."""
    username: str = ""
    password: SecretStr = SecretStr("")


class WorkerConfig(_Section):
    """A worker's way of running; nothing here shapes what it emits."""

    snapshot_interval_s: Annotated[float, Field(gt=0)] = 5.0
    max_batch: Annotated[int, Field(ge=1)] = 20_000
    """Most records of one partition processed at once."""
    linger_ms: Annotated[float, Field(ge=0)] = 0.0
    """How long the producer waits to fill a batch; 0 for lowest latency."""
    session_timeout_s: Annotated[float, Field(ge=6)] = 10.0
    """A worker not heard of for so long loses its partitions to the others."""


class TelemetryConfig(_Section):
    """Metrics, health and logs of every process."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of /metrics, /healthz and /readyz; 0: a free one, which the log names."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON lines elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
