"""The OpenRouter connector: the conformance suite, pulls against an account's ledger, what is kept and what is not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import pull as pulling
from metrics.connector import CostStatement, NotStated
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import DAY, Window
from tests.contracts.connector_suite import START, StatementConnectorSuite
from tests.contracts.pull_suite import SECRET, PullSuite, running
from tests.doubles.openrouter_account import Activity, OpenRouterAccount
from tests.doubles.source_server import Asked, Reply

IN_ONE_PIECE = "OpenRouter answers a day's activity in one piece."
NO_CURRENCY = "OpenRouter states US dollars and names no currency."


def account() -> OpenRouterAccount:
    source = OpenRouterAccount(key=SECRET, today=date(2026, 11, 22))
    counts = {"requests": 120, "prompt_tokens": 80_000, "completion_tokens": 9_000}
    counts |= {"reasoning_tokens": 1_500, "cached_tokens": 20_000}
    source.rows = [
        Activity(date(2026, 11, 19), "vendor/model-x", counts, 1.25, workspace="ws-claims"),
        # Another provider of the same model, in the same workspace.
        Activity(
            date(2026, 11, 19), "vendor/model-x", {"requests": 5, "prompt_tokens": 500, "completion_tokens": 50}, 0.25,
            provider="ProviderB", workspace="ws-claims",
        ),
        # A replayed answer: more read from the cache than was prompted.
        Activity(
            date(2026, 11, 20), "vendor/model-x", {"requests": 1, "prompt_tokens": 10, "cached_tokens": 90}, 0.0625
        ),
        Activity(
            date(2026, 11, 20), "vendor/model-y", {"requests": 2, "prompt_tokens": 7, "completion_tokens": 3}, 0.0,
            own_keys=0.5, workspace="ws-claims",
        ),
        # Yesterday is not settled, and today not complete.
        Activity(date(2026, 11, 21), "vendor/model-z", {"requests": 4, "prompt_tokens": 40}, 9.0),
        Activity(date(2026, 11, 22), "vendor/model-z", {"requests": 400, "prompt_tokens": 4000}, 90.0),
    ]  # fmt: skip
    return source


class TestPull(PullSuite):
    kind = "openrouter"
    by = ("model", "label:workspace")
    expected = {
        ("vendor/model-x", "ws-claims"): {
            "requests": 125,
            "input_tokens": 80_500,
            "cached_input_tokens": 20_000,
            "output_tokens": 9_050,
            "billed_cost": Decimal("1.5"),
        },
        ("vendor/model-x", "ws-default"): {
            "requests": 1,
            "input_tokens": 10,
            "cached_input_tokens": 10,
            "output_tokens": 0,
            "billed_cost": Decimal("0.0625"),
        },
        # Its cost is on the provider's bill: nothing was paid to OpenRouter.
        ("vendor/model-y", "ws-claims"): {
            "requests": 2,
            "input_tokens": 7,
            "cached_input_tokens": 0,
            "output_tokens": 3,
            "billed_cost": Decimal(0),
        },
        ("vendor/model-z", "ws-default"): {
            "requests": 4,
            "input_tokens": 40,
            "cached_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    restated = {("vendor/model-x", "ws-default"): {"requests": 2, "billed_cost": Decimal("0.25")}}
    dropped = {
        ("vendor/model-y", "ws-claims"): {"requests": -2, "input_tokens": -7, "output_tokens": -3},
    }

    def double(self):
        return running(account())

    def parameters(self, url):
        return {"management_key": SECRET, "address": f"{url}/api/v1"}

    def restate(self, source):
        source.rows[2].counts["requests"] += 2
        source.rows[2].usage = 0.3125

    def drop(self, source):
        del source.rows[3]

    def test_figures_end_with_the_last_complete_day(self, backend):
        self.pull(backend)
        assert backend.data_until == datetime(2026, 11, 22, tzinfo=self.now.tzinfo)
        self.pull(backend, after=timedelta(days=10))
        # It goes on where the figures ended, not at the hour of the pull before.
        assert backend.pulls.first().window_start == datetime(2026, 11, 19, tzinfo=self.now.tzinfo)

    def test_a_day_that_was_forgotten_stays_as_it_was(self, source, backend):
        self.pull(backend)
        source.today, source.rows = date(2027, 1, 5), []
        moment = datetime(2027, 1, 5, 10, tzinfo=self.now.tzinfo)
        # The 31 days from 19 November on: only those from 6 December on are still known.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("metrics.sources.now", lambda: moment)
            assert pulling.pull(backend.pk, clock=lambda: moment) is not None
        assert self.sums(backend) == self.expected
        assert "keeps nothing of 408 of these hours" in backend.pulls.first().message


class TestSuite(StatementConnectorSuite):
    kind = "openrouter"
    rows, count, amount = "data", "prompt_tokens", "usage"
    not_applicable = {
        "cursor repeats": IN_ONE_PIECE,
        "more for ever": IN_ONE_PIECE,
        "more but not where": IN_ONE_PIECE,
        "currency never seen": NO_CURRENCY,
        "currency that is none": NO_CURRENCY,
    }

    def parameters(self, url):
        return {"management_key": SECRET, "address": f"{url}/api/v1"}

    @pytest.fixture
    def account(self):
        with running(OpenRouterAccount(key=SECRET, today=START.date() + DAY)) as double:
            double.rows = [
                Activity(START.date() - count * DAY, "vendor/model-x", {"requests": 3, "prompt_tokens": 100}, 0.25)
                for count in range(10)
            ]
            self.told = double
            yield double

    @pytest.fixture(autouse=True)
    def _account(self, account):
        return account

    def good(self, asked: Asked) -> Reply:
        return self.told.answer(asked)

    def restated(self, asked: Asked) -> Reply:
        self.told.rows[0].usage = 0.5
        return self.told.answer(asked)

    def many_pages(self):
        pytest.skip(IN_ONE_PIECE)

    def test_the_question_is_what_the_documentation_asks_for(self, source, connect):
        self.read(connect(api_key_hash="ab12"))
        assert [asked.value("date") for asked in source.asked] == ["2026-11-19", "2026-11-20"]
        assert {asked.value("api_key_hash") for asked in source.asked} == {"ab12"}
        assert {asked.value("group_by") for asked in source.asked} == {"workspace"}
        assert source.asked[0].headers["Authorization"] == f"Bearer {SECRET}"

    def test_many_days_are_asked_for_at_once(self, source, connect):
        found = list(connect().fetch(Window(START - 9 * DAY, START + DAY)))
        assert len(source.asked) == 1
        assert len([item for item in found if isinstance(item, UsageCell)]) == 9

    def test_an_account_without_workspaces_is_read_as_a_whole(self, source, connect):
        self.told.has_workspaces = False
        found = self.read(connect())
        assert {item.key for item in found if isinstance(item, UsageCell)} == {
            SeriesKey("openrouter", "vendor/model-x")
        }
        assert {item.project for item in found if isinstance(item, CostStatement)} == {None}

    def test_own_keys_count_where_it_is_said(self, source, connect):
        self.told.rows[0].own_keys = 0.75
        statements = [item for item in self.read(connect(own_keys="counted")) if isinstance(item, CostStatement)]
        assert sum(item.amount for item in statements) == Decimal("1.25")
        assert {item.description for item in statements} == {"", "paid to the provider with your own key"}
        assert any("0.75 USD" in text for _, text in connect().test().lines)

    def test_what_is_forgotten_and_what_is_to_come_is_said(self, connect):
        today = START.replace(hour=0) + DAY
        found = list(connect().fetch(Window(today - 40 * DAY, today + timedelta(hours=1))))
        assert [item for item in found if isinstance(item, NotStated)] == [
            NotStated(today - 40 * DAY, today - 30 * DAY),
            NotStated(today, today + timedelta(hours=1), is_to_come=True),
        ]

    def test_a_date_may_carry_a_time(self, source, connect):
        source.play = lambda asked: Reply(
            self.told.answer(asked).body.replace(asked.value("date"), f"{asked.value('date')} 00:00:00")
        )
        assert len([item for item in self.read(connect()) if isinstance(item, UsageCell)]) == 2
