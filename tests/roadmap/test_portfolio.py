"""The portfolio: rows, totals, what needs a decision, filters, CSV and REST, each for whom it is meant."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.tokens import make_token
from metrics import identity, ledger
from metrics.arrivals import note_arrival
from metrics.ledger import PostedCell
from metrics.models import Backend, Receipt
from metrics.usage import FeedKind, SeriesKey
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Gate, Phase, Update
from roadmap.queries.phase_dashboard import phase_dashboard
from roadmap.queries.portfolio import portfolio
from roadmap.queries.portfolio_filters import parse_portfolio_filters

D = Decimal
DAY = timedelta(days=1)
ALL = parse_portfolio_filters({})


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def backend(db) -> Backend:
    return Backend.objects.create(slug="api-1", name="API 1", connector="push_only", provider="openai")


@pytest.fixture
def spend(backend, today):
    """`spend(roadmap or None, amount, days_back)`: what it cost on a day; None is unallocated."""

    def _spend(roadmap, amount, days_back=1, *, is_demo=False, provider="openai"):
        wanted = identity.SeriesIdentity(
            SeriesKey(provider=provider, model="m1"),
            backend.pk,
            is_pushed=True,
            workload_id=roadmap.workload_id if roadmap else None,
        )
        series_id = identity.series_ids([wanted], is_demo=is_demo)[wanted]
        day = today - DAY * days_back
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [
                PostedCell(
                    series_id,
                    datetime(day.year, day.month, day.day, 0, tzinfo=UTC),
                    {"requests": 10, "estimated_cost": D(amount)},
                    {},
                    "EUR",
                )
            ],
        )

    return _spend


@pytest.fixture
def second(adam, oscar, asker, today):
    """A second roadmap, of which alice sees nothing."""
    return make_roadmap(asker(adam), name="Secret plan", owner=oscar, start_on=today - 30 * DAY, programme="Labs")


def row_of(found, roadmap):
    return next(row for row in found.rows if row.slug == roadmap.slug)


def total_of(found, name):
    return next(total for total in found.totals if total.name == name)


def test_one_sees_ones_own_roadmaps_only(alice, adam, erin, plan, second, sign_in, api, asker):
    assert [row.name for row in portfolio(asker(alice), ALL).rows] == ["Contact centre"]
    assert [row.name for row in portfolio(asker(erin), ALL).rows] == ["Contact centre", "Secret plan"]
    for address in ("/", "/portfolio.csv"):
        text = sign_in(alice).get(address).getvalue().decode()
        assert "Contact centre" in text
        assert "Secret" not in text
        assert "Labs" not in text
    assert "Secret" not in api(alice, scopes=["read"]).get("/api/v1/portfolio").content.decode()


def test_signed_out_one_sees_nothing(client, plan, api, alice):
    for address in ("/", "/portfolio.csv"):
        assert client.get(address).status_code == 302
    assert client.get("/api/v1/portfolio").status_code == 401
    assert api(alice, scopes=["push"]).get("/api/v1/portfolio").status_code == 403


def test_its_money_is_that_of_the_phase_page(alice, plan, poc, spend, asker, today):
    Phase.objects.filter(pk=poc.pk).update(budget_amount=D(500), budget_currency="EUR", planned_end_on=today + 9 * DAY)
    for back in range(1, 29):
        spend(plan, 10, back)
    row = row_of(portfolio(asker(alice), ALL), plan)
    money = phase_dashboard(asker(alice), slug=plan.slug, kind="poc").money
    assert (row.spent, row.forecast, row.budget) == (money.spent, money.forecast.total, money.budget) == (280, 380, 500)


def test_the_strip_adds_up_the_organisation_with_what_is_unallocated(erin, plan, second, spend, asker, settings, today):
    settings.FISCAL_YEAR_START_MONTH = today.month
    spend(plan, 30, 0)
    spend(second, 60, 0)
    spend(None, 10, 0)
    found = portfolio(asker(erin), ALL)
    assert total_of(found, "month").value == 100
    assert total_of(found, "unallocated").value == D("0.1")
    assert total_of(found, "fiscal_year").value == 100


def test_a_member_has_totals_of_what_is_theirs(alice, plan, second, spend, asker):
    spend(plan, 30, 0)
    spend(second, 60, 0)
    spend(None, 10, 0)
    found = portfolio(asker(alice), ALL)
    assert total_of(found, "month").value == 30
    assert all(total.name != "unallocated" for total in found.totals)


def test_the_demo_is_in_no_total_once_there_is_real_usage(erin, adam, alice, plan, spend, backend, asker, today):
    demo = make_roadmap(asker(adam), name="Demo plan", owner=alice, start_on=today - 30 * DAY, is_demo=True)
    Backend.objects.filter(pk=backend.pk).update(is_demo=True)
    spend(demo, 1000, 0, is_demo=True)
    found = portfolio(asker(erin), ALL)
    assert (total_of(found, "month").value, found.demo_is_in_totals) == (1000, True)
    Backend.objects.filter(pk=backend.pk).update(is_demo=False)
    spend(plan, 5, 0)
    found = portfolio(asker(erin), ALL)
    assert (total_of(found, "month").value, found.demo_is_in_totals, found.has_demo) == (5, False, True)
    assert row_of(found, demo).spent == 1000


def test_what_needs_a_decision_comes_with_a_button(alice, plan, poc, spend, asker, today):
    Phase.objects.filter(pk=poc.pk).update(budget_amount=D(50), budget_currency="EUR")
    Gate.objects.filter(phase=poc).update(due_on=today - 7 * DAY)
    spend(plan, 60, 3)
    found = portfolio(asker(alice), ALL).decisions
    whats = [(item.urgency, item.what) for item in found]
    assert ("now", "Contact centre: the gate is 7 days overdue") in whats
    assert any(what.startswith("Contact centre: budget passed on") for _, what in whats)
    assert all(item.url for item in found)
    assert found[0].kind == "main"


def test_a_budget_that_will_run_out_is_soon(alice, plan, poc, spend, asker, today):
    Phase.objects.filter(pk=poc.pk).update(budget_amount=D(300), budget_currency="EUR", planned_end_on=today + 9 * DAY)
    Gate.objects.filter(phase=poc).update(due_on=today + 60 * DAY)
    for back in range(1, 29):
        spend(plan, 10, back)
    found = [item for item in portfolio(asker(alice), ALL).decisions if "budget ends" in item.what]
    assert [item.urgency for item in found] == ["soon"]
    assert "380" in found[0].why


def test_the_managers_word_stands_and_without_one_the_figures_speak(alice, plan, asker, today):
    row = row_of(portfolio(asker(alice), ALL), plan)
    assert (row.status, row.sentence) == ("no_update", "Nothing was spent or measured yet.")
    Update.objects.create(
        roadmap=plan,
        status="at_risk",
        sentence="The data is late.",
        author=alice,
        created_at=datetime(today.year, 1, 1, tzinfo=UTC),
    )
    row = row_of(portfolio(asker(alice), ALL), plan)
    assert (row.status, row.tone, row.sentence) == ("at_risk", "amber", "The data is late.")
    assert portfolio(asker(alice), ALL).sentence == "The roadmap is at risk."


def test_filters_and_groups_are_in_the_address(erin, plan, second, spend, sign_in, asker):
    spend(second, 1, provider="mistral")

    def names(**parameters):
        found = portfolio(asker(erin), parse_portfolio_filters(parameters))
        assert not found.filters.problems
        return [row.name for row in found.rows]

    assert names(programme="Labs") == ["Secret plan"]
    assert names(owner="alice") == ["Contact centre"]
    assert names(provider="mistral") == ["Secret plan"]
    assert names(phase="poc", status="no_update") == ["Contact centre", "Secret plan"]
    client = sign_in(erin)
    assert 'value="Labs" selected' in client.get("/?programme=Labs&group=phase").content.decode()
    rows = list(csv.reader(io.StringIO(client.get("/portfolio.csv?programme=Labs").getvalue().decode())))
    assert [row[0] for row in rows] == ["roadmap", "secret-plan"]


@pytest.mark.parametrize("query", ["?owner=nobody", "?group=colour", "?status=%00", "?phase=" + "x" * 300])
def test_a_bad_filter_is_answered_in_words(alice, plan, sign_in, query):
    answer = sign_in(alice).get(f"/{query}")
    assert answer.status_code == 200
    assert ('role="alert"' in answer.content.decode()) is ("%00" not in query)


def test_a_name_is_no_formula_in_a_spreadsheet(adam, alice, asker, sign_in):
    make_roadmap(asker(adam), name="=1+1", owner=alice, slug="sum")
    text = sign_in(adam).get("/portfolio.csv").getvalue().decode()
    assert "sum,'=1+1," in text


def test_without_roadmaps_there_are_four_steps(adam, oscar, sign_in):
    text = sign_in(adam).get("/").content.decode()
    for step in ("Make a roadmap", "Send a figure", "Connect a backend", "Invite a colleague"):
        assert step in text
    text = sign_in(oscar).get("/").content.decode()
    assert "Connect a backend" in text
    assert "Invite a colleague" not in text


def test_the_document_has_every_figure_with_its_window(erin, plan, spend, api):
    spend(plan, 30, 0)
    document = api(erin, scopes=["read"]).get("/api/v1/portfolio").json()
    month = next(total for total in document["totals"] if total["name"] == "month")
    assert (month["value"], month["unit"]) == ("30", "EUR")
    assert month["window"]["start_on"] < month["window"]["end_before"]
    assert document["roadmaps"][0]["spent"] == "30"


def test_more_roadmaps_take_no_more_queries(erin, adam, alice, plan, spend, asker, sign_in, today):
    spend(plan, 10, 1)
    client = sign_in(erin)
    client.get("/")
    with CaptureQueriesContext(connection) as few:
        client.get("/")
    for number in range(4):
        made = make_roadmap(asker(adam), name=f"Plan {number}", owner=alice, start_on=today - (50 + number) * DAY)
        spend(made, 10, 2)
    client.get("/")
    with CaptureQueriesContext(connection) as many:
        client.get("/")
    assert len(many) == len(few) <= 25


def test_a_token_whose_traces_do_not_count_is_a_line_with_one_button(plan, bob, alice, vera, sign_in):
    token, _ = make_token(name="claims-bot", owner=bob, scopes=["push"], workload=plan.workload)
    note_arrival(token, "traces")
    assert "claims-bot" not in sign_in(vera).get("/").content.decode()
    client = sign_in(alice)
    page = client.get("/").content.decode()
    assert "claims-bot sends traces only" in page
    assert f'action="/tokens/{token.pk}/signal/"' in page
    assert client.post(f"/tokens/{token.pk}/signal/", {"signal": "traces"}).status_code == 303
    assert "sends traces only" not in client.get("/").content.decode()
