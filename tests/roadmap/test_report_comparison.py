"""Two reports side by side: from the frozen documents alone, unknown left unknown, for nobody who sees not both."""

from __future__ import annotations

import hashlib
import io
import json
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from accounts.access import Asker
from accounts.models import Membership, Role
from metrics.errors import RuleViolation
from roadmap.actions.reports import close_month
from roadmap.models import CostEntry, Report
from roadmap.queries.report_comparison import nearby_reports, two_reports
from roadmap.reports.comparison import comparison_of
from roadmap.reports.comparison_words import comparison_document
from roadmap.reports.comparisons.rows import Change, FigureRow, LightRow, RiskRow
from roadmap.reports.comparisons.side import Item, Light, Scored, by_key
from roadmap.reports.document import Table
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.rules.reports import moved_figures
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report

__all__ = ["roadmap"]
SEPTEMBER = date(2026, 9, 1)
PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")
KINDS = ("pdf", "xlsx", "csv", "json")
DATA = Path(__file__).parents[1] / "data" / "reports"
PAGE = "/reports/compare/"
REST = "/api/v1/reports/compare/"


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def months(roadmap, adam, alice, bob, vera) -> tuple[Report, Report]:
    """September (9.00 of usage) and October (42.50, and licences of 310.00) of 'Letters'."""
    for person, role in ((alice, Role.MANAGER), (bob, Role.CONTRIBUTOR), (vera, Role.VIEWER)):
        Membership.objects.create(user=person, workload=roadmap.workload, role=role)
    push(roadmap, datetime(2026, 9, 30, 10, tzinfo=UTC), requests=1, cost="9.00")
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
    CostEntry.objects.create(
        roadmap=roadmap, name="Licences", category="licences", amount=Decimal(310), currency="USD",
        start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
    )  # fmt: skip
    close_month(Asker(adam), SEPTEMBER)
    close_month(Asker(adam), MONTH)
    return Report.objects.get(roadmap=roadmap, month=SEPTEMBER), roadmap_report(roadmap)


@pytest.fixture
def revisions(months, roadmap, adam) -> tuple[Report, Report]:
    """October as it was published, and as 7.50 of late usage made it."""
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=1, cost="7.50")
    close_month(Asker(adam), MONTH, revise=True)
    return months[1], roadmap_report(roadmap)


def query(was, now) -> dict[str, str]:
    return {"a": str(was.uuid), "b": str(now.uuid)}


def figure(content, section, key):
    return next(row for row in content["figures"] if (row["section"], row["key"]) == (section, key))


# --- What differs -----------------------------------------------------------------------------------------------------


def test_it_is_figure_by_figure_with_difference_and_percent(months, alice, api):
    # By hand: 352.50 - 9.00 = 343.50; 343.50 / 9.00 = 38.1666...
    content = api(alice, scopes=["read"]).get(REST, query(*months)).json()
    spend = figure(content, "figures", "spend")
    assert (spend["first"]["value"], spend["second"]["value"]) == ("9", "352.5")
    assert (spend["difference"], spend["ratio"], spend["change"]) == ("343.5", "38.1666666667", "more")
    requests = figure(content, "performance", "requests")
    assert (requests["difference"], requests["ratio"], requests["change"]) == ("9", "9", "more")
    assert [content["first"]["month"], content["second"]["month"]] == ["2026-09-01", "2026-10-01"]
    assert content["second"]["sha256"] == months[1].sha256


def test_the_other_way_round_has_the_other_sign(months, alice, api):
    client = api(alice, scopes=["read"])
    there, back = (client.get(REST, query(*pair)).json() for pair in (months, months[::-1]))
    for row in there["figures"]:
        other = figure(back, row["section"], row["key"])
        if row["difference"] is None:
            assert other["difference"] is None
        else:
            assert Decimal(other["difference"]) == -Decimal(row["difference"])
        turned = {"more": "less", "less": "more", "only_first": "only_second", "only_second": "only_first"}
        assert other["change"] == turned.get(row["change"], row["change"])


