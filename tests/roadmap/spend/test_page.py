"""The Spend page: one reading for page, files and API; parts that are the total; who sees what."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.access import Asker
from metrics.models import Backend
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.roadmaps import make_roadmap
from roadmap.queries.phase_dashboard import phase_dashboard
from roadmap.queries.portfolio import portfolio
from roadmap.queries.portfolio_filters import parse_portfolio_filters
from roadmap.queries.spend import spend_page

D = Decimal
DAY = timedelta(days=1)
CENT = D("0.01")


def page(asker, **parameters):
    return spend_page(asker, parameters)


def amounts(found, name):
    """Amount by member's name of a one-dimensional view."""
    cells, _ = found.view.reader.cells((name,))
    return {key[0].name: cell.amount for key, cell in cells.items()}


EVERY = ("month", "roadmap", "phase", "business_unit", "programme", "provider", "backend", "model", "team")
EVERY += ("category", "basis")


@pytest.mark.parametrize("first", EVERY)
def test_the_parts_add_up_to_the_total_to_the_cent_whatever_they_are(mixed, erin, asker, first):
    for second in EVERY:
        by = first if first == second else f"{first},{second}"
        found = page(asker(erin), by=by)
        assert abs(found.reading.parts.total.amount - mixed) < D("1e-9")
        rows = [D(row.total.replace("–", "0").replace("−", "-").replace(",", "")) for row in found.table.rows]
        cells = [
            D(cell.replace("–", "0").replace("−", "-").replace(",", ""))
            for row in found.table.rows
            for cell in row.cells
        ]
        assert sum(rows) == mixed.quantize(CENT), by
        assert not cells or sum(cells) == mixed.quantize(CENT), by


def test_what_belongs_to_nobody_is_idle_or_entered_by_hand_stands_apart(mixed, erin, asker, plan, second):
    found = page(asker(erin))
    assert amounts(found, "roadmap") == {
        "Contact centre": D("130.0033333334"),
        "Secret plan": D("66.6666666667"),
        "Unallocated": D("11.95"),
    }
    assert amounts(found, "category") == {
        "Usage": D("106.6750000001"),
        "Idle capacity": D("4.445"),
        "Credits": D("-2.5"),
        "Data": D(100),
    }
    assert amounts(found, "basis") == {
        "Billed": D("27.5000000001"),
        "Estimated": D("81.12"),
        "Entered by hand": D(100),
        "Not priced": None,
    }
    assert amounts(found, "team")["claims"] == D("30.0000000001")
    assert amounts(found, "model")["Entered by hand"] == 100


def test_the_four_figures(mixed, erin, asker):
    found = {figure.name: figure for figure in page(asker(erin)).figures}
    assert (found["total"].figure, found["total"].unit) == ("208.6", "EUR")
    # 11.95 of 108.62 of usage spend.
    assert found["unallocated"].figure == "11%"
    assert (found["not_priced"].figure, found["not_priced"].unit) == ("1.00", "k tokens")
    # 30.0000000001 billed where 33.3333333333 were estimated; the other hours have one of both.
    assert found["gap"].figure == "−3.33"
    assert "−10.0%" in found["gap"].note


def test_a_phase_holds_the_days_of_its_window_and_the_rest_is_outside(plan, poc, spend, erin, asker, today):
    spend(plan, 5, 1)
    spend(plan, 7, 41)
    poc.refresh_from_db()
    assert poc.started_on == today - 40 * DAY
    found = page(asker(erin), by="phase")
    assert amounts(found, "phase") == {"PoC": D(5), "Outside any phase": D(7)}
    assert page(asker(erin), phase="poc").reading.parts.total.amount == 5
    assert page(asker(erin), phase="~outside").reading.parts.total.amount == 7


def test_it_says_what_the_phase_page_and_the_portfolio_say(mixed, plan, poc, erin, asker, today, settings):
    settings.FISCAL_YEAR_START_MONTH = today.month
    first, last = (today - 40 * DAY).isoformat(), today.isoformat()
    mine = page(asker(erin), roadmap=plan.slug, phase="poc", **{"from": first, "to": last})
    money = phase_dashboard(asker(erin), slug=plan.slug, kind="poc").money
    assert mine.reading.parts.total.amount == money.spent
    month = next(total for total in portfolio(asker(erin), parse_portfolio_filters({})).totals if total.name == "month")
    all_of_month = page(asker(erin), **{"from": today.replace(day=1).isoformat(), "to": last})
    assert all_of_month.reading.parts.total.amount == month.value


