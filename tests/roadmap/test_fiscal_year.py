"""The fiscal year: spend, plan, share of plan, forecast (docs/measures.md, 'Plan and fiscal year')."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.access import Asker
from accounts.models import Membership, Role
from metrics import identity
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import CostEntry, Phase, Report, Roadmap
from roadmap.queries.fiscal_year import year_facts, year_of_month
from roadmap.queries.fiscal_year_reading import scope_of_plan, scope_of_roadmaps
from roadmap.queries.portfolio import portfolio
from roadmap.queries.portfolio_filters import parse_portfolio_filters
from roadmap.queries.spend_plan import plan_of
from roadmap.rules.fiscal_year import (
    FiscalYear,
    Share,
    Spent,
    fiscal_year_from,
    fiscal_year_of,
    held_against,
    share_of,
)
from tests.roadmap.many_roadmaps import spend_daily

D = Decimal
OCTOBER = date(2026, 10, 1)


@pytest.fixture(autouse=True)
def _july(settings):
    settings.REPORTING_CURRENCY = "EUR"
    settings.FISCAL_YEAR_START_MONTH = 7
    identity.forget()
    yield
    identity.forget()


def made(adam, name: str, *, budget=None, span=(date(2026, 9, 1), date(2026, 12, 31))) -> Roadmap:
    """A roadmap whose PoC is planned for `span`; no other phase has a budget."""
    roadmap = make_roadmap(Asker(adam), name=name, owner=adam, start_on=span[0], currency="EUR")
    Phase.objects.filter(roadmap=roadmap).update(budget_amount=None)
    Phase.objects.filter(roadmap=roadmap, kind="poc").update(
        budget_amount=budget, budget_currency="EUR", planned_start_on=span[0], planned_end_on=span[1]
    )
    return roadmap


@pytest.fixture
def worked(adam):
    """The worked example: Letters with a budget, Claims without, and what belongs to no roadmap."""
    letters = made(adam, "Letters", budget=D(12_200))
    claims = made(adam, "Claims")
    spend_daily(letters, 80, date(2026, 9, 1), date(2026, 10, 31))
    spend_daily(claims, 10, OCTOBER, date(2026, 10, 31), provider="mistral")
    spend_daily(None, 5, OCTOBER, date(2026, 10, 31))
    CostEntry.objects.create(
        roadmap=letters, name="Licences", category="licences", amount=D(400), currency="EUR",
        start_on=date(2026, 12, 1), end_on=date(2026, 12, 31),
    )  # fmt: skip
    return letters, claims


def everything(*roadmaps):
    return scope_of_roadmaps(list(roadmaps), with_unallocated=True, include_demo=False)


def test_the_worked_example_of_the_plan_and_the_share_of_it(worked):
    """October 2,480 of 3,100; to date 4,880 of 6,100 over 4,880 of 5,345 spent."""
    found = year_of_month(everything(*worked), OCTOBER)
    assert (found.year.name, found.until) == ("2026/27", date(2026, 11, 1))
    assert (found.this_month.spent.total, found.this_month.plan) == (2945, 3100)
    assert found.this_month.share.value == D("0.8")
    assert round(found.this_month.share.coverage, 3) == D("0.842")
    assert (found.to_date.spent.total, found.to_date.plan) == (5345, 6100)
    assert found.to_date.share.value == D("0.8")
    assert round(found.to_date.share.coverage, 3) == D("0.913")
    assert found.plan_of_year == 12_200
    assert list(found.without_plan) == ["Claims"]


def test_the_worked_example_of_the_forecast(worked):
    """5,345 + 242 x 95 + 400 = 28,735; with a plan 4,880 + 242 x 80 + 400 = 24,640 of 12,200."""
    outlook = year_of_month(everything(*worked), OCTOBER).outlook
    assert (outlook.total, outlook.low, outlook.high, outlook.days_used) == (28_735, 28_735, 28_735, 28)
    assert outlook.share.value == D(24_640) / 12_200
    assert round(outlook.share.coverage, 3) == D("0.857")


def test_months_and_their_forecasts_add_up_to_the_forecast_of_the_year(worked):
    found = year_of_month(everything(*worked), OCTOBER)
    past = [line.held.spent.total or D(0) for line in found.months if line.forecast is None]
    ahead = {line.month: line.forecast for line in found.months if line.forecast is not None}
    assert sum(past) + sum(ahead.values()) == found.outlook.total
    assert ahead[date(2026, 12, 1)] == 31 * 95 + 400
    assert ahead[date(2027, 2, 1)] == 28 * 95
    assert len(ahead) == 8


def test_a_month_without_any_data_is_unknown_and_not_zero(worked):
    july = year_of_month(everything(*worked), OCTOBER).months[0]
    assert (july.held.spent.total, july.held.plan, july.held.share.value) == (None, None, None)


def test_parts_by_roadmap_and_provider_add_up_to_the_total(worked):
    found = year_of_month(everything(*worked), OCTOBER)
    assert [(line.name, line.to_date.spent.total) for line in found.by_roadmap] == [
        ("Letters", 4880),
        ("Claims", 310),
        ("", 155),
    ]
    assert found.by_roadmap[-1].is_unallocated
    assert [(line.provider, line.month, line.to_date) for line in found.by_provider] == [
        ("openai", 2635, 5035),
        ("mistral", 310, 310),
    ]
    assert sum(line.to_date for line in found.by_provider) == found.to_date.spent.total


def test_cost_entries_are_spend_and_told_apart(worked):
    letters, claims = worked
    CostEntry.objects.create(
        roadmap=letters, name="Labels", category="data", amount=D(620), currency="EUR",
        start_on=OCTOBER, end_on=date(2026, 11, 30),
    )  # fmt: skip
    found = year_of_month(everything(letters, claims), OCTOBER)
    # 31 of 61 days.
    assert round(found.this_month.spent.entered, 2) == D("315.08")
    assert found.by_provider[-1].provider == ""
    assert found.by_provider[-1].month == found.this_month.spent.entered
    assert found.this_month.spent.total == found.this_month.spent.estimated + found.this_month.spent.entered


def test_too_little_data_has_no_forecast(adam):
    letters = made(adam, "Letters", budget=D(12_200))
    spend_daily(letters, 80, date(2026, 10, 27), date(2026, 10, 31))
    found = year_of_month(everything(letters), OCTOBER)
    assert (found.outlook.total, found.outlook.share.value) == (None, None)
    assert all(line.forecast is None for line in found.months)


def test_a_year_that_is_over_has_no_forecast_and_one_to_come_only_a_plan(worked):
    scope = everything(*worked)
    over = year_facts(scope, fiscal_year_from(2026, 7), until=date(2027, 9, 2), today=date(2027, 9, 1))
    assert over.is_over
    assert (over.outlook, over.to_date.spent.total) == (None, 5345 + 400)
    coming = year_facts(scope, fiscal_year_from(2026, 7), until=date(2026, 6, 2), today=date(2026, 6, 1))
    assert not coming.has_begun
    assert (coming.to_date.spent.total, coming.outlook, coming.plan_of_year) == (None, None, 12_200)


def test_a_running_day_counts_as_spent_and_is_not_forecast_twice(worked):
    letters, claims = worked
    spend_daily(letters, 40, date(2026, 11, 1), date(2026, 11, 1))
    found = year_facts(
        everything(letters, claims), fiscal_year_from(2026, 7), until=date(2026, 11, 2), today=date(2026, 11, 1)
    )
    assert found.to_date.spent.total == 5385
    assert found.this_month.spent.total == 40
    assert found.outlook.total == 28_735


def test_on_its_first_day_a_year_is_forecast_from_the_run_rate_though_nothing_of_it_is_known(worked, erin, settings):
    """365 x 95 + 400 = 35,075; with a plan 365 x 80 + 400 = 29,600 of the 6,100 of November and December."""
    settings.FISCAL_YEAR_START_MONTH = 11
    first = date(2026, 11, 1)
    found = year_facts(everything(*worked), fiscal_year_from(2026, 11), until=date(2026, 11, 2), today=first)
    assert (found.to_date.spent.total, found.plan_of_year) == (None, 6_100)
    assert (found.outlook.total, found.outlook.days_used) == (35_075, 28)
    assert found.outlook.share.value == D(29_600) / 6_100
    assert [found.months[0].forecast, found.months[1].forecast] == [30 * 95, 31 * 95 + 400]
    assert sum(line.forecast for line in found.months) == 35_075
    now = datetime(2026, 11, 1, 0, 20, tzinfo=UTC)
    totals = {total.name: total.value for total in portfolio(Asker(erin), parse_portfolio_filters({}), now=now).totals}
    assert (totals["fiscal_year"], totals["forecast"]) == (None, 35_075)
    # What alone has come so far is not all that the forecast rests on.
    spend_daily(worked[0], 40, first, first)
    found = year_facts(everything(*worked), fiscal_year_from(2026, 11), until=date(2026, 11, 2), today=first)
    assert (found.to_date.spent.total, found.outlook.total) == (40, 35_075)
    assert found.outlook.share.value == D(29_600) / 6_100


def test_a_member_sees_the_year_of_what_is_theirs(worked, oscar, erin):
    assert plan_of(Asker(oscar)).roadmaps == {}
    found = year_of_month(scope_of_plan(plan_of(Asker(oscar))), OCTOBER)
    assert (found.to_date.spent.total, found.plan_of_year) == (None, None)
    whole = year_of_month(scope_of_plan(plan_of(Asker(erin))), OCTOBER)
    assert whole.to_date.spent.total == 5345
    one = year_of_month(scope_of_plan(plan_of(Asker(erin)), roadmap="letters"), OCTOBER)
    assert (one.to_date.spent.total, one.to_date.share) == (4880, Share(D("0.8"), D(1), D(4880)))


def test_an_earlier_month_that_was_restated_since_it_was_published_is_told(worked, adam):
    letters, claims = worked
    payload = {"sections": [{"name": "money", "value": {"total": "2300"}}]}
    for revision, total in ((1, "2000"), (2, "2300")):
        payload = {"sections": [{"name": "money", "value": {"total": total}}]}
        Report.objects.create(
            scope="roadmap", roadmap=letters, month=date(2026, 9, 1), revision=revision, state="published",
            payload=payload, sha256="0" * 64,
        )  # fmt: skip
    found = year_of_month(everything(letters, claims), OCTOBER).restated
    assert [(one.month, one.published, one.now) for one in found] == [(date(2026, 9, 1), 2300, 2400)]
    assert year_of_month(everything(claims), OCTOBER).restated == []


def test_queries_do_not_grow_with_roadmaps_or_months(worked, adam):
    year_of_month(everything(*worked), OCTOBER)
    with CaptureQueriesContext(
        connection,
    ) as few:
        year_of_month(everything(*worked), OCTOBER)
    more = [made(adam, f"More {number}", budget=D(100)) for number in range(4)]
    for one in more:
        spend_daily(one, 3, date(2026, 8, 1), date(2026, 10, 31))
    year_of_month(everything(*worked, *more), OCTOBER)
    with CaptureQueriesContext(connection) as many:
        year_of_month(everything(*worked, *more), OCTOBER)
    assert len(many) == len(few) <= 10


# --- Rules


@pytest.mark.parametrize(
    ("day", "start", "first", "name"),
    [
        (date(2026, 6, 30), 7, date(2025, 7, 1), "2025/26"),
        (date(2026, 7, 1), 7, date(2026, 7, 1), "2026/27"),
        (date(2026, 12, 31), 1, date(2026, 1, 1), "2026"),
        (date(1999, 12, 31), 7, date(1999, 7, 1), "1999/00"),
    ],
)
def test_a_day_lies_in_one_fiscal_year(day, start, first, name):
    found = fiscal_year_of(day, start)
    assert (found.start_on, found.name) == (first, name)
    assert found.start_on <= day < found.end_on
    assert len(found.months) == 12


def test_a_fiscal_year_ends_where_the_next_one_begins():
    assert fiscal_year_from(2026, 7) == FiscalYear(date(2026, 7, 1), date(2027, 7, 1))
    assert fiscal_year_from(2026, 7).last_on == date(2027, 6, 30)


def test_what_has_no_plan_is_not_in_the_share_and_lowers_its_coverage():
    spents = {1: Spent(billed=D(80)), 2: Spent(estimated=D(20)), None: Spent(estimated=D(10))}
    found = held_against(spents, {1: D(100), 2: None})
    assert (found.spent.total, found.plan) == (110, 100)
    assert found.share == Share(D("0.8"), D(80) / 110, D(80))


def test_under_half_covered_there_is_no_share():
    assert held_against({1: Spent(billed=D(49)), 2: Spent(billed=D(51))}, {1: D(10)}).share == Share(
        None, D("0.49"), D(49)
    )
    assert held_against({1: Spent(billed=D(50)), 2: Spent(billed=D(50))}, {1: D(10)}).share == Share(
        D(5), D("0.5"), D(50)
    )


def test_a_roadmap_with_a_plan_that_spent_nothing_yet_keeps_its_plan():
    found = held_against({1: Spent(billed=D(50))}, {1: D(50), 2: D(150)})
    assert found.share == Share(D("0.25"), D(1), D(50))


@pytest.mark.parametrize("plan", [None, D(0), D(-1)])
def test_without_a_plan_there_is_no_share(plan):
    assert held_against({1: Spent(billed=D(5))}, {1: plan}).share == Share()
    assert share_of(D(5), plan, D(5)) == Share()


def test_a_month_of_credits_alone_has_a_share_and_no_coverage():
    assert held_against({1: Spent(billed=D(-5))}, {1: D(100)}).share == Share(D("-0.05"), None, D(-5))


def test_spend_that_nobody_knows_is_unknown():
    assert held_against({1: Spent(not_priced_tokens=D(9))}, {1: D(100)}).share == Share()
    assert (Spent(billed=D(1)) + Spent()).total == 1
    assert Spent().total is None


# --- Page, file, API


@pytest.fixture
def first_of_november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2026, 11, 1, 12, tzinfo=UTC))


def test_each_sees_the_year_of_what_is_theirs_on_page_in_file_and_api(
    vera, oscar, erin, worked, sign_in, api, client, first_of_november
):
    letters, _claims = worked
    assert client.get("/reports/year/").status_code == 302
    assert client.get("/api/v1/fiscal-year").status_code == 401
    assert api(erin, scopes=["push"]).get("/api/v1/fiscal-year").status_code == 403
    Membership.objects.create(user=vera, workload=letters.workload, role=Role.VIEWER)
    for person, total in ((erin, "5345"), (vera, "4880"), (oscar, None)):
        answer = api(person, scopes=["read"]).get("/api/v1/fiscal-year?year=2026").json()
        spent = answer["to_date"]["spent"]
        assert (None if spent is None else Decimal(spent)) == (None if total is None else Decimal(total))
        signed_in = sign_in(person)
        page = signed_in.get("/reports/year/?year=2026").content.decode()
        assert ("Letters" in page) == (person != oscar)
        assert ("Claims" in page) == (person == erin)
        rows = list(csv.DictReader(io.StringIO(signed_in.get("/reports/year/year.csv?year=2026").getvalue().decode())))
        assert len(rows) == 12
        october = next(row for row in rows if row["month"] == "2026-10-01")
        assert october["spent_EUR"].startswith({erin: "2945", vera: "2480", oscar: ""}[person])
    # What one may not see is answered as what there is not.
    denied = api(vera, scopes=["read"]).get("/api/v1/fiscal-year?roadmap=claims-2")
    assert denied.status_code == 422


@pytest.mark.parametrize(
    "query", ["year=abc", "year=1", "year=99999999999999999999", "roadmap=none", "programme=%00x", "year=２０２６"]
)
def test_a_bad_filter_is_answered_in_words(worked, sign_in, api, erin, query):
    assert 'role="alert"' in sign_in(erin).get(f"/reports/year/?{query}").content.decode()
    assert sign_in(erin).get(f"/reports/year/year.xlsx?{query}").status_code == 422
    assert api(erin, scopes=["read"]).get(f"/api/v1/fiscal-year?{query}").status_code == 422


def test_the_page_says_no_plan_and_to_come_and_no_data_apart(worked, sign_in, erin, first_of_november):
    page = sign_in(erin).get("/reports/year/?year=2026").content.decode()
    for text in ("no plan", "to come", "no data", "Unallocated", "so far", "Fiscal year 2026/27"):
        assert text in page