def test_unknown_has_no_difference_and_is_not_what_is_missing(months, alice, api):
    content = api(alice, scopes=["read"]).get(REST, query(*months)).json()
    unknown = [row for row in content["figures"] if row["change"] == "unknown"]
    assert unknown
    for row in unknown:
        assert None in (row["first"]["value"], row["second"]["value"])
        assert (row["difference"], row["ratio"]) == (None, None)
    # A cost category of October alone: September's report has no such row.
    licences = figure(content, "sources", "entered/licences")
    assert (licences["change"], licences["first"], licences["difference"]) == ("only_second", None, None)


def test_the_sources_sum_to_the_spend_on_either_side(months):
    found = comparison_of(*(report.payload for report in months))
    for side in ("first", "second"):
        rows = [getattr(row, side) for row in found.figures["sources"]]
        total = next(getattr(row, side) for row in found.figures["parts"] if row.key == "total")
        assert sum(item.value for item in rows if item is not None) == total.value


@pytest.mark.parametrize(
    ("first", "second", "difference", "change"),
    [
        ({"value": 4}, {"value": 5}, 1, Change.MORE),
        ({"value": 5}, {"value": 4}, -1, Change.LESS),
        ({"value": 5}, {"value": 5}, 0, Change.SAME),
        ({"value": None}, {"value": 5}, None, Change.UNKNOWN),
        ({"value": 5}, {"value": None}, None, Change.UNKNOWN),
        ({"value": None}, {"value": None}, None, Change.UNKNOWN),
        ({"value": 5, "unit": "EUR"}, {"value": 5, "unit": "USD"}, None, Change.NOT_ALIKE),
        ({"value": 5, "of": "poc"}, {"value": 9, "of": "scale_up"}, None, Change.NOT_ALIKE),
        ({"value": None, "low": 1, "high": 2}, {"value": None, "low": 1, "high": 2}, None, Change.SAME),
        ({"value": None, "low": 1, "high": 2}, {"value": None, "low": 1, "high": 3}, None, Change.UNKNOWN),
        ({"value": None, "low": 1}, {"value": 3}, None, Change.UNKNOWN),
        (None, {"value": 3}, None, Change.ONLY_SECOND),
        ({"value": 3}, None, None, Change.ONLY_FIRST),
    ],
)
def test_a_figure_against_another(first, second, difference, change):
    def item(given):
        if given is None:
            return None
        numbers = {name: Decimal(value) for name, value in given.items() if isinstance(value, int)}
        return Item(key="x", label="x", **{"value": None, **given, **numbers})

    row = FigureRow("x", item(first), item(second))
    assert (row.difference, row.change) == (difference, change)


def test_a_share_of_nothing_is_none():
    row = FigureRow("x", *(Item(key="x", label="x", value=Decimal(value)) for value in (0, 5)))
    assert (row.difference, row.ratio) == (5, None)
    row = FigureRow("x", *(Item(key="x", label="x", value=Decimal(value)) for value in (-4, -2)))
    assert (row.difference, row.ratio) == (2, Decimal("0.5"))


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        ("green", "green", "same"), ("amber", "green", "better"), ("green", "red", "worse"), ("red", "amber", "better"),
        ("off", "green", "other"), ("red", "none", "other"),
    ],
)  # fmt: skip
def test_a_light_against_another(first, second, change):
    lights = [Light(key="x", label="x", tone=tone, word=tone) for tone in (first, second)]
    assert LightRow("x", *lights).change == change


def test_a_risk_that_is_not_named_is_gone_only_where_all_are_named():
    risk = Scored(key="x", label="x", score=9)
    assert RiskRow("x", risk, None, True, True).change == Change.GONE
    assert RiskRow("x", risk, None, True, False).change == Change.ONLY_FIRST
    assert RiskRow("x", None, risk, True, True).change == Change.NEW
    assert RiskRow("x", None, risk, False, True).change == Change.ONLY_SECOND


def test_two_of_one_name_stay_two():
    items = [Item(key="Pilot", label="Pilot", value=Decimal(n)) for n in (1, 2, 3)]
    assert list(by_key(items)) == ["Pilot", "Pilot (2)", "Pilot (3)"]


# --- A revision, and what it says of itself ---------------------------------------------------------------------------


