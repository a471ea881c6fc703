"""The command line as a whole: help, options, errors, and that it is there at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tape import cli, config
from tape.cli import COMMANDS, build

# What takes long to import; a command brings it in when it runs, not when help is asked for.
HEAVY = (
    *("numba", "numpy", "faust", "aiokafka", "confluent_kafka", "pyarrow", "psycopg", "httpx"),
    *("fastavro", "structlog", "prometheus_client", "jgo", "requests", "zstandard"),
)


def run(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`tape WORDS` in a process of its own, without our settings."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("TAPE_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "tape", *words],
        env={**own, "COLUMNS": "120", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def help_of(*words: str) -> str:
    shown = CliRunner().invoke(build(list(words)), [*words, "--help"])
    assert shown.exit_code == 0
    return shown.output


def test_help_lists_every_command_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tape", "--help"])
    lines = help_of().splitlines()
    for name in COMMANDS:
        assert any(line.startswith(f"│ {name} ") for line in lines), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_says_what_it_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tape", name, "--help"])
    said = " ".join(help_of(name).split("╭")[0].split())
    sentence = said.partition("...")[2] or said.partition("OPTIONS]")[2]
    assert len(sentence.split()) >= 3, said
    assert "." in sentence, said


def test_options_and_arguments_of_every_command_are_explained() -> None:
    for name in COMMANDS:
        command = typer.main.get_command(build([name])).commands[name]  # type: ignore[attr-defined]
        each = getattr(command, "commands", {name: command}).values()
        for parameter in (parameter for one in each for parameter in one.params):
            assert parameter.help, f"{name}: {parameter.name}"


def test_no_command_imports_a_heavy_module_before_it_runs() -> None:
    code = (
        "import sys; from tape.cli import build; build(['--help'])\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_an_unknown_command_suggests_the_nearest() -> None:
    done = run("wroker")
    assert done.returncode == 2
    assert "'worker'" in done.stderr


def test_version_is_told() -> None:
    assert run("--version").stdout.startswith("tape 0.")


@pytest.mark.parametrize(
    "words",
    [
        ("--tape", "research", "config", "show"),
        ("config", "show", "--tape", "research"),
        ("config", "--tape=research", "show"),
    ],
)
def test_the_tape_is_named_before_or_after_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'tape = "research"' in called(words, capsys, monkeypatch).out


def test_a_tape_may_be_named_like_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--tape", "worker", "config", "show")
    assert 'tape = "worker"' in called(words, capsys, monkeypatch).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("topics", "--tape", "Upper"), "--tape 'Upper': a tape's name is"),
        (("topics", "--tape"), "--tape: give a value"),
        (("topics", "--tape", "--json"), "--tape: give a value"),
        (("topics", "--set", "kafka"), "--set kafka: give it as KEY=VALUE"),
        (("topics", "--set", "kafka.nothing=1"), "no such setting"),
        (("--environment", "moon", "topics"), "no config/moon.toml"),
        (("tail", "nothing"), "there is no topic 'nothing'; there are: tape, books"),
        (("verify", "nothing"), "no sink 'nothing'; there are timescale"),
        (("import", "x.csv", "--symbol", "BTC"), "--symbol BTC: a canonical symbol is BASE-QUOTE"),
        (("import", "nowhere.csv"), "nowhere.csv: there is no such file"),
        (("bench", "nothing"), "no benchmark 'nothing'"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = called(words, capsys, monkeypatch, status=2).err
    assert error.startswith("tape: ")
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("words", ["worker", "sink", "topics", "tail bars", "replay", "verify"])
def test_a_stack_that_is_down_is_one_line_and_status_1(
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = ("--set", f"stack.home={tmp_path}")
    error = called((*at, *words.split()), capsys, monkeypatch, status=1).err
    assert error.startswith("tape: the local kafka is not running: `tape up` starts it")
    assert len(error.splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_told_with_the_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    words = ("--set", f"stack.home={tmp_path / 'file'}", "logs")
    assert "no log in" in called(words, capsys, monkeypatch, status=1).err


def test_help_is_shown_whatever_is_wrong_with_the_settings() -> None:
    done = run("up", "--help", TAPE_NOTHING="1")
    assert done.returncode == 0
    assert "--foreground" in done.stdout


def test_output_that_is_no_terminal_has_no_escape_codes() -> None:
    for words in (("--help",), ("schemas", "list"), ("topics",)):
        done = run(*words)
        assert "\x1b" not in done.stdout + done.stderr


def called(
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int = 0,
) -> "pytest.CaptureResult[str]":
    """`tape WORDS` in this process, without our settings: starting one costs a second each time."""
    for name in [name for name in os.environ if name.startswith("TAPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["tape", *words])
    token = config._current.set(config.load())
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        config._current.reset(token)
    assert (ended.value.code or 0) == status
    return capsys.readouterr()
