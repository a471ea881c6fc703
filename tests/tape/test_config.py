"""The configuration: order of sources, names in errors, masked secrets."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from tape.config import Settings, flatten, load, to_environment


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAPE_KAFKA__BOOTSTRAP", "TAPE_REGISTRY__URL", "TAPE_DATABASE__URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "staging.toml").write_text('partitions = 5\n[kafka]\nbootstrap = "file:1"\n')
    return tmp_path


def test_sources_win_in_the_stated_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(environment="staging", config_dir=folder).partitions == 5
    monkeypatch.setenv("TAPE_PARTITIONS", "6")
    monkeypatch.setenv("TAPE_KAFKA__REPLICATION", "3")
    from_variables = load(environment="staging", config_dir=folder)
    assert (from_variables.partitions, from_variables.kafka.replication) == (6, 3)
    assert from_variables.kafka.bootstrap == "file:1"
    from_command_line = load({"partitions": "7"}, "staging", folder)
    assert from_command_line.partitions == 7


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"kafka.bootstrp": "x"}, "kafka.bootstrp"),
        ({"nothing": "x"}, "nothing"),
        ({"books.levels": "x"}, "books"),
        ({"partitions": "many"}, "partitions"),
        ({"venues": "binance-spot,mtgox"}, "mtgox"),
        ({"tape": "No Spaces"}, "tape"),
    ],
)
def test_wrong_key_or_value_is_refused_by_name(overrides: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(overrides)


def test_wrong_key_in_a_file_is_refused_by_name(folder: Path) -> None:
    (folder / "staging.toml").write_text("[books]\nlevels = 5\n")
    with pytest.raises(ConfigError, match="books"):
        load(environment="staging", config_dir=folder)


def test_broken_file_is_refused_by_name(folder: Path) -> None:
    (folder / "staging.toml").write_text("partitions = = 3")
    with pytest.raises(ConfigError, match=r"staging\.toml is not TOML"):
        load(environment="staging", config_dir=folder)


def test_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPE_PARTITONS", "3")
    with pytest.raises(ConfigError, match="TAPE_PARTITONS"):
        load()


def test_missing_environment_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"production\.toml"):
        load(environment="production", config_dir=tmp_path)


def test_secrets_are_masked_and_never_in_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPE_KAFKA__SASL_PASSWORD", "hunter2")
    shown = dict(flatten(load({"database.url": "postgresql://u:hunter2@h/d"})))
    assert "hunter2" not in repr(shown)
    assert shown["kafka.sasl_password"] == shown["database.url"] == "********"
    with pytest.raises(ConfigError) as caught:
        load({"kafka.sasl_password": "[1]", "partitions": "x"})
    assert "hunter2" not in str(caught.value)


def test_every_environment_of_the_repository_loads() -> None:
    config = Path(__file__).parents[2] / "config"
    for path in config.glob("*.toml"):
        assert isinstance(load(environment=path.stem, config_dir=config), Settings)


def test_lists_are_given_with_commas_or_as_json() -> None:
    assert load({"symbols": "A-B, C-D"}).symbols == ("A-B", "C-D")
    assert load({"symbols": '["A-B"]'}).symbols == ("A-B",)


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = load({"tape": "other", "symbols": "A-B", "kafka.sasl_password": "s", "partitions": "3"})
    for name, text in to_environment(given).items():
        monkeypatch.setenv(name, text)
    assert load() == given