def place_of(line) -> tuple[str, str] | None:
    """Where a value that a revision moved stands in a comparison; None for what is in none."""
    section, row, field = line["section"], line["row"], line["field"]
    if section == "headline" and line["rows"] == "figures" and field == "value":
        return "figures", row["key"]
    if section == "money" and row and field == "spend":
        return "sources", f"{row['kind']}/{row.get('category') or row['name']}"
    if section == "money" and field in ("billed", "estimated", "entered", "total"):
        return "parts", field
    if section == "performance" and field == "value":
        return "performance", row["measure"]
    if section == "kpis" and field == "value":
        return "kpis", row["name"]
    return None


def text_of(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")


def test_what_a_revision_says_moved_is_what_the_comparison_finds(revisions):
    was, now = revisions
    says = {
        place: (line["before"], line["after"]) for line in now.payload["moved"] if (place := place_of(line)) is not None
    }
    found = comparison_of(was.payload, now.payload)
    finds = {
        (section, row.key): (text_of(row.first.value), text_of(row.second.value))
        for section, rows in found.figures.items()
        for row in rows
        if row.first.value != row.second.value
    }
    assert says == finds
    # By hand: 7.50 more of usage.
    assert finds["parts", "total"] == ("352.5", "360")
    lights = {
        line["row"]["signal"]: (line["before"], line["after"])
        for line in now.payload["moved"]
        if line["section"] == "signals" and line["field"] == "tone"
    }
    assert lights == {row.key: (row.first.tone, row.second.tone) for row in found.lights if row.change != Change.SAME}


def test_dates_that_a_revision_moved_are_those_of_the_comparison(months):
    payload = deepcopy(months[1].payload)
    delivery = next(section["value"] for section in payload["sections"] if section["name"] == "delivery")
    line = delivery["milestones"][0]
    line["due_on"] = (date.fromisoformat(line["due_on"]) + timedelta(days=14)).isoformat()
    (moved,) = moved_figures(months[1].payload, payload)
    found = comparison_of(months[1].payload, payload)
    (row,) = [row for row in found.milestones if row.change != Change.SAME]
    assert (row.change, row.days, row.label) == (Change.LATER, 14, moved["row"]["name"])
    assert (row.first.due_on.isoformat(), row.second.due_on.isoformat()) == (moved["before"], moved["after"])
    back = comparison_of(payload, months[1].payload)
    assert [row.days for row in back.milestones if row.change == Change.EARLIER] == [-14]


def test_a_revision_that_changes_nothing_compared_differs_in_nothing(months):
    same = deepcopy(months[1].payload)
    found = comparison_of(months[1].payload, same)
    assert moved_figures(months[1].payload, same) == []
    assert {row.change for row in found.all_figures} <= {Change.SAME, Change.UNKNOWN}
    assert {row.change for row in (*found.lights, *found.gates, *found.milestones)} == {Change.SAME}
    assert not found.risks or {row.change for row in found.risks} == {Change.SAME}


def test_columns_are_revisions_where_the_month_is_one(revisions):
    document = comparison_document(*(report.payload for report in revisions), "en")
    assert document.title == "Letters: Revision 1 and Revision 2"
    assert "360.00" in json.dumps([str(section) for section in document.sections])


# --- Across schema versions -------------------------------------------------------------------------------------------


def kept(name: str):
    """A payload as it was once published."""
    return json.loads((DATA / f"{name}.json").read_text())


def test_the_same_month_in_two_schema_versions_is_the_same():
    found = comparison_of(kept("v1_october"), kept("v2_october"))
    assert (found.first.schema_version, found.second.schema_version) == (1, 2)
    for name in ("figures", "parts", "sources", "kpis"):
        assert {row.key: row.change for row in found.figures[name] if row.change != Change.SAME} == {}, name
    # Measures that only the newer version lists stand as such; all others agree.
    changes = {row.change for row in found.figures["performance"]}
    assert changes <= {Change.SAME, Change.ONLY_SECOND}
    assert Change.SAME in changes
    for rows in (found.lights, found.gates, found.milestones, found.risks):
        assert rows
        assert {row.change for row in rows} == {Change.SAME}


def test_a_new_schema_version_alone_is_no_reason_for_a_revision():
    assert moved_figures(kept("v1_october"), kept("v2_october")) == []
    changed = kept("v2_october")
    money = next(section["value"] for section in changed["sections"] if section["name"] == "money")
    money["total"] = "1"
    (line,) = moved_figures(kept("v1_october"), changed)
    assert (line["section"], line["field"], line["after"]) == ("money", "total", "1")


def test_two_months_of_version_1_are_compared_by_code():
    found = comparison_of(kept("v1_september"), kept("v1_october"))
    assert [row.key for row in found.figures["figures"]] == ["spend", "forecast", "unit_cost", "value"]
    spend = found.figures["figures"][0]
    assert spend.difference == Decimal(kept("v1_october")["sections"][0]["value"]["figures"][0]["value"]) - Decimal(
        kept("v1_september")["sections"][0]["value"]["figures"][0]["value"]
    )
    assert {row.key for row in found.gates} == {"poc", "scale_up", "optimise"}
    assert {row.key for row in found.lights} == {"status", "schedule", "budget", "quality", "latency", "risk"}
    schedule = next(row for row in found.lights if row.key == "schedule")
    assert (schedule.first.tone, schedule.second.tone, schedule.change) == ("green", "amber", "worse")


def test_portfolios_are_compared_roadmap_by_roadmap():
    found = comparison_of(kept("v1_portfolio_september"), kept("v1_portfolio_october"))
    then, now = kept("v1_portfolio_september")["rows"], kept("v1_portfolio_october")["rows"]
    assert {row.key for row in found.figures["roadmaps"]} == {row["slug"] for row in (*then, *now)}
    (total,) = found.figures["figures"]
    assert total.second.value == sum(Decimal(row["spend"]) for row in now)
    unknown = {**kept("v1_portfolio_october"), "rows": [{**now[0], "spend": None}, *now[1:]]}
    (total,) = comparison_of(kept("v1_portfolio_september"), unknown).figures["figures"]
    assert (total.second.value, total.difference, total.change) == (None, None, Change.UNKNOWN)
    assert {row.key for row in found.statuses} == {row["slug"] for row in (*then, *now)}
    document = comparison_document(kept("v1_portfolio_september"), kept("v1_portfolio_october"), "nl")
    assert document.title == "Portfolio: september\u00a02026 en oktober\u00a02026".replace("\u00a0", " ")


def several(month: str, year: str, spend: str | None, to_date: str, rows) -> dict:
    """A portfolio's payload of schema version 2, as far as a comparison reads it."""
    parts = {"billed": None, "estimated": spend, "entered": "0"}
    sections = {
        "headline": {
            "year": year,
            "figures": [{"key": "month", "value": spend, **parts}, {"key": "to_date", "value": to_date, **parts}],
        },
        "providers": {"rows": [{"provider": "openai", "spend": spend, "to_date": to_date}]},
        "roadmaps": {"rows": [{"slug": slug, "name": slug.title(), "status": status, "spend": value}
                              for slug, status, value in rows]},
    }  # fmt: skip
    return {
        **kept("v1_portfolio_october"), "schema_version": 2, "scope": "portfolio", "month": month,
        "sections": [{"name": name, "value": value} for name, value in sections.items()],
    }  # fmt: skip


def test_portfolios_of_version_2_are_compared_by_year_provider_and_roadmap():
    first = several("2026-09-01", "2026", "100", "900", [("a", "on_track", "60"), ("b", "", "40")])
    second = several("2026-10-01", "2026", "150", "1050", [("a", "at_risk", "150"), ("c", "", None)])
    for payload in (first, second):
        payload.pop("rows")
    found = comparison_of(first, second)
    spend, to_date = found.figures["figures"]
    assert (spend.key, spend.difference, spend.ratio, to_date.difference) == ("spend", 50, Decimal("0.5"), 150)
    changes = {row.key: row.change for row in found.figures["roadmaps"]}
    assert changes == {"a": Change.MORE, "b": Change.ONLY_FIRST, "c": Change.ONLY_SECOND}
    assert [row.change for row in found.statuses if row.key == "a"] == [Change.WORSE]
    assert found.figures["sources"][0].difference == 50
    # Of another fiscal year it is another figure.
    next_year = several("2027-01-01", "2027", "10", "10", [])
    next_year.pop("rows")
    changes = [row.change for row in comparison_of(second, next_year).figures["figures"]]
    assert changes == [Change.LESS, Change.NOT_ALIKE]
    # Against one of version 1, the month's spend is a figure that both have.
    mixed = comparison_of(kept("v1_portfolio_september"), second)
    assert next(row for row in mixed.figures["figures"] if row.key == "spend").difference is not None
    for language in ("en", "nl"):
        assert comparison_document(first, second, language).title


@pytest.mark.parametrize("first", ["v1_september", "v1_october", "v2_october"])
@pytest.mark.parametrize("second", ["v1_september", "v1_october", "v2_october"])
@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_pair_can_be_drawn_on_paper(first, second, language):
    document = comparison_document(kept(first), kept(second), language)
    assert pdf_of(document, "0" * 64).startswith(b"%PDF")


@pytest.mark.parametrize("name", ["v1_october", "v2_october"])
def test_a_section_that_one_lacks_is_said_to_be_missing_and_is_not_unknown(name):
    whole = kept(name)
    for lacking in [section["name"] for section in whole["sections"]]:
        less = {**whole, "sections": [section for section in whole["sections"] if section["name"] != lacking]}
        found = comparison_of(whole, less)
        changes = {row.change for row in (*found.all_figures, *found.lights, *found.gates, *found.milestones)}
        assert changes <= {Change.SAME, Change.UNKNOWN, Change.ONLY_FIRST}
        if lacking in ("headline", "money", "performance", "kpis", "signals", "delivery"):
            assert Change.ONLY_FIRST in changes
        assert all(row.difference is None for row in found.all_figures if row.change == Change.ONLY_FIRST)


# --- From the documents alone -----------------------------------------------------------------------------------------


def test_what_happens_later_changes_nothing(months, roadmap, alice, api, monkeypatch):
    client = api(alice, scopes=["read"])
    first = client.get(REST, query(*months)).content
    push(roadmap, datetime(2026, 10, 5, 10, tzinfo=UTC), requests=99, cost="99.00")
    roadmap.workload.name = "Renamed"
    roadmap.workload.save()
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2027, 6, 1, tzinfo=UTC))
    alice.tokens.update(expires_at=None)
    assert client.get(REST, query(*months)).content == first


