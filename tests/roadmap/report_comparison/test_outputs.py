"""A comparison from the two documents alone, in every form."""

from __future__ import annotations

import hashlib
import io
import json
from copy import deepcopy
from datetime import UTC, datetime

import openpyxl
from django.urls import reverse
from django.utils import translation

from roadmap.reports.comparison_words import comparison_document
from roadmap.reports.document import Table
from roadmap.reports.outputs.pdf import pdf_of
from tests.roadmap.report_comparison.common import KINDS, REST, query
from tests.roadmap.test_reports import push


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
