"""A published report as files: drawn once, kept, the same for ever, and for nobody who does not see the report."""

from __future__ import annotations

import hashlib
import io
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pikepdf
import pypdfium2
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.actions.reports import close_month
from roadmap.models import CostEntry, Report, ReportFile
from roadmap.reports.document import Cell, Column, Document, Section, Table
from roadmap.reports.documents import document_of
from roadmap.reports.outputs.pdf import MISSING, pdf_of
from roadmap.reports.outputs.workbook import number_format, workbook_of
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report

__all__ = ["roadmap"]
KINDS = ("pdf", "xlsx", "csv", "json")


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def report(roadmap, adam) -> Report:
    """October of 'Letters': 42.50 USD of usage and an entry of 310."""
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
    CostEntry.objects.create(
        roadmap=roadmap, name="Licences", category="licences", amount=Decimal(310), currency="USD",
        start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
    )  # fmt: skip
    close_month(Asker(adam), MONTH)
    return roadmap_report(roadmap)


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


class TestPaper:
    def test_it_is_kept_when_the_report_is_published(self, report, adam, sign_in):
        assert set(report.files.values_list("kind", "language")) == {("pdf", "en"), ("pdf", "nl"), ("mail", "en")}
        kept = report.files.get(kind="pdf", language="en")
        content = bytes(kept.content)
        assert (kept.kind, kept.language) == ("pdf", "en")
        assert kept.sha256 == hashlib.sha256(content).hexdigest()
        answer = sign_in(adam).get(reverse("report_file", args=[report.uuid, "pdf"]))
        assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/pdf", content)
        assert answer["Content-Disposition"] == f'attachment; filename="{report.roadmap.slug}-2026-10-revision-1.pdf"'

    def test_the_same_payload_gives_the_same_bytes_on_another_day(self, report, monkeypatch):
        kept = bytes(report.files.get(kind="pdf", language="en").content)
        monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2028, 1, 1, tzinfo=UTC))
        assert pdf_of(document_of(report.payload), report.sha256) == kept

    def test_a_restatement_leaves_it_as_it_was(self, report, roadmap, adam):
        kept = bytes(report.files.get(kind="pdf", language="en").content)
        push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=1, cost="7.50")
        close_month(Asker(adam), MONTH, revise=True)
        second = roadmap_report(roadmap)
        report.refresh_from_db()
        assert (second.revision, bytes(report.files.get(kind="pdf", language="en").content)) == (2, kept)
        assert "360.00" in text_of(bytes(second.files.get(kind="pdf", language="en").content))
        assert "360.00" not in text_of(kept)

    def test_it_says_what_it_is_to_a_reader_without_sight(self, report):
        with pikepdf.open(io.BytesIO(bytes(report.files.get(kind="pdf", language="en").content))) as pdf:
            assert pdf.Root.Lang == "en"
            assert pdf.Root.MarkInfo.Marked
            assert pdf.Root.StructTreeRoot is not None
            assert pdf.Root.ViewerPreferences.DisplayDocTitle
            with pdf.open_metadata() as said:
                assert (said["pdfaid:part"], said["pdfaid:conformance"], said["pdfuaid:part"]) == ("2", "B", "1")
                assert said["dc:title"] == "Letters, October 2026"
            fonts = [font for page in pdf.pages for font in page.Resources.Font.values()]
            assert fonts
            for font in fonts:
                assert "/FontFile3" in font.DescendantFonts[0].FontDescriptor or (
                    "/FontFile2" in font.DescendantFonts[0].FontDescriptor
                )

    def test_its_text_comes_in_the_order_of_reading(self, report):
        text = text_of(bytes(report.files.get(kind="pdf", language="en").content))
        heads = [
            "Letters, October 2026",
            "Spend of the month",
            "Signals",
            "Licences",
            "Decisions needed",
            "Performance and",
        ]
        places = [text.index(head, text.index(heads[0])) for head in heads]
        assert places == sorted(places)
        assert report.sha256 in text

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param('#pagebreak() *x* \\ <s> $a$ @b "q"', id="markup"),
            pytest.param("W" * 200, id="long"),
            pytest.param("Ωμέγα, Größe, Кириллица", id="scripts"),
        ],
    )
    def test_a_name_is_text_whatever_is_in_it(self, report, name):
        payload = deepcopy(report.payload)
        payload["roadmap"]["name"] = name
        text = text_of(pdf_of(document_of(payload), report.sha256))
        # A long word may be broken after each of its letters.
        text = text.replace("\u200b", "")
        assert name in text.replace("\r", "").replace("\n", "").replace("\ufffe", "") or name in text

    def test_what_no_font_has_is_a_box_and_stops_nobody(self, report):
        payload = deepcopy(report.payload)
        payload["roadmap"]["name"] = "Rocket 🚀"
        assert f"Rocket {MISSING}" in text_of(pdf_of(document_of(payload), report.sha256))