def test_it_is_drawn_to_the_same_bytes_by_every_output(months, alice, sign_in, monkeypatch):
    client = sign_in(alice)
    for kind in KINDS:
        address = reverse("report_comparison_file", args=[kind])
        first = client.get(address, query(*months))
        assert first.status_code == 200
        assert first["Content-Disposition"].endswith(f'-2026-09-r1-2026-10-r1.{kind}"')
        assert client.get(address, query(*months)).content == first.content


def test_the_workbook_holds_numbers(months, alice, sign_in):
    content = sign_in(alice).get(reverse("report_comparison_file", args=["xlsx"]), query(*months)).content
    sheet = openpyxl.load_workbook(io.BytesIO(content))["Figures"]
    row = next(row for row in sheet.iter_rows(values_only=True) if row[0] and str(row[0]).startswith("Spend of the"))
    assert row[1:4] == (9, 352.5, 343.5)


def test_the_json_names_both_documents_by_their_hashes(months, alice, sign_in):
    content = sign_in(alice).get(reverse("report_comparison_file", args=["json"]), query(*months)).content
    held = json.loads(content)
    assert [held["first"]["sha256"], held["second"]["sha256"]] == [report.sha256 for report in months]
    document = comparison_document(*(report.payload for report in months), "en")
    digest = hashlib.sha256(content).hexdigest()
    pdf = sign_in(alice).get(reverse("report_comparison_file", args=["pdf"]), query(*months)).content
    assert pdf == pdf_of(document, digest)


