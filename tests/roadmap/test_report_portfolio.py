"""The portfolio's and a programme's report: made of the roadmaps' documents and the ledger's year."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pikepdf
import pypdfium2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts.access import Asker
from metrics import identity
from roadmap.actions.reports import close_month
from roadmap.models import Programme, Report
from roadmap.queries.fiscal_year import year_of_portfolio
from roadmap.queries.month import month_facts
from roadmap.reports.documents import document_of
from roadmap.reports.documents.v2.moved import FIELDS, SECTIONS
from roadmap.reports.outputs.flat import csv_of
from roadmap.reports.outputs.mail import mail_of
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.reports.portfolio import portfolio_payload, value_of
from roadmap.reports.snapshot import hash_of, roadmap_payload
from roadmap.rules.reports import moved_figures, values_of
from tests.roadmap.many_roadmaps import many_roadmaps, spend_daily
from web.wording import money

D = Decimal
MONTH = date(2026, 10, 1)
LAST = date(2026, 10, 31)
SAME_IN_DUTCH = {"budget", "demo", "plan", "roadmaps", "status"}


@pytest.fixture(autouse=True)
def _november(monkeypatch, settings):
    settings.REPORTING_CURRENCY = "EUR"
    settings.FISCAL_YEAR_START_MONTH = 4
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    identity.forget()
    yield
    identity.forget()


def documents_of(roadmaps):
    return [roadmap_payload(month_facts(one, MONTH), dated_on=date(2026, 11, 5), revision=1) for one in roadmaps]


def payload_of(roadmaps, **options):
    given = {"programme": "", "missing": (), "is_demo": False} | options
    programme = Programme.objects.get(name=given["programme"]) if given["programme"] else None
    return portfolio_payload(
        documents_of(roadmaps),
        year=year_of_portfolio(MONTH, is_demo=False, programme=programme),
        month=MONTH,
        dated_on=date(2026, 11, 5),
        revision=1,
        zone="UTC",
        currency="EUR",
        **given,
    )


def figures_of(payload):
    return {figure["key"]: figure for figure in value_of(payload, "headline")["figures"]}


@pytest.fixture
def three(adam):
    """Contact-centre assistant, Claims triage and Letters since 1 August, in one programme; and unallocated usage."""
    found = many_roadmaps(adam, 3, first=date(2026, 8, 1), last=LAST, programme="Customer")
    spend_daily(None, 3, MONTH, LAST)
    return found


def test_each_figure_of_a_roadmap_is_that_of_its_own_document(three):
    payload = payload_of(three)
    rows = {row["slug"]: row for row in value_of(payload, "roadmaps")["rows"]}
    for document in documents_of(three):
        row = rows[document["roadmap"]["slug"]]
        money, course = value_of(document, "money"), value_of(document, "course")
        figures = {figure["key"]: figure for figure in value_of(document, "headline")["figures"]}
        assert row["spend"] == money["total"]
        assert (row["phase_spent"], row["budget"]) == (course["points"][-1]["spent"], course["budget"])
        assert row["forecast"]["value"] == figures["forecast"]["value"]
        assert row["unit_cost"]["value"] == figures["unit_cost"]["value"]
        assert row["next_gate"] == value_of(document, "delivery")["gates"][0]


def test_parts_by_roadmap_and_by_provider_add_up_to_the_month_and_the_year(three):
    payload = payload_of(three)
    headline = figures_of(payload)
    # By hand: 31 x (10 + 17 + 24) + 620 of licences + 31 x 3 unallocated.
    assert D(headline["month"]["value"]) == 31 * 51 + 620 + 31 * 3
    # August and September at half of it, rounded down: 61 x (5 + 8 + 12).
    assert D(headline["to_date"]["value"]) == 31 * 54 + 620 + 61 * 25
    for name in ("roadmap_spend", "providers"):
        rows = value_of(payload, name)["rows"]
        assert sum(D(row["spend"]) for row in rows) == D(headline["month"]["value"])
        assert sum(D(row["to_date"]) for row in rows) == D(headline["to_date"]["value"])


def test_the_three_things_that_moved_are_the_largest_of_all_roadmaps(three):
    movers = value_of(payload_of(three), "movers")
    parts = [
        (abs(D(row["amount"])), document["roadmap"]["slug"], row["cause"])
        for document in documents_of(three)
        for row in value_of(document, "movers")["rows"]
    ]
    assert [(abs(D(row["amount"])), row["slug"], row["cause"]) for row in movers["rows"]] == sorted(
        parts, key=lambda part: -part[0]
    )[:3]
    assert movers["rows"][0]["cause"] == "cost_entries"
    shown = sum(D(row["amount"]) for row in movers["rows"])
    assert shown + D(movers["rest"]) == D(movers["amount"]) == D(movers["value"]) - D(movers["before"])


def test_decisions_say_whose_they_are_and_when(three):
    three[0].phases.get(kind="poc").gate.__class__.objects.filter(phase__roadmap=three[0], phase__kind="poc").update(
        due_on=date(2026, 10, 3)
    )
    document = document_of(payload_of(three))
    decisions = next(section for section in document.sections if section.name == "decisions")
    assert any("Contact-centre assistant (Adam Admin): Decide the gate" in item for item in decisions.blocks[0].items)
    assert any("3\u00a0Oct\u00a02026" in item for item in decisions.blocks[0].items)


def test_a_programme_is_of_its_roadmaps_alone(three, adam):
    other = many_roadmaps(adam, 1, first=date(2026, 8, 1), last=LAST, names=("Alone",))
    payload = payload_of(three, programme="Customer")
    assert (payload["scope"], payload["programme"]["name"]) == ("programme", "Customer")
    assert {row["name"] for row in value_of(payload, "roadmap_spend")["rows"]} == {one.name for one in three}
    assert D(figures_of(payload)["month"]["value"]) == 31 * 51 + 620
    assert "Alone" not in json.dumps(payload)
    assert "Alone" in json.dumps(payload_of([*three, *other]))
    assert document_of(payload).name == "Customer"


def test_what_has_no_report_is_named_and_counted_in_the_total(three):
    payload = payload_of(three[:2], missing=[three[2].name])
    assert value_of(payload, "notes")["missing"] == ["Letters"]
    assert D(figures_of(payload)["month"]["value"]) == 31 * 54 + 620
    text = csv_of(document_of(payload))
    assert "1 roadmap has no report of this month: Letters." in text


def test_a_month_restated_since_its_documents_were_frozen_is_told(three):
    frozen = documents_of(three)
    spend_daily(three[1], 10, LAST, LAST, provider="late")
    payload = portfolio_payload(
        frozen, year=year_of_portfolio(MONTH, is_demo=False), month=MONTH, dated_on=date(2026, 11, 5),
        revision=1, zone="UTC", currency="EUR", is_demo=False,
    )  # fmt: skip
    told = value_of(payload, "notes")["restated"]
    assert [(one["key"], D(one["now"]) - D(one["published"])) for one in told] == [("2026-10", 10)]
    assert D(figures_of(payload)["month"]["value"]) == 31 * 54 + 620


def test_the_payload_holds_no_sentence_of_ours(three):
    payload = payload_of(three)
    names = {one.name for one in three} | {"Adam Admin", "Customer", "Tasks automated"}

    def texts(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from texts(item)
        elif isinstance(value, list):
            for item in value:
                yield from texts(item)
        elif isinstance(value, str):
            yield value

    assert {text for text in texts(payload) if " " in text} - names <= {"no_data"}


def test_the_same_payload_is_spoken_in_english_and_dutch(three):
    payload = payload_of(three)
    english, dutch = (" ".join(csv_of(document_of(payload, language)).split()) for language in ("en", "nl"))
    assert "Fiscal year to date" in english
    assert "Boekjaar tot nu toe" in dutch
    assert "Tot en met" in dutch
    for word in ("Spend by month", "run rate", "Unallocated", "Roadmaps on track"):
        assert word in english
        assert word not in dutch
    assert document_of(payload, "nl").language == "nl"


def test_the_pdf_passes_its_checks_and_is_the_same_on_any_day(three, monkeypatch):
    payload = payload_of(three)
    for language in ("en", "nl"):
        drawn = pdf_of(document_of(payload, language), hash_of(payload))
        monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2027, 3, 1, 12, tzinfo=UTC))
        assert pdf_of(document_of(payload, language), hash_of(payload)) == drawn
        with pikepdf.open(io.BytesIO(drawn)) as pdf, pdf.open_metadata() as about:
            assert (about["pdfaid:part"], about["pdfaid:conformance"], about["pdfuaid:part"]) == ("2", "B", "1")
            assert str(pdf.Root.Lang).startswith(language)
        page = pypdfium2.PdfDocument(drawn)[0].get_textpage().get_text_range()
        order = [page.index(text) for text in ("EUR", "Contact-centre assistant", "Letters")]
        assert order == sorted(order)


@pytest.mark.parametrize("count", [1, 40])
def test_one_roadmap_and_forty_are_drawn_with_repeated_heads(adam, count):
    roadmaps = many_roadmaps(adam, count, first=date(2026, 9, 1), last=LAST)
    payload = payload_of(roadmaps)
    pages = pypdfium2.PdfDocument(pdf_of(document_of(payload), hash_of(payload)))
    texts = [page.get_textpage().get_text_range() for page in pages]
    assert len(texts) == 3 if count == 1 else len(texts) <= 6
    heads = [text for text in texts if "Cost per unit" in text and "Next gate" in text]
    assert len(heads) >= (1 if count == 1 else 2)
    assert "Data notes" in texts[-1]


def test_workbook_csv_and_mail_hold_it_too(three):
    payload = payload_of(three)
    document = document_of(payload)
    book = openpyxl.load_workbook(io.BytesIO(workbook_of(document, hash_of(payload))))
    assert {"Roadmaps", "Data notes", "What moved"} <= set(book.sheetnames)
    mail = mail_of(document, url="https://example.org/r/").decode()
    # By hand: 31 x 54 + 620 + 61 x 25 = 3,819 were spent, 31 x 3 of it without a plan.
    plan = D(value_of(payload, "headline")["plan_of_year"])
    news = f"3.82 k EUR (3.73 k of {money(plan, 'EUR')} planned), 1 of 3 at risk, 1 decision".replace("\u00a0", " ")
    assert f"Subject: AI report October 2026: {news}\r\n" in mail.replace("\r\n ", " ").replace(" \r\n", "\r\n")


def test_closing_a_month_publishes_it_and_a_change_makes_a_revision_that_lists_it(three, adam):
    close_month(Asker(adam), MONTH)
    first = Report.objects.get(scope=Report.Scope.PORTFOLIO)
    assert first.payload["schema_version"] == first.schema_version == 2
    assert hash_of(first.payload) == first.sha256
    close_month(Asker(adam), MONTH, revise=True)
    assert Report.objects.filter(scope=Report.Scope.PORTFOLIO).count() == 1
    spend_daily(three[1], 10, LAST, LAST, provider="late")
    close_month(Asker(adam), MONTH, revise=True)
    second = Report.objects.get(scope=Report.Scope.PORTFOLIO, revision=2)
    assert second.payload["moved"]

    def in_order(lines):
        return sorted(json.dumps(line, sort_keys=True) for line in lines)

    assert in_order(moved_figures(first.payload, second.payload)) == in_order(second.payload["moved"])
    changed = {(line["section"], line["row"].get("key", ""), line["field"]) for line in second.payload["moved"]}
    assert ("headline", "month", "value") in changed
    assert ("year", "2026-10", "spend") in changed
    assert document_of(second.payload, "nl").sections[0].name == "moved"


def test_what_a_revision_changed_is_told_in_words_and_no_codes(three, adam):
    close_month(Asker(adam), MONTH)
    spend_daily(three[1], 10, LAST, LAST, provider="late")
    close_month(Asker(adam), MONTH, revise=True)
    payload = Report.objects.get(scope=Report.Scope.PORTFOLIO, revision=2).payload
    places = {}
    for language in ("en", "nl"):
        table = document_of(payload, language).sections[0].blocks[-1]
        places[language] = {row[0].text: [cell.text.replace("\u00a0", " ") for cell in row[1:]] for row in table.rows}
        told = " ".join(text for place, pair in places[language].items() for text in (place, *pair))
        assert not re.search(r"[a-z]_[a-z]|[{}]|\d{4}-\d{2}", told), told
    english, dutch = places["en"], places["nl"]
    assert english["Status and figures · Spend of the month · value"] == ["2,294.00", "2,304.00"]
    assert english["Spend by provider · late · spend"] == ["no data", "10.00"]
    assert english["Months of the fiscal year · October 2026 · spend"] == ["2,294.00", "2,304.00"]
    assert english["Roadmaps · claims-triage · revision"] == ["1", "2"]
    assert dutch["Status en cijfers · Uitgaven van de maand · waarde"] == ["2.294,00", "2.304,00"]
    assert english.keys() & dutch.keys() == set()


def test_every_value_of_a_report_of_several_has_a_name_in_both_languages(three):
    for place in values_of(payload_of(three)):
        assert place.section in SECTIONS
        assert place.field in FIELDS, place
        with translation.override("nl"):
            dutch = str(FIELDS[place.field])
        assert dutch != str(FIELDS[place.field]) or dutch in SAME_IN_DUTCH, place


def test_a_list_of_many_names_says_how_many_more(three):
    payload = payload_of(three, missing=[f"Roadmap {number}" for number in range(1, 12)])
    assert "Roadmap 7, Roadmap 8 and 3 more." in csv_of(document_of(payload))


def test_a_portfolio_without_roadmaps_is_a_report_of_what_belongs_to_none(db):
    spend_daily(None, 3, MONTH, LAST)
    payload = payload_of([])
    assert D(figures_of(payload)["month"]["value"]) == 93
    assert document_of(payload, "nl").sections


def test_plan_and_change_are_dutch_nouns(three):
    dutch = csv_of(document_of(payload_of(three), "nl"))
    assert "Abonnement" not in dutch
    assert "Wijzigen" not in dutch


def test_queries_of_the_year_do_not_grow_with_roadmaps(adam):
    many_roadmaps(adam, 2, first=date(2026, 9, 1), last=LAST)
    spend_daily(None, 3, MONTH, LAST)
    year_of_portfolio(MONTH, is_demo=False)
    with CaptureQueriesContext(connection) as few:
        year_of_portfolio(MONTH, is_demo=False)
    many_roadmaps(adam, 5, first=date(2026, 9, 1), last=LAST, names=("A", "B", "C", "D", "E"))
    year_of_portfolio(MONTH, is_demo=False)
    with CaptureQueriesContext(connection) as many:
        year_of_portfolio(MONTH, is_demo=False)
    assert len(many) == len(few) <= 11
