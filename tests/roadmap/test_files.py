"""The tables of a roadmap's pages as CSV and XLSX: who gets which, what stands in them, which page leads there."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from openpyxl import load_workbook

from roadmap.actions.comments import add_comment
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone, drop_milestone, tick_milestone
from roadmap.actions.risks import add_risk, close_risk
from roadmap.actions.updates import post_update
from roadmap.models import Milestone
from roadmap.tables import PLAN_TABLES

DAY = timedelta(days=1)
PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")
MANAGERS = ("alice", "adam")


@pytest.fixture
def filled(plan, poc, gate, alice, bob, asker, today):
    """One of everything, with a name that a spreadsheet would run."""
    a = asker(alice)
    first = add_milestone(a, poc, name="Data", due_on=today, outside_key="CL-1")
    pilot = add_milestone(a, poc, name="=Pilot", due_on=today - 3 * DAY, owner=bob, depends_on=[first])
    tick_milestone(a, first)
    drop_milestone(a, add_milestone(a, poc, name="Tour", due_on=today), reason="No budget")
    kpi = add_kpi(a, poc, name="Hours saved", direction="higher", unit="h", target=Decimal(400))
    for days, value in ((2, "12.5"), (1, "13.125")):
        record_reading(asker(bob), kpi, at=timezone.now() - days * DAY, value=Decimal(value), note="by hand")
    add_cost_entry(
        asker(bob), poc, name="Labels", category="data", amount=Decimal("1234.50"), start_on=today, currency="EUR"
    )
    close_risk(a, add_risk(a, plan, name="Old", category="quality", likelihood=5, impact=5))
    post_update(a, plan, status="at_risk", sentence="Data is late.")
    add_comment(a, plan, text="Who signs?\nSanne.", about=pilot)
    return plan, pilot, kpi


def rows_of(client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


def file_address(plan, table: str, form: str = "csv", query: str = "") -> str:
    return f"{plan.get_absolute_url()}{table}.{form}{query}"


@pytest.mark.parametrize("person", PEOPLE)
def test_each_table_by_role(filled, person, request, sign_in):
    plan, _, kpi = filled
    client = sign_in(request.getfixturevalue(person))
    for name in PLAN_TABLES:
        expected = 200 if person != "oscar" else 404
        if name == "people" and person in ("vera", "erin", "bob"):
            expected = 403
        assert client.get(file_address(plan, name)).status_code == expected, name
    assert client.get(f"/kpis/{kpi.pk}/readings.csv").status_code == (404 if person == "oscar" else 200)


def test_who_is_not_signed_in_gets_none(filled, client):
    plan, _, kpi = filled
    for address in (file_address(plan, "milestones"), f"/kpis/{kpi.pk}/readings.xlsx", "/portfolio.xlsx"):
        assert client.get(address).status_code == 302


def test_each_table_has_its_rows_as_csv_and_as_workbook(filled, alice, sign_in):
    plan, *_ = filled
    client = sign_in(alice)
    for name, found in PLAN_TABLES.items():
        rows = rows_of(client, file_address(plan, name))
        assert rows, name
        book = load_workbook(io.BytesIO(client.get(file_address(plan, name, "xlsx")).getvalue()))
        sheet = book[found.table.title]
        assert sheet.max_row == len(rows) + 1, name
        assert [cell.value for cell in sheet[1]] == list(rows[0]), name
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row), name


def test_milestones_say_what_an_import_asks_for(filled, vera, sign_in, today):
    plan, *_ = filled
    rows = {row["milestone"]: row for row in rows_of(sign_in(vera), file_address(plan, "milestones"))}
    pilot = rows["'=Pilot"]
    assert (pilot["roadmap"], pilot["phase"], pilot["state"]) == (plan.slug, "poc", "open")
    assert (pilot["due_on"], pilot["days_late"]) == ((today - 3 * DAY).isoformat(), "3")
    assert (pilot["owner"], pilot["owner_name"], pilot["waits_for"]) == ("bob", "Bob Builder", "CL-1")
    assert (rows["Data"]["done_on"], rows["Data"]["days_late"]) == (today.isoformat(), "")
    assert (rows["Tour"]["state"], rows["Tour"]["dropped_reason"]) == ("dropped", "No budget")
    assert len(rows) == Milestone.objects.count()


def test_a_workbook_holds_days_and_money(filled, vera, sign_in, today):
    plan, *_ = filled
    client = sign_in(vera)
    book = load_workbook(io.BytesIO(client.get(file_address(plan, "cost-entries", "xlsx")).getvalue()))
    head, *lines = book["Cost entries"].iter_rows()
    row = {cell.value: value for cell, value in zip(head, lines[0], strict=True)}
    assert (row["amount"].value, row["amount"].data_type) == (1234.5, "n")
    assert row["start_on"].value.date() == today
    assert row["in_phase_to_date"].value == 1234.5
    assert plan.name in str(book["About"]["A2"].value)


def test_kpis_have_their_value_and_readings_every_digit(filled, vera, sign_in):
    plan, _, kpi = filled
    client = sign_in(vera)
    row = next(row for row in rows_of(client, file_address(plan, "kpis")) if row["kpi"] == "Hours saved")
    assert (row["value"], row["unit"], row["target"], row["window"]) == ("13.125", "h", "400", "28")
    assert row["status"] == "off_target" or row["status"] == "at_risk"
    readings = rows_of(client, f"/kpis/{kpi.pk}/readings.csv")
    assert [(row["value"], row["by"], row["note"]) for row in readings] == [
        ("13.125", "Bob Builder", "by hand"),
        ("12.5", "Bob Builder", "by hand"),
    ]


def test_one_phase_is_kept_as_on_its_page(filled, vera, sign_in):
    plan, *_ = filled
    client = sign_in(vera)
    for name in ("milestones", "kpis", "checklist", "phases"):
        every = rows_of(client, file_address(plan, name))
        one = rows_of(client, file_address(plan, name, query="?phase=poc"))
        assert {row["phase"] for row in every} == {"poc", "scale_up", "optimise"}
        assert one == [row for row in every if row["phase"] == "poc"]
    assert len(rows_of(client, file_address(plan, "cost-entries", query="?phase=scale_up"))) == 0


@pytest.mark.parametrize(
    "wrong", ["nothing.csv", "milestones.pdf", "milestones.csv?phase=x", "milestones.csv?phase=%00"]
)
def test_what_there_is_not_is_not_found(filled, vera, sign_in, wrong):
    plan, *_ = filled
    assert sign_in(vera).get(f"{plan.get_absolute_url()}{wrong}").status_code == 404


def test_the_pages_lead_to_their_files(filled, alice, sign_in):
    """Each address that a page offers answers, and between them they offer every table."""
    plan, _, kpi = filled
    client, offered = sign_in(alice), set()
    places = ["", "poc/", "settings/", "updates/", "comments/", "activity/"]
    pages = ["/", f"/kpis/{kpi.pk}/", *[plan.get_absolute_url() + place for place in places]]
    for page in pages:
        text = client.get(page).content.decode()
        found = set(re.findall(r'href="([^"]*\.(?:csv|xlsx)[^"]*)"', text))
        assert found, page
        offered |= found
    for address in offered:
        assert client.get(address.replace("&amp;", "&")).status_code == 200, address
    for name in PLAN_TABLES:
        assert any(f"/{name}.csv" in address for address in offered), name
    assert file_address(plan, "milestones", "xlsx", "?phase=poc") in offered


def test_the_portfolio_s_links_keep_its_filter(filled, adam, sign_in):
    client = sign_in(adam)
    page = client.get("/?owner=alice&group=phase").content.decode()
    for form in ("csv", "xlsx"):
        assert f'href="/portfolio.{form}?owner=alice&amp;group=phase"' in page
    book = load_workbook(io.BytesIO(client.get("/portfolio.xlsx?owner=alice").getvalue()))
    assert book["Portfolio"].max_row == 2
    assert book["About"]["A2"].value == "Filter: ?owner=alice"


def test_a_filter_that_names_nothing_gives_no_file(filled, adam, sign_in):
    for form in ("csv", "xlsx"):
        answer = sign_in(adam).get(f"/portfolio.{form}?owner=nobody")
        assert answer.status_code == 422
        assert "No owner 'nobody'" in answer.content.decode()


def test_a_file_costs_the_same_queries_with_more_rows(
    filled, poc, alice, asker, vera, today, sign_in, django_assert_max_num_queries
):
    plan, *_ = filled
    for number in range(15):
        add_milestone(asker(alice), poc, name=f"m{number}", due_on=today, owner=alice)
        add_cost_entry(asker(alice), poc, name=f"c{number}", category="data", amount=Decimal(1), start_on=today)
        add_comment(asker(alice), plan, text=f"x{number}")
    client = sign_in(vera)
    for name in ("phases", "milestones", "checklist", "cost-entries", "risks", "updates", "comments", "activity"):
        with django_assert_max_num_queries(9):
            rows_of(client, file_address(plan, name))