def test_filters_narrow_and_name_the_nearest(mixed, erin, asker, plan):
    assert page(asker(erin), model="m2").reading.parts.total.amount == D("10.0083333333")
    assert page(asker(erin), roadmap="~unallocated").reading.parts.total.amount == D("11.95")
    assert page(asker(erin), category="credit").reading.parts.total.amount == D("-2.5")
    assert page(asker(erin), basis="entered").reading.parts.total.amount == 100
    assert page(asker(erin), backend="api-1").reading.parts.entered.amount is None
    assert page(asker(erin), roadmap="contact centre").reading.parts.total.amount == D("130.0033333334")
    wrong = page(asker(erin), roadmap="contact-center", by="modle", **{"from": "2026-13-01"})
    texts = " ".join(problem.message for problem in wrong.filters.problems)
    assert "Did you mean contact-centre?" in texts
    assert "Did you mean model" in texts
    assert "Write it like 2026-11-22" in texts


def test_demo_figures_count_until_the_first_real_one(plan, second, spend, erin, asker):
    second.workload.is_demo = True
    second.workload.save()
    spend(second, 50, is_demo=True)
    found = page(asker(erin))
    assert (found.reading.parts.total.amount, found.view.demo_is_in_totals) == (50, True)
    spend(plan, 8)
    found = page(asker(erin))
    assert (found.reading.parts.total.amount, found.view.demo_is_in_totals) == (8, False)
    assert "Secret plan" not in amounts(found, "roadmap")


def test_money_of_a_source_that_does_not_count_is_in_no_total(plan, spend, erin, asker, today):
    from metrics.models import Series

    spend(plan, 5)
    other = spend(plan, 9, model="m9")
    Series.objects.filter(pk=other).update(uncounted_from_on=today - 30 * DAY)
    assert page(asker(erin)).reading.parts.total.amount == 5


def test_queries_do_not_grow(plan, second, spend, erin, asker, today, alice, poc):
    def asked(**parameters):
        page(asker(erin), **parameters)
        with CaptureQueriesContext(connection) as queries:
            page(asker(erin), **parameters)
        return len(queries)

    spend(plan, 1)
    few = asked(), asked(by="phase,team"), asked(by="model,backend")
    for number in range(5):
        more = Backend.objects.create(slug=f"b{number}", name=f"B{number}", connector="push_only", provider="vllm")
        for back in range(0, 300, 40):
            spend(second if number % 2 else None, 1, back, on=more, model=f"m{number}", team=f"t{number}")
        make_roadmap(asker(erin.__class__.objects.get(username="adam")), name=f"R{number}", owner=alice, start_on=today)
        add_cost_entry(
            asker(alice), poc, name="x", category="people", amount=D(9), currency="EUR", start_on=today - number * DAY
        )
    more = asked(), asked(by="phase,team"), asked(by="model,backend")
    assert all(now <= before for now, before in zip(more, few, strict=True))
    assert max(few) <= 7


# --- Who sees it


def test_each_sees_what_is_theirs(mixed, plan, second, sign_in, alice, bob, vera, oscar, erin, adam):
    for person, sees in ((alice, True), (bob, True), (erin, True), (adam, True), (oscar, True), (vera, False)):
        for address in ("/spend/", "/spend/spend.csv", "/spend/focus.csv", "/spend/spend.xlsx"):
            answer = sign_in(person).get(address)
            assert answer.status_code == (200 if sees else 404), (person, address)
    for person, total in ((alice, D("130.00")), (oscar, D("66.67")), (erin, D("208.62"))):
        text = sign_in(person).get("/spend/").content.decode()
        assert f'<td class="num">{total}</td>' in text
        assert ("Secret" in text) == (person is not alice)
        assert ("Contact centre" in text) == (person is not oscar)
        assert ("not yours" in text) == (person is not erin)
    assert "Secret" not in sign_in(alice).get("/spend/?by=roadmap,model&roadmap=secret-plan").content.decode()


def test_signed_out_one_is_asked_to_sign_in(client, db):
    assert client.get("/spend/").status_code == 302


def test_an_empty_page_says_the_next_step(sign_in, adam):
    text = sign_in(adam).get("/spend/").content.decode()
    assert "Nothing was spent yet" in text
    assert 'href="/backends/"' in text


