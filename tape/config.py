"""The one configuration: defaults, config/<environment>.toml, environment, command line."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from platformdirs import user_cache_path, user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from processors.config import ProcessorsConfig
from schemas.errors import ConfigError
from schemas.venues import BY_NAME as VENUES
from sinks.config import DatabaseConfig
from streams.archive.config import ArchiveConfig
from streams.config import KafkaConfig, RegistryConfig, TelemetryConfig, WorkerConfig
from venues.config import CollectorConfig

PREFIX = "TAPE_"
# Variables of that prefix which are not settings.
_RESERVED = ("TAPE_TEST_", "TAPE_SHARED_DATA", "TAPE_ENVIRONMENT", "TAPE_CONFIG_DIR", "TAPE_HOME")

Port = Annotated[int, Field(ge=0, le=65535)]


def _home() -> Path:
    given = os.environ.get("TAPE_HOME")
    return _absolute(Path(given)) if given else user_data_path("tape", appauthor=False)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class StackConfig(BaseModel):
    """The local stack: Kafka, registry and PostgreSQL as child processes on loopback."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=_home)
    """Folder of its data and logs; the variable TAPE_HOME changes it too."""
    cache: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: user_cache_path("tape", appauthor=False)
    )
    """Folder of its downloads, shared by all stacks of a user."""
    kafka_port: Port = 19092
    kafka_controller_port: Port = 19093
    registry_port: Port = 18081
    postgres_port: Port = 15432
    heap_mb: Annotated[int, Field(ge=128)] = 512
    """Java heap of Kafka and of the registry, MiB each."""


class Settings(BaseSettings):
    """Everything that can be set; later sources win over earlier ones."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    environment: Literal["development", "staging", "production"] = "development"
    tape: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "live"
    """Name of the tape: prefix of its topics and groups, and its tables' schema."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 16
    """Partitions of a tape that is created; never changed afterwards."""
    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
    """Canonical symbols to collect."""
    venues: tuple[str, ...] = (
        "binance-spot",
        "binance-usdm",
        "bybit-spot",
        "bybit-linear",
        "okx-spot",
        "okx-swap",
    )
    """Venues to collect from."""
    kafka: KafkaConfig = KafkaConfig()
    registry: RegistryConfig = RegistryConfig()
    database: DatabaseConfig = DatabaseConfig()
    processors: ProcessorsConfig = ProcessorsConfig()
    worker: WorkerConfig = WorkerConfig()
    collector: CollectorConfig = CollectorConfig()
    archive: ArchiveConfig = ArchiveConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    stack: StackConfig = Field(default_factory=StackConfig)

    @field_validator("venues")
    @classmethod
    def _known_venues(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in VENUES:
                raise ValueError(f"unknown venue {name!r}; known: {', '.join(VENUES)}")
        return names

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over file; the file comes in as `_file`."""
        given = cast(InitSettingsSource, init_settings).init_kwargs
        file = given.pop("_file", {})
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=file),
        )


def load(
    overrides: Mapping[str, str] | None = None,
    environment: str | None = None,
    config_dir: Path | None = None,
) -> Settings:
    """Load the settings; ConfigError names the key that is wrong, and where it was given.

    `overrides` maps dotted keys to text, as `--set kafka.bootstrap=host:9092` gives them;
    text is read as JSON where the setting is not text.
    """
    chosen = environment or os.environ.get("TAPE_ENVIRONMENT") or "development"
    file = _read_file(chosen, config_dir)
    _refuse_unknown_variables()
    arguments: dict[str, Any] = {"environment": chosen, "_file": file}
    for key, text in (overrides or {}).items():
        _put(arguments, key, text)
    try:
        return Settings(**arguments)
    except ValidationError as error:
        raise ConfigError(_explain(error, chosen)) from None
    except Exception as error:
        # pydantic-settings wraps unreadable JSON of a variable in an error of its own.
        raise ConfigError(f"the configuration could not be read: {error}") from error


def _read_file(environment: str, config_dir: Path | None) -> dict[str, Any]:
    folder = config_dir or Path(os.environ.get("TAPE_CONFIG_DIR", "config"))
    path = folder / f"{environment}.toml"
    if not path.is_file():
        if config_dir is None and environment == "development":
            return {}
        raise ConfigError(
            f"no {path}: environments are development, staging and production, "
            "their files are in the folder that --config-dir names"
        )
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith(PREFIX) or variable.startswith(_RESERVED):
            continue
        if variable.split("__", 1)[0] not in known:
            raise ConfigError(
                f"environment variable {variable} is not a setting; "
                f"`tape config show` lists them, nested ones as {PREFIX}KAFKA__BOOTSTRAP"
            )


def _put(arguments: dict[str, Any], key: str, text: str) -> None:
    *path, last = key.split(".")
    node = arguments
    model: type[BaseModel] = Settings
    for name in path:
        node = node.setdefault(name, {})
        inner = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            raise ConfigError(f"--set {key}: there is no section {name!r}")
        model = inner
    if last not in model.model_fields:
        raise ConfigError(f"--set {key}: there is no such setting; `tape config show` lists them")
    if "tuple" in str(model.model_fields[last].annotation) and not text.lstrip().startswith("["):
        node[last] = [part.strip() for part in text.split(",") if part.strip()]
        return
    try:
        node[last] = json.loads(text) if text[:1] in "[{" else text
    except json.JSONDecodeError:
        node[last] = text


def _explain(error: ValidationError, environment: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: there is no such setting (`tape config show` lists them)")
        else:
            secret = any(word in key for word in ("password", "url"))
            was = "" if secret else f", was {problem['input']!r}"
            lines.append(f"{key}: {problem['msg']}{was}")
    return f"the configuration ({environment}) is wrong:\n  " + "\n  ".join(lines)


def flatten(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All settings as (dotted key, value), secrets masked."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, SecretStr):
            yield f"{prefix}{name}", "********" if value.get_secret_value() else ""
        else:
            yield f"{prefix}{name}", str(value) if isinstance(value, Path) else value


def to_environment(settings: Settings) -> dict[str, str]:
    """All settings as environment variables, secrets included: what a child process gets."""
    return dict(_variables(settings, PREFIX))


def _variables(model: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        variable = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _variables(value, f"{variable}__")
        elif isinstance(value, SecretStr):
            yield variable, value.get_secret_value()
        elif isinstance(value, tuple | dict):
            yield variable, json.dumps(value)
        elif value is None:
            continue
        else:
            yield variable, str(value)


_current: ContextVar[Settings] = ContextVar("settings")


def use(settings: Settings) -> None:
    """Make these the settings of this process."""
    _current.set(settings)


def settings() -> Settings:
    """The settings of this process, as the command line loaded them."""
    try:
        return _current.get()
    except LookupError:
        loaded = load()
        _current.set(loaded)
        return loaded