def test_a_name_that_is_a_formula_stays_text(months, alice, sign_in):
    payload = deepcopy(months[1].payload)
    payload["roadmap"]["name"] = "=1+1"
    document = comparison_document(payload, payload, "en")
    from roadmap.reports.outputs.flat import csv_of
    from roadmap.reports.outputs.workbook import workbook_of

    assert "\n=" not in csv_of(document)
    book = openpyxl.load_workbook(io.BytesIO(workbook_of(document, "0" * 64)))
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)


def test_differences_are_marked_by_a_word_and_a_sign(months):
    document = comparison_document(*(report.payload for report in months), "en")
    (table,) = next(section for section in document.sections if section.name == "figures").blocks
    assert isinstance(table, Table)
    spend = [cell.text for cell in table.rows[0]]
    assert spend[-3:] == ["+343.50", "+3,817%", "more"]


def test_a_demo_s_comparison_says_so(months):
    payloads = [{**report.payload, "is_demo": True} for report in months]
    assert "Demo data" in comparison_document(*payloads, "en").demo_notice


def test_in_dutch_words_and_figures_are_dutch(months):
    payloads = [report.payload for report in months]
    before = translation.get_language()
    document = comparison_document(*payloads, "nl")
    assert translation.get_language() == before
    said = json.dumps([str(section) for section in document.sections], ensure_ascii=False)
    assert "343,50" in said
    assert "meer" in said
    assert document.language == "nl"
    assert document.title == "Letters: september 2026 en oktober 2026"