# --- Files


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_the_csv_is_this_view_with_every_digit(mixed, sign_in, erin):
    rows = rows_of(sign_in(erin).get("/spend/spend.csv?by=roadmap,category"))
    assert sum(D(row["amount_EUR"] or 0) for row in rows) == mixed
    unallocated = [row for row in rows if row["roadmap_name"] == "Unallocated"]
    assert {row["roadmap"] for row in unallocated} == {""}
    assert {row["category"] for row in unallocated} == {"usage", "idle", "credit"}
    assert sum(int(row["not_priced_tokens"]) for row in rows) == 1000


def test_a_spreadsheet_runs_nothing_and_holds_numbers(plan, spend, sign_in, erin, today):
    from openpyxl import load_workbook

    spend(plan, "12.5", model='=HYPERLINK("http://x")')
    spend(plan, "7.25", model="+cmd", team="@sum")
    answer = sign_in(erin).get("/spend/spend.xlsx?by=model,month")
    sheet = load_workbook(io.BytesIO(answer.content))["Spend"]
    held = {row[1].value: row for row in sheet.iter_rows(min_row=2)}
    assert set(held) == {'\'=HYPERLINK("http://x")', "'+cmd"}
    cell = held["'+cmd"]
    assert [one.data_type for one in cell[:2]] == ["s", "s"]
    assert (cell[3].value, cell[3].data_type) == (7.25, "n")
    assert cell[2].is_date
    text = b"".join(sign_in(erin).get("/spend/spend.csv?by=model").streaming_content).decode()
    assert '"\'=HYPERLINK(""http://x"")"' in text
    assert "\n'+cmd" in text


def test_focus_says_what_the_page_says_to_the_cent(mixed, sign_in, erin, plan, settings):
    from metrics.focus import CHARGE_CATEGORIES, COLUMNS_1_2, MANDATORY_1_2, header_of

    for address in ("/spend/focus.csv", "/spend/focus.csv?grain=month"):
        rows = rows_of(sign_in(erin).get(address))
        assert sum(D(row["BilledCost"]) for row in rows) == mixed
        assert list(rows[0])[: len(COLUMNS_1_2)] == list(COLUMNS_1_2)
        assert header_of(rows[0]).version == "1.2"
        never_null = set(MANDATORY_1_2) - {"ChargeClass"}
        assert all(row[name] for row in rows for name in never_null)
        assert {row["ChargeCategory"] for row in rows} == {"Usage", "Credit", "Purchase"} <= set(CHARGE_CATEGORIES)
        assert {row["x_Category"] for row in rows} == {"usage", "idle", "credit", "data"}
        assert all(row["ChargePeriodStart"] >= row["BillingPeriodStart"] for row in rows)
        assert all(row["ChargePeriodEnd"] <= row["BillingPeriodEnd"] for row in rows)
    tags = {row["Tags"] for row in rows}
    assert '{"phase": "poc", "roadmap": "contact-centre", "team": "claims"}' in tags
    assert "{}" in tags


def test_focus_times_are_utc_of_the_reporting_zone(plan, spend, sign_in, erin, today, settings):
    from zoneinfo import ZoneInfo

    settings.REPORTING_TIME_ZONE = "Europe/Amsterdam"
    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    spend(plan, 1, 3)
    row = rows_of(sign_in(erin).get("/spend/focus.csv"))[0]
    assert row["ChargePeriodStart"][11:] in ("22:00:00Z", "23:00:00Z")
    assert row["ConsumedQuantity"] == "1000"
    assert (row["ConsumedUnit"], row["PricingQuantity"], row["PricingUnit"]) == ("Tokens", "0.001", "1000000 Tokens")


# --- REST


def test_the_api_gives_the_rows_of_the_page(mixed, api, erin, alice, oscar):
    client = api(erin, scopes=["read"])
    found = client.get("/api/v1/spend?by=roadmap,category").json()
    assert sum(D(row["amount"] or 0) for row in found["rows"]) == D(found["total"]) == mixed
    assert (found["by"], found["currency"], found["rows_in_all"], found["next"]) == (
        ["roadmap", "category"],
        "EUR",
        len(found["rows"]),
        None,
    )
    idle = next(row for row in found["rows"] if row["category"] == "idle")
    assert (idle["roadmap"], idle["roadmap_name"], idle["amount"]) == (None, "Unallocated", "4.445")
    assert found["not_priced"] == {"tokens": 1000, "requests": 10}
    assert D(found["unallocated"]) == D("11.95")
    mine = api(alice, scopes=["read"]).get("/api/v1/spend?by=roadmap").json()
    assert [row["roadmap"] for row in mine["rows"]] == ["contact-centre"]
    assert mine["unallocated"] is None
    assert D(api(oscar, scopes=["read"]).get("/api/v1/spend").json()["total"]) == D("66.6666666667")


