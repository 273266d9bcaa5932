"""Langfuse's own client reads what our double says, so that the double is honest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from metrics.connectors import connector_for
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.usage import UsageCell
from metrics.windows import HOUR, Window
from tests.doubles.langfuse_project import LangfuseProject, Observation, Score

NINE = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_langfuses_client_and_our_connector_read_the_same_figures():
    client = pytest.importorskip("langfuse.api.client", reason="langfuse is not installed (requirements-peers.txt)")
    project = LangfuseProject(
        [Observation(NINE, cost=0.25), Observation(NINE, level="ERROR", output_tokens=0, cost=0.0)],
        [Score(NINE, value=0.75)],
        keys=("pk-lf-1", "sk-lf-1"),
    )
    try:
        theirs = client.LangfuseAPI(base_url=project.url, username="pk-lf-1", password="sk-lf-1")
        kind = connector_for("langfuse")
        parameters = {"address": project.url, "public_key": "pk-lf-1", "secret_key": "sk-lf-1", "scores": "correctness"}
        with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))) as http:
            connector = kind(kind.clean_parameters(parameters), http, lambda: NINE + HOUR)
            read = list(connector.fetch(Window(NINE, NINE + HOUR)))
        # The same questions again, through their client.
        asked = [json.loads(one.value("query") or "") for one in project.asked]
        rows = [theirs.metrics.metrics(query=json.dumps(query)).data for query in asked]
        assert [set(one) for one in rows[0]][0] >= {"time_dimension", "count_count", "sum_totalCost", "level"}
        (cell,) = [item for item in read if isinstance(item, UsageCell)]
        assert sum(int(row["count_count"]) for row in rows[0]) == cell.sums["requests"] == 2
        assert sum(row["sum_totalCost"] for row in rows[0]) == float(cell.sums["estimated_cost"]) == 0.25
        assert rows[2][0]["sum_value"] == float(cell.sums["quality_sum"]) == 0.75
        with pytest.raises(Exception, match="401"):
            client.LangfuseAPI(base_url=project.url, username="pk-lf-1", password="wrong").metrics.metrics(query="{}")
    finally:
        project.close()