# --- Choosing, and who may --------------------------------------------------------------------------------------------


def test_a_report_s_page_leads_to_the_usual_ones(revisions, months, alice, sign_in, asker):
    september, first = months
    second = revisions[1]
    page = sign_in(alice).get(reverse("report", args=[second.uuid])).content.decode()
    assert f"{PAGE}?a={september.uuid}&amp;b={second.uuid}" in page
    assert f"{PAGE}?a={first.uuid}&amp;b={second.uuid}" in page
    page = sign_in(alice).get(reverse("report", args=[first.uuid])).content.decode()
    # An older revision is always the first of the two.
    assert f"{PAGE}?a={first.uuid}&amp;b={second.uuid}" in page
    near = nearby_reports(asker(alice), september)
    assert (near.month_before, near.year_before, near.revisions) == (None, None, [])


def test_the_page_sets_them_side_by_side(months, alice, sign_in):
    client = sign_in(alice)
    page = client.get(PAGE, query(*months))
    text = page.content.decode()
    assert page.status_code == 200
    for said in ("September\u00a02026", "October\u00a02026", "+343.50", "more"):
        assert said in text or said.replace("\u00a0", " ") in text
    for kind in KINDS:
        assert f"comparison.{kind}?a={months[0].uuid}&amp;b={months[1].uuid}" in text


def test_with_one_of_the_two_it_asks_for_the_other(months, alice, sign_in):
    page = sign_in(alice).get(PAGE, {"b": str(months[1].uuid)})
    assert page.status_code == 200
    text = page.content.decode()
    assert "Any two months or revisions side by side." in text
    assert text.count(f'value="{months[0].uuid}"') == 2
    assert sign_in(alice).get(PAGE).status_code == 302


@pytest.mark.parametrize("person", PEOPLE)
def test_by_role(months, adam, person, request, client, api):
    who = request.getfixturevalue(person)
    client.force_login(who)
    rest = api(who, scopes=["read"])
    expected = 404 if person == "oscar" else 200
    assert client.get(PAGE, query(*months)).status_code == expected
    assert client.get(PAGE, {"b": str(months[1].uuid)}).status_code == expected
    assert rest.get(REST, query(*months)).status_code == expected
    for kind in KINDS:
        assert client.get(reverse("report_comparison_file", args=[kind]), query(*months)).status_code == expected
        assert rest.get(f"{REST}comparison.{kind}", query(*months)).status_code == expected
    portfolio = Report.objects.filter(scope=Report.Scope.PORTFOLIO).order_by("month")
    expected = 200 if person in ("erin", "adam") else 404
    assert client.get(PAGE, query(*portfolio)).status_code == expected
    assert rest.get(REST, query(*portfolio)).status_code == expected