def test_a_read_token_is_enough_and_a_viewers_is_not(mixed, api, erin, vera, adam, plan):
    assert api(erin, scopes=["push"]).get("/api/v1/spend").status_code == 403
    answer = api(vera, scopes=["read"]).get("/api/v1/spend")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert "admins, executives" in answer.json()["detail"]
    # A token bound to a roadmap reads that roadmap, whoever owns it.
    bound = api(adam, scopes=["read"], workload=plan.workload).get("/api/v1/spend?by=roadmap").json()
    assert [row["roadmap"] for row in bound["rows"]] == ["contact-centre"]
    assert bound["unallocated"] is None


def test_the_api_takes_more_dimensions_than_two(mixed, api, erin):
    found = api(erin, scopes=["read"]).get("/api/v1/spend?by=month,roadmap,provider,model,basis").json()
    assert sum(D(row["amount"] or 0) for row in found["rows"]) == mixed
    assert {"month", "roadmap", "roadmap_name", "provider", "model", "basis", "amount"} <= set(found["rows"][0])


def test_csv_and_focus_come_from_the_same_address(mixed, api, erin):
    client = api(erin, scopes=["read"])
    for text in ("/api/v1/spend?by=model&format=csv", "/api/v1/spend?by=model"):
        answer = client.get(text, HTTP_ACCEPT="text/csv") if "format" not in text else client.get(text)
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert sum(D(row["amount_EUR"] or 0) for row in rows_of(answer)) == mixed
    rows = rows_of(client.get("/api/v1/spend?format=focus&grain=month"))
    assert sum(D(row["EffectiveCost"]) for row in rows) == mixed


def test_pages_follow_one_another(mixed, api, erin):
    client = api(erin, scopes=["read"])
    whole = client.get("/api/v1/spend?by=roadmap,model,category").json()["rows"]
    address, found = "/api/v1/spend?by=roadmap,model,category&page_size=2", []
    while address:
        page = client.get(address).json()
        assert len(page["rows"]) <= 2
        found += page["rows"]
        address = page["next"]
    assert found == whole


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("by=modle", "by", "Did you mean model"),
        ("from=2026-03-05&to=2026-03-01", "to", "lies before"),
        ("from=soon", "from", "Write it like"),
        ("from=2199-01-01", "from", "lies ahead"),
        ("to=1999-01-01", "to", "too long ago"),
        ("roadmap=contact-center", "roadmap", "Did you mean contact-centre"),
        ("provder=openai", "provder", "Did you mean provider"),
        ("format=xml", "format", "json, csv, focus"),
        ("format=focus&grain=hour", "grain", "day, month"),
        ("cursor=%F0%9F", "cursor", "Begin again"),
        ("page_size=0", "page_size", "from 1 to"),
        ("model=" + "x" * 300, "model", "200 characters"),
    ],
)
def test_what_is_wrong_is_said(plan, api, erin, query, field, words):
    answer = api(erin, scopes=["read"]).get(f"/api/v1/spend?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    error = next(error for error in answer.json()["errors"] if error["pointer"] == f"#/{field}")
    assert words in error["detail"]


def test_a_mistake_on_the_page_is_said_and_the_rest_is_shown(mixed, sign_in, erin):
    text = sign_in(erin).get("/spend/?by=month,model,team&from=2026-03-05&to=2026-03-01").content.decode()
    assert "Choose at most 2 dimensions" in text
    assert "lies before" in text
    assert "208.62" in text


def test_our_export_read_back_by_our_import_gives_the_same_total(mixed, sign_in, erin, adam, plan):
    from metrics.actions.imports import Choices
    from metrics.models import BillingImport
    from tests.metrics.billing_files import bring

    data = b"".join(sign_in(erin).get("/spend/focus.csv").streaming_content)
    services = sorted({row["ServiceName"] for row in csv.DictReader(io.StringIO(data.decode()))})
    one = bring(adam, data, choices=Choices(services=services))
    assert (one.state, one.rows_rejected, one.left_out) == (BillingImport.State.DONE, 0, [])
    brought = spend_page(Asker(erin), {"backend": one.source.backend.slug}).reading.parts.total.amount
    assert brought == mixed
