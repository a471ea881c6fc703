"""`tape doctor` names what blocks and what to do."""

import json
import socket
from pathlib import Path

from tape.stack import ports
from tests.tape.stack.cli import NOWHERE, Cli


def test_held_port_and_absent_external_servers_block(tmp_path: Path) -> None:
    cli = Cli(tmp_path, NOWHERE)
    with socket.create_server((ports.HOST, cli.ports[3])):
        said = json.loads(cli.run("doctor", "--json", expect=1))
    found = {finding["subject"]: finding for finding in said["findings"]}
    assert found["port, postgres"]["level"] == "blocks"
    assert "TAPE_STACK__POSTGRES_PORT" in found["port, postgres"]["advice"]
    assert found["external kafka"]["level"] == "blocks"
    assert "kafka.bootstrap" in found["external kafka"]["advice"]
    assert found["PostgreSQL"]["found"].startswith("postgres (PostgreSQL) 18")
    assert said["blocks"] == 3


def test_machine_on_which_nothing_runs_yet_is_told_to_run_up(tmp_path: Path) -> None:
    said = Cli(tmp_path).run("doctor")
    assert "`tape up` starts it" in said
    assert "OpenJDK 25" in said