def test_both_have_to_be_seen(months, adam, alice, oscar, other, api, sign_in, claims):
    from roadmap.actions.roadmaps import make_roadmap

    hidden = make_roadmap(Asker(adam), name="Hidden", owner=adam, start_on=date(2026, 9, 1))
    close_month(Asker(adam), MONTH)
    theirs = roadmap_report(hidden)
    for pair in ((months[1], theirs), (theirs, months[1])):
        assert sign_in(alice).get(PAGE, query(*pair)).status_code == 404
        assert api(alice, scopes=["read"]).get(REST, query(*pair)).status_code == 404
    # Who sees both cannot compare two things either, and is told.
    page = sign_in(adam).get(PAGE, query(months[1], theirs))
    assert page.status_code == 422
    assert "reports of two things" in page.content.decode()
    answer = api(adam, scopes=["read"]).get(REST, query(months[1], theirs))
    assert answer.status_code in (409, 422)
    assert "not_alike" in answer.content.decode()
    assert (
        sign_in(adam).get(reverse("report_comparison_file", args=["pdf"]), query(months[1], theirs)).status_code == 404
    )


def test_tokens_of_another_roadmap_or_of_pushing_compare_nothing(months, adam, alice, other, api):
    assert api(adam, scopes=["read"], workload=other).get(REST, query(*months)).status_code == 404
    assert api(alice, scopes=["push"]).get(REST, query(*months)).status_code == 403
    assert api(alice, scopes=["read"], expires_at=NOW).get(REST, query(*months)).status_code == 401


def test_nobody_who_is_not_signed_in_compares(months, client):
    assert client.get(PAGE, query(*months)).status_code == 302
    assert client.get(reverse("report_comparison_file", args=["pdf"]), query(*months)).status_code == 302
    assert client.get(REST, query(*months)).status_code == 401


def test_a_draft_is_not_compared(months, adam, sign_in, api):
    draft = Report.objects.create(
        scope=Report.Scope.ROADMAP, roadmap=months[1].roadmap, month=date(2026, 11, 1), state=Report.State.DRAFT
    )
    assert sign_in(adam).get(PAGE, query(months[1], draft)).status_code == 404
    assert sign_in(adam).get(PAGE, {"b": str(draft.uuid)}).status_code == 404
    assert api(adam, scopes=["read"]).get(REST, query(draft, months[1])).status_code == 404


@pytest.mark.parametrize("value", ["x", "%00", "1", "0" * 300, "-1", "{'a': 1}"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_an_odd_address_is_not_found(months, alice, sign_in, api, name, value):
    given = {**query(*months), name: value}
    assert sign_in(alice).get(PAGE, given).status_code == 404
    assert sign_in(alice).get(reverse("report_comparison_file", args=["pdf"]), given).status_code == 404
    answer = api(alice, scopes=["read"]).get(REST, given)
    assert answer.status_code in (400, 422)
    assert f'"{name}"' in answer.content.decode() or f"/{name}" in answer.content.decode()


def test_what_is_not_there_is_not_found(months, alice, sign_in, api):
    client, rest = sign_in(alice), api(alice, scopes=["read"])
    nobody = {"a": str(uuid4()), "b": str(months[1].uuid)}
    assert client.get(PAGE, nobody).status_code == 404
    assert rest.get(REST, nobody).status_code == 404
    assert rest.get(REST, {"a": str(months[0].uuid)}).status_code in (400, 422)
    assert client.get(reverse("report_comparison_file", args=["exe"]), query(*months)).status_code == 404
    assert client.get(reverse("report_comparison_file", args=["pdf"])).status_code == 404
    assert rest.get(f"{REST}comparison.exe", query(*months)).status_code == 404


def test_one_and_the_same_is_said(months, alice, sign_in, api, asker):
    page = sign_in(alice).get(PAGE, query(months[1], months[1]))
    assert page.status_code == 422
    assert "one and the same" in page.content.decode()
    assert api(alice, scopes=["read"]).get(REST, query(months[1], months[1])).status_code in (409, 422)
    with pytest.raises(RuleViolation):
        two_reports(asker(alice), months[1].uuid, months[1].uuid)


def test_queries_do_not_grow_with_the_reports(months, alice, sign_in, revisions):
    client = sign_in(alice)
    client.get(PAGE, query(*months))
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE, query(*months))
    for number in range(3, 9):
        Report.objects.create(
            scope=Report.Scope.ROADMAP, roadmap=months[1].roadmap, month=MONTH, revision=number,
            state=Report.State.PUBLISHED, payload=months[1].payload, sha256="0" * 64, published_at=NOW,
        )  # fmt: skip
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE, query(*months))
    assert len(many) == len(few)
    assert len([one for one in many if "roadmap_report" in one["sql"]]) <= 3