class TestKeptForEver:
    def test_the_database_refuses_to_change_or_delete_it(self, report):
        file = report.files.get(kind="pdf", language="en")
        with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
            ReportFile.objects.filter(pk=file.pk).update(language="nl")
        with pytest.raises(DatabaseError, match="cannot be deleted"), transaction.atomic():
            ReportFile.objects.filter(pk=file.pk).delete()

    @pytest.mark.parametrize("table", ["report", "reportfile", "reportwords", "report_covers"])
    def test_the_database_refuses_to_empty_it(self, report, table):
        with connection.cursor() as cursor:
            # As an installation has it; the tests' own clean-up needs it off.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE roadmap_{table} ENABLE TRIGGER reports_are_kept")
        with (
            pytest.raises(DatabaseError, match="cannot be deleted"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"TRUNCATE roadmap_{table} CASCADE")
        assert ReportFile.objects.filter(report=report).exists()

    def test_the_command_finds_a_file_that_was_changed_all_the_same(self, report, capsys):
        call_command("verify_reports")
        assert "2 reports and 6 files match their hash." in capsys.readouterr().out
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE roadmap_reportfile DISABLE TRIGGER report_file_is_frozen")
            cursor.execute("UPDATE roadmap_reportfile SET content = '\\x00' WHERE report_id = %s", [report.pk])
            cursor.execute("ALTER TABLE roadmap_reportfile ENABLE TRIGGER report_file_is_frozen")
        with pytest.raises(CommandError, match="0 of 2 reports and 3 of 6 files"):
            call_command("verify_reports")

    def test_the_command_finds_a_file_that_is_gone(self, report, capsys):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE roadmap_reportfile DISABLE TRIGGER report_file_is_frozen")
            cursor.execute("DELETE FROM roadmap_reportfile WHERE report_id = %s", [report.pk])
            cursor.execute("ALTER TABLE roadmap_reportfile ENABLE TRIGGER report_file_is_frozen")
        with pytest.raises(CommandError, match="1 of 2 reports have no PDF"):
            call_command("verify_reports")
        assert f"{report}: its PDF is gone" in capsys.readouterr().out


class TestOtherForms:
    def test_a_workbook_has_numbers_that_add_up(self, report, adam, sign_in):
        answer = sign_in(adam).get(reverse("report_file", args=[report.uuid, "xlsx"]))
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        # Its own date is the document's, so that the same document gives the same bytes.
        assert book.properties.created == datetime.combine(document_of(report.payload).dated_on, datetime.min.time())
        assert book.sheetnames[:3] == ["Letters", "Signals", "Spend"]
        rows = {row[0]: row[1] for row in book["Spend"].iter_rows(values_only=True) if isinstance(row[1], int | float)}
        total = rows.pop("Total")
        assert total == pytest.approx(sum(rows.values())) == pytest.approx(352.5)
        assert answer.content == workbook_of(document_of(report.payload), report.sha256)

    @pytest.mark.parametrize(
        ("language", "text", "value", "shown"),
        [
            ("en", "5,584.63", "5584.631", "#,##0.00"),
            ("nl", "5.584,63", "5584.631", "#,##0.00"),
            ("en", "47,350", "47350", "#,##0"),
            ("nl", "47.350", "47350", "#,##0"),
            ("nl", "1,04", "1.0412", "#,##0.00"),
            ("en", "498.3\u00a0k\u00a0EUR", "498312.4", "#,##0.00"),
            ("en", "207\u00a0k", "207000", "#,##0"),
            ("en", "0.0031\u00a0EUR", "0.00309", "#,##0.0000"),
            ("en", "116%", "1.16", "0%"),
            ("nl", "8,4%", "0.084", "0.0%"),
            ("en", "\u2212104.21", "-104.21", "#,##0.00"),
            ("en", "291 h", "291", "#,##0"),
        ],
    )
    def test_a_number_is_shown_as_in_the_document(self, language, text, value, shown):
        # A whole number with a format of optional decimals would end in a bare point: '47,350.'
        assert number_format(Cell(text=text, value=Decimal(value)), language) == shown

    def test_what_stands_below_a_number_has_a_column(self):
        table = Table(
            label="Roadmaps",
            columns=[Column(label="Roadmap"), Column(label="Forecast", is_numeric=True), Column(label="State")],
            rows=[
                [Cell(text="Letters", sub="PoC"), Cell(text="2.28 k", sub="79% of budget", value=Decimal(2277)),
                 Cell(text="Open")],
                [Cell(text="Fraud"), Cell(text="no data"), Cell(text="Open")],
            ],
        )  # fmt: skip
        document = Document(
            language="nl", name="x", about="x", title="x", dated_on=date(2026, 11, 5), dated="x", summary="x",
            foot="x", page_of="x", sections=[Section(name="roadmaps", title="Roadmaps", blocks=[table])],
        )  # fmt: skip
        sheet = openpyxl.load_workbook(io.BytesIO(workbook_of(document, "")))["Roadmaps"]
        assert [tuple(row) for row in sheet.iter_rows(min_row=3, max_row=5, values_only=True)] == [
            ("Roadmap", "Forecast", "Forecast, toelichting", "State"),
            ("Letters (PoC)", 2277, "79% of budget", "Open"),
            ("Fraud", "no data", None, "Open"),
        ]

    def test_a_formula_in_a_name_is_text(self, report):
        payload = deepcopy(report.payload)
        payload["roadmap"]["name"] = '=HYPERLINK("http://evil.example")'
        book = openpyxl.load_workbook(io.BytesIO(workbook_of(document_of(payload), report.sha256)))
        cells = [cell for page in book for row in page.iter_rows() for cell in row if cell.value is not None]
        assert all(cell.data_type != "f" for cell in cells)
        assert all(not str(cell.value).startswith("=") for cell in cells)

    def test_the_csv_has_each_figure_with_all_its_digits(self, report, adam, sign_in):
        answer = sign_in(adam).get(reverse("report_file", args=[report.uuid, "csv"]))
        lines = answer.content.decode().splitlines()
        assert lines[0] == "section,row,column,value,text"
        assert "money,Total,USD,352.5,352.50" in lines

    def test_the_json_is_what_the_hash_is_over(self, report, adam, sign_in):
        answer = sign_in(adam).get(reverse("report_file", args=[report.uuid, "json"]))
        assert hashlib.sha256(answer.content).hexdigest() == report.sha256


class TestWhoGetsIt:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_goes_to_those_who_see_the_report(self, report, kind, vera, oscar, erin, client, api):
        Membership.objects.create(user=vera, workload=report.roadmap.workload, role=Role.VIEWER)
        portfolio = Report.objects.get(scope="portfolio")
        seen = {}
        for person in (vera, oscar, erin):
            rest = api(person, scopes=["read"])
            client.force_login(person)
            for one in (report, portfolio):
                page = client.get(reverse("report_file", args=[one.uuid, kind])).status_code
                assert rest.get(f"/api/v1/reports/{one.uuid}/report.{kind}").status_code == page
                seen[person.username, one.scope] = page
        assert seen == {
            ("vera", "roadmap"): 200, ("vera", "portfolio"): 404, ("oscar", "roadmap"): 404,
            ("oscar", "portfolio"): 404, ("erin", "roadmap"): 200, ("erin", "portfolio"): 200,
        }  # fmt: skip
        client.logout()
        assert client.get(reverse("report_file", args=[report.uuid, kind])).status_code == 302

    def test_a_kind_that_there_is_none_of_is_not_found(self, report, adam, sign_in, api):
        assert sign_in(adam).get(reverse("report_file", args=[report.uuid, "docx"])).status_code == 404
        rest = api(adam, scopes=["read"])
        assert rest.get(f"/api/v1/reports/{report.uuid}/report.docx").status_code == 404
        assert api(adam, scopes=["push"]).get(f"/api/v1/reports/{report.uuid}/report.pdf").status_code == 403
