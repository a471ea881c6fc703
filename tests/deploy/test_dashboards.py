"""Grafana's dashboards: their queries run on the sinks' tables, their metrics are served."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sinks import schema
from sinks.config import DatabaseConfig
from tests.conftest import Stack

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
DASHBOARDS = sorted(FOLDER.glob("*.json"))


def _queries(dashboard: dict[str, Any]) -> list[str]:
    panels = [t["rawSql"] for p in dashboard["panels"] for t in p["targets"] if "rawSql" in t]
    variables = dashboard.get("templating", {}).get("list", [])
    return panels + [v["query"] for v in variables if v["type"] == "query"]


def _filled(query: str, tape: str) -> str:
    """The query as Grafana sends it: macros and variables filled in."""
    query = re.sub(
        r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN now() - interval '1 hour' AND now()", query
    )
    for name, value in {"tape": tape, "symbol": "BTC-USDT", "venue": "binance-spot"}.items():
        query = query.replace(f"${name}", value)
    return query


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_runs_on_the_tables(path: Path, stack: Stack, tape_name: str) -> None:
    queries = _queries(json.loads(path.read_text()))
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        schema.ensure(connection, tape_name, DatabaseConfig())
        for query in queries:
            filled = _filled(query, tape_name)
            assert "$" not in filled, filled
            connection.execute(filled).fetchall()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_say_what_they_show(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        assert panel["title"]
        assert panel["description"]
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_dashboards_and_alerts_name_metrics_that_are_served() -> None:
    from prometheus_client import generate_latest

    from streams.telemetry import Metrics

    families = re.findall(
        r"^# TYPE (\S+)", generate_latest(Metrics("x", "y").registry).decode(), re.M
    )
    text = "".join(path.read_text() for path in DASHBOARDS)
    text += (FOLDER.parents[1] / "prometheus" / "rules.yml").read_text()
    named = set(re.findall(r"\btape_[a-z_]+(?=[\[){ ]|\")", text))
    assert named
    for name in named:
        assert name.removesuffix("_bucket") in families, name
