"""Pulls of an OpenAI organization: hand-made sums of every kind of usage, and of what it is charged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from metrics.models import LedgerEntry
from tests.contracts.pull_suite import OTHER_CHARGES, SECRET, PullSuite, running
from tests.doubles.openai_organization import OpenAIOrganization
from tests.doubles.source_server import Reply

NINE = datetime(2026, 11, 19, 9, tzinfo=UTC)
TEN = datetime(2026, 11, 19, 10, tzinfo=UTC)
NEXT = datetime(2026, 11, 20, 23, tzinfo=UTC)
DAY_ONE = datetime(2026, 11, 19, tzinfo=UTC)
DAY_TWO = datetime(2026, 11, 20, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 21, tzinfo=UTC)


def organization() -> OpenAIOrganization:
    """Two projects, one of which pays for tools; every kind of usage; the day before has not settled."""
    source = OpenAIOrganization(key=SECRET)
    source.projects = {"proj_a1": "Claims", "proj_b2": "Other"}
    chat = {"project_id": "proj_a1", "model": "gpt-x-mini", "batch": False, "service_tier": "default"}
    tokens = {"input_tokens": 1000, "input_cached_tokens": 400, "input_cache_write_tokens": 100, "output_tokens": 200}
    source.use("completions", NINE, counts={**tokens, "num_model_requests": 10}, **chat, api_key_id="key_1")
    source.use("completions", NINE, counts={**tokens, "num_model_requests": 5}, **chat, api_key_id="key_2")
    source.use(
        "completions",
        TEN,
        counts={"input_tokens": 300, "output_tokens": 30, "num_model_requests": 3},
        **{**chat, "batch": True},
    )
    source.use(
        "completions",
        NEXT,
        counts={"input_tokens": 70, "output_tokens": 7, "num_model_requests": 1},
        **{**chat, "project_id": "proj_b2", "service_tier": "flex"},
    )
    source.use("decisions", TEN, counts={"input_tokens": 50, "output_tokens": 5, "num_model_requests": 2}, **chat)
    embedding = {"project_id": "proj_a1", "model": "embed-x"}
    source.use("embeddings", TEN, counts={"input_tokens": 9000, "num_model_requests": 4}, **embedding)
    source.use("moderations", TEN, counts={"input_tokens": 11, "num_model_requests": 1}, model="moderate-x")
    source.use("images", TEN, counts={"images": 6, "num_model_requests": 3}, model="draw-x", project_id="proj_a1")
    source.use("audio_speeches", TEN, counts={"characters": 1234, "num_model_requests": 2}, model="speak-x")
    source.use("audio_transcriptions", TEN, counts={"seconds": 95, "num_model_requests": 1}, model="hear-x")
    for hour in (NINE, TEN):
        source.use("vector_stores", hour, counts={"usage_bytes": 3 * 2**29}, project_id="proj_a1")
    source.use("code_interpreter_sessions", TEN, counts={"num_sessions": 2}, project_id="proj_a1")
    source.use("file_search_calls", TEN, counts={"num_requests": 8}, project_id="proj_a1")
    source.use("web_search_calls", TEN, counts={"num_requests": 5, "num_model_requests": 4}, model="gpt-x-mini")
    mine = {"project_id": "proj_a1"}
    source.charge(DAY_ONE, 2.785, line_item="gpt-x-mini, input_tokens", **mine)
    # As text, as some accounts get it.
    source.charge(DAY_ONE, "0.2785", line_item="gpt-x-mini, output_tokens", **mine)
    source.charge(DAY_TWO, 0.07, line_item="gpt-x-mini, input_tokens", project_id="proj_b2")
    source.charge(DAY_ONE, 0.9, line_item="embed-x", **mine)
    source.charge(DAY_ONE, 0.24, line_item="draw-x, images", **mine)
    source.charge(DAY_ONE, 0.05, line_item="web search tool calls")
    source.charge(DAY_ONE, 0.02, line_item="file search | tool calls", **mine)
    source.charge(DAY_ONE, 0.001, line_item="file search | storage", **mine)
    source.charge(DAY_ONE, 0.06, line_item="code interpreter sessions", **mine)
    # A model that nobody used that day: a correction of an older bill.
    source.charge(DAY_TWO, 0.5, line_item="gpt-old, input_tokens", **mine)
    source.charge(DAY_TWO, -2, line_item="gpt-x-mini, input_tokens", **mine)
    source.charge(YESTERDAY, 99, line_item="gpt-x-mini, input_tokens", **mine)
    source.buckets_a_page = 24
    return source


class TestPull(PullSuite):
    kind = "openai"
    by = ("model", "operation", "service_tier", "label:project")
    expected = {
        ("gpt-x-mini", "chat", "standard", "proj_a1"): {
            "requests": 15,
            "input_tokens": 2000,
            "cached_input_tokens": 800,
            "cache_write_input_tokens": 200,
            "output_tokens": 400,
            # 2.785 + 0.2785 over what the model did in this project that day, by tokens: 2,400 of 2,785.
            "billed_cost": Decimal("2.64"),
        },
        ("gpt-x-mini", "chat", "batch", "proj_a1"): {
            "requests": 3,
            "input_tokens": 300,
            "output_tokens": 30,
            "billed_cost": Decimal("0.363"),
        },
        ("gpt-x-mini", "decision", "standard", "proj_a1"): {
            "requests": 2,
            "input_tokens": 50,
            "output_tokens": 5,
            "billed_cost": Decimal("0.0605"),
        },
        ("gpt-x-mini", "chat", "flex", "proj_b2"): {
            "requests": 1,
            "input_tokens": 70,
            "output_tokens": 7,
            "billed_cost": Decimal("0.07"),
        },
        ("embed-x", "embeddings", "standard", "proj_a1"): {
            "requests": 4,
            "input_tokens": 9000,
            "billed_cost": Decimal("0.9"),
        },
        ("moderate-x", "moderation", "standard", ""): {"requests": 1, "input_tokens": 11},
        ("draw-x", "image_generation", "standard", "proj_a1"): {
            "requests": 3,
            "units": Decimal(6),
            "billed_cost": Decimal("0.24"),
        },
        ("speak-x", "text_to_speech", "standard", ""): {"requests": 2, "units": Decimal(1234)},
        ("hear-x", "transcription", "standard", ""): {"requests": 1, "units": Decimal(95)},
        # 1.5 GiB for two hours.
        ("vector stores", "vector_store", "standard", "proj_a1"): {
            "units": Decimal(3),
            "billed_cost": Decimal("0.001"),
        },
        ("code interpreter", "code_interpreter", "standard", "proj_a1"): {
            "units": Decimal(2),
            "billed_cost": Decimal("0.06"),
        },
        ("file search", "file_search", "standard", "proj_a1"): {"units": Decimal(8), "billed_cost": Decimal("0.02")},
        ("web search", "web_search", "standard", ""): {"units": Decimal(5), "billed_cost": Decimal("0.05")},
        OTHER_CHARGES: {"billed_cost": Decimal("0.5")},
        "Credit": {"billed_cost": Decimal(-2)},
    }
    restated = {("embed-x", "embeddings", "standard", "proj_a1"): {"input_tokens": 30, "billed_cost": Decimal("-0.2")}}
    dropped = {
        ("draw-x", "image_generation", "standard", "proj_a1"): {
            "requests": -3,
            "units": Decimal(-6),
            "billed_cost": Decimal("-0.24"),
        }
    }

    def double(self):
        return running(organization())

    def parameters(self, url):
        return {"admin_key": SECRET, "address": f"{url}/v1"}

    def restate(self, source):
        for row in source.rows:
            if row.dimensions.get("model") == "embed-x":
                row.counts["input_tokens"] += 30
            if row.dimensions.get("line_item") == "embed-x":
                row.amount = 0.7

    def drop(self, source):
        source.rows = [
            row
            for row in source.rows
            if row.dimensions.get("model") != "draw-x" and row.dimensions.get("line_item") != "draw-x, images"
        ]

    def test_projects_are_called_by_their_names(self, source, backend, client, adam):
        self.pull(backend)
        assert backend.label_names == {"project": {"proj_a1": "Claims", "proj_b2": "Other"}}
        client.force_login(adam)
        assert "project Claims (proj_a1)" in client.get("/backends/source/").text
        # A name tells no series apart: the figures stay where they are.
        source.projects["proj_a1"] = "Claims and more"
        entries = LedgerEntry.objects.filter(feed__kind="usage").count()
        self.pull(backend, after=timedelta(days=1))
        assert backend.label_names["project"]["proj_a1"] == "Claims and more"
        assert LedgerEntry.objects.filter(feed__kind="usage").count() == entries

    def test_a_key_that_may_not_list_projects_reads_usage_all_the_same(self, source, backend):
        answer = source.play
        source.play = lambda asked: Reply(status=403) if asked.path.endswith("/projects") else answer(asked)
        self.pull(backend)
        assert self.sums(backend) == self.expected
        assert (backend.label_names, backend.problem) == ({}, "")
