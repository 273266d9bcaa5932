"""Pulls of an Anthropic organization: disjoint parts of the input, cents, tools, the tier that no report charges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.contracts.pull_suite import OTHER_CHARGES, SECRET, PullSuite, running
from tests.doubles.anthropic_organization import AnthropicOrganization

NINE = datetime(2026, 11, 18, 9, tzinfo=UTC)
TEN = datetime(2026, 11, 18, 10, tzinfo=UTC)
DAY_ONE = datetime(2026, 11, 18, tzinfo=UTC)
DAY_TWO = datetime(2026, 11, 19, tzinfo=UTC)
DEMO = {"model": "claude-demo-4", "workspace_id": "wrkspc_01X", "service_tier": "standard"}
TOKENS = {
    "uncached_input_tokens": 600,
    "cache_read_input_tokens": 250,
    "ephemeral_5m": 100,
    "ephemeral_1h": 50,
    "output_tokens": 1000,
}


def organization() -> AnthropicOrganization:
    source = AnthropicOrganization(key=SECRET)
    source.workspaces = {"wrkspc_01X": "Claims"}
    source.use(NINE, {**TOKENS, "requests": 7}, **DEMO, api_key_id="apikey_1")
    source.use(TEN, {**TOKENS, "requests": 3, "web_search_requests": 4}, **DEMO, api_key_id="apikey_2")
    # The Console's use in the default workspace has neither a key nor a workspace.
    source.use(TEN, {"uncached_input_tokens": 40, "output_tokens": 10, "requests": 1}, **{**DEMO, "workspace_id": None})
    source.use(
        TEN, {"uncached_input_tokens": 500, "output_tokens": 500, "requests": 2}, **{**DEMO, "service_tier": "batch"}
    )
    source.use(TEN, {"uncached_input_tokens": 9000, "requests": 5}, **{**DEMO, "service_tier": "priority"})
    tokens = {**DEMO, "cost_type": "tokens"}
    source.charge(
        DAY_ONE, "400", description="Claude Demo 4 Usage - Input Tokens", token_type="uncached_input_tokens", **tokens
    )
    source.charge(
        DAY_ONE, "12.508", description="Claude Demo 4 Usage - Output Tokens", token_type="output_tokens", **tokens
    )
    batch = {**tokens, "service_tier": "batch"}
    source.charge(DAY_ONE, "123.45", description="Claude Demo 4 Usage - Batch", token_type="output_tokens", **batch)
    default = {**tokens, "workspace_id": None}
    source.charge(
        DAY_ONE, "25", description="Claude Demo 4 Usage - Input Tokens", token_type="uncached_input_tokens", **default
    )
    source.charge(DAY_ONE, "4", description="Web Search Usage", cost_type="web_search", workspace_id="wrkspc_01X")
    source.charge(
        DAY_ONE, "30", description="Code Execution Usage", cost_type="code_execution", workspace_id="wrkspc_01X"
    )
    source.charge(DAY_ONE, "-50", description="Goodwill", cost_type="tokens", workspace_id="wrkspc_01X")
    # Not settled yet.
    source.charge(DAY_TWO, "7700", description="Later", **tokens)
    source.items_a_page = 20
    return source


CLASSIC = {
    ("claude-demo-4", "standard", "wrkspc_01X"): {
        "input_tokens": 2000,
        "cached_input_tokens": 500,
        "cache_write_input_tokens": 300,
        "output_tokens": 2000,
        # 412.508 cents.
        "billed_cost": Decimal("4.12508"),
    },
    ("claude-demo-4", "standard", "default"): {
        "input_tokens": 40,
        "cached_input_tokens": 0,
        "cache_write_input_tokens": 0,
        "output_tokens": 10,
        "billed_cost": Decimal("0.25"),
    },
    ("claude-demo-4", "batch", "wrkspc_01X"): {
        "input_tokens": 500,
        "cached_input_tokens": 0,
        "cache_write_input_tokens": 0,
        "output_tokens": 500,
        "billed_cost": Decimal("1.2345"),
    },
    # No cost report charges it: no bill is not a bill of zero.
    ("claude-demo-4", "priority", "wrkspc_01X"): {
        "input_tokens": 9000,
        "cached_input_tokens": 0,
        "cache_write_input_tokens": 0,
        "output_tokens": 0,
    },
    ("web search", "standard", "wrkspc_01X"): {"units": Decimal(4), "billed_cost": Decimal("0.04")},
    # Code execution appears in costs and not in usage.
    OTHER_CHARGES: {"billed_cost": Decimal("0.3")},
    "Credit": {"billed_cost": Decimal("-0.5")},
}
REQUESTS = {
    ("claude-demo-4", "standard", "wrkspc_01X"): 10,
    ("claude-demo-4", "standard", "default"): 1,
    ("claude-demo-4", "batch", "wrkspc_01X"): 2,
    ("claude-demo-4", "priority", "wrkspc_01X"): 5,
}


class TestClassicPull(PullSuite):
    kind = "anthropic"
    # Two days later than usual: a day's cost is final after 48 hours.
    now = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    by = ("model", "service_tier", "label:workspace")
    expected = CLASSIC
    restated = {("claude-demo-4", "batch", "wrkspc_01X"): {"output_tokens": 20, "billed_cost": Decimal("-0.2345")}}
    dropped = {("web search", "standard", "wrkspc_01X"): {"units": Decimal(-4), "billed_cost": Decimal("-0.04")}}

    def double(self):
        return running(organization())

    def parameters(self, url):
        return {"admin_key": SECRET, "address": url}

    def restate(self, source):
        batch = next(row for row in source.used if row.dimensions["service_tier"] == "batch")
        batch.counts["output_tokens"] += 20
        next(row for row in source.charged if row.cents == "123.45").cents = "100"

    def drop(self, source):
        for row in source.used:
            row.counts.pop("web_search_requests", None)
        source.charged = [row for row in source.charged if row.dimensions["cost_type"] != "web_search"]

    def test_workspaces_are_called_by_their_names(self, backend):
        self.pull(backend)
        assert backend.label_names == {"workspace": {"wrkspc_01X": "Claims", "default": "Default workspace"}}


class TestPullByKey(PullSuite):
    """Costs know no keys: those of a workspace share them by their tokens."""

    kind = "anthropic"
    now = TestClassicPull.now
    by = ("service_tier", "label:workspace", "label:api_key")
    expected = {
        ("standard", "wrkspc_01X", "apikey_1"): {
            "input_tokens": 1000,
            "cached_input_tokens": 250,
            "cache_write_input_tokens": 150,
            "output_tokens": 1000,
            "billed_cost": Decimal("2.06254"),
        },
        ("standard", "wrkspc_01X", "apikey_2"): {
            "input_tokens": 1000,
            "cached_input_tokens": 250,
            "cache_write_input_tokens": 150,
            "output_tokens": 1000,
            # Its searches with it.
            "units": Decimal(4),
            "billed_cost": Decimal("2.10254"),
        },
        ("standard", "default", "console"): CLASSIC["claude-demo-4", "standard", "default"],
        ("batch", "wrkspc_01X", "console"): CLASSIC["claude-demo-4", "batch", "wrkspc_01X"],
        ("priority", "wrkspc_01X", "console"): CLASSIC["claude-demo-4", "priority", "wrkspc_01X"],
        OTHER_CHARGES: CLASSIC[OTHER_CHARGES],
        "Credit": CLASSIC["Credit"],
    }
    restated = {("batch", "wrkspc_01X", "console"): {"output_tokens": 20, "billed_cost": Decimal("-0.2345")}}
    dropped = {
        ("standard", "wrkspc_01X", "apikey_2"): {"units": Decimal(-4), "billed_cost": Decimal("-0.04")},
    }
    double, restate, drop = TestClassicPull.double, TestClassicPull.restate, TestClassicPull.drop

    def parameters(self, url):
        return {"admin_key": SECRET, "address": url, "split_by": "api_keys"}


class TestAnalyticsPull(PullSuite):
    """The newer reports: the same figures, and requests."""

    kind = "anthropic"
    now = TestClassicPull.now
    by = TestClassicPull.by
    expected = {key: {**sums, "requests": REQUESTS[key]} if key in REQUESTS else sums for key, sums in CLASSIC.items()}
    restated, dropped = TestClassicPull.restated, TestClassicPull.dropped
    double, restate, drop = TestClassicPull.double, TestClassicPull.restate, TestClassicPull.drop

    def parameters(self, url):
        return {"admin_key": SECRET, "address": url, "reports": "analytics"}

    def test_figures_end_at_the_watermark(self, source, backend):
        """What the report does not know all of yet is neither counted nor taken back."""
        self.pull(backend)
        source.refreshed_at = datetime(2026, 11, 18, 10, 20, tzinfo=UTC)
        source.used = [row for row in source.used if row.at == NINE]
        self.pull(backend, after=timedelta(minutes=5))
        assert self.sums(backend) == self.expected
        assert backend.data_until == datetime(2026, 11, 21, 10, tzinfo=UTC)

    def test_a_first_pull_takes_what_is_known(self, source, backend):
        source.refreshed_at = datetime(2026, 11, 18, 10, 20, tzinfo=UTC)
        self.pull(backend)
        assert self.sums(backend) == {
            ("claude-demo-4", "standard", "wrkspc_01X"): {
                "requests": 7,
                "input_tokens": 1000,
                "cached_input_tokens": 250,
                "cache_write_input_tokens": 150,
                "output_tokens": 1000,
            }
        }
        assert backend.data_until == DAY_ONE
        source.refreshed_at = None
        self.pull(backend, after=timedelta(minutes=5))
        assert self.sums(backend) == self.expected
