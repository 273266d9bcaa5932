"""A payload of schema version 2: no sentence in it, words in two languages, paper that holds whatever is typed."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pikepdf
import pypdfium2
import pytest
import typst
from django.utils import translation

from roadmap.labels import CAUSES, COST_CATEGORIES, KPI_STATUSES, OUTCOMES, PHASES, RISK_CATEGORIES, STATUSES
from roadmap.models import CostEntry, GateDecision, Phase, Risk, Update
from roadmap.reports.documents import document_of
from roadmap.reports.documents.v2.cells import kpi_unit
from roadmap.reports.documents.v2.moved import place_text, value_text
from roadmap.reports.outputs import pdf as pdf_output
from roadmap.reports.outputs.flat import csv_of
from roadmap.reports.outputs.pdf import PdfRefusedError, pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.reports.section import kept
from roadmap.reports.sections.movers import with_next_actions
from roadmap.reports.sections.words import words_section
from roadmap.reports.snapshot import hash_of, section_value
from roadmap.rules import moved as moved_rules
from roadmap.rules.reports import moved_figures
from roadmap.sayings import SAYINGS, said, say

DATA = Path(__file__).parent.parent / "data" / "reports"
LANGUAGES = ("en", "nl")
HOSTILE = "W" * 200 + ' עברית العربية 日本語 🚀 #*_[]$@<> \\ "q" #pagebreak()'


def frozen(version: int) -> dict[str, Any]:
    return json.loads((DATA / f"roadmap_v{version}.json").read_text())


@pytest.fixture
def payload() -> dict[str, Any]:
    """October of a roadmap of the demo, with the manager's words, as it was frozen."""
    return frozen(2)


def drawn(payload: dict[str, Any], language: str) -> bytes:
    return pdf_of(document_of(payload, language), hash_of(payload))


def text_of(pdf: bytes) -> str:
    pages = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in pages)


def typed(value: Any, text: str) -> Any:
    """The payload with another text wherever a person's or a machine's may stand."""
    names = ("name", "owner", "response", "sentence", "said_by", "risk", "milestone", "source", "model", "provider")
    if isinstance(value, dict):
        return {
            key: text if key in names and isinstance(item, str) else typed(item, text) for key, item in value.items()
        }
    return [typed(item, text) for item in value] if isinstance(value, list) else value


def with_typed(payload: dict[str, Any], text: str) -> dict[str, Any]:
    sections = [{**one, "value": typed(one["value"], text)} for one in payload["sections"]]
    return {**payload, "roadmap": typed(payload["roadmap"], text), "sections": sections}


def unknown(value: Any) -> Any:
    """The payload with nothing known that may be unknown."""
    names = {"value", "low", "high", "before", "spend", "total", "total_before", "billed", "estimated", "entered"}
    names |= {"baseline", "target", "one_off", "continuing", "amount", "coverage", "basis", "reason", "tone_before"}
    if isinstance(value, dict):
        if "say" in value:
            return value
        return {key: None if key in names else unknown(item) for key, item in value.items()}
    return [unknown(item) for item in value] if isinstance(value, list) else value


class TestVersionOne:
    def test_it_is_drawn_as_it_was_and_in_english_whoever_reads(self):
        for language in LANGUAGES:
            document = document_of(frozen(1), language)
            assert document.language == "en"
            with (DATA / "roadmap_v1.csv").open(newline="") as kept_as:
                assert csv_of(document) == kept_as.read()

    def test_its_pdf_is_drawn_still(self):
        assert "Spend of the month" in text_of(drawn(frozen(1), "nl"))


class TestNoSentenceOfOurs:
    def test_every_saying_is_in_codes_and_every_code_is_known(self, payload):
        codes = []

        def walk(value):
            if isinstance(value, dict):
                if "say" in value:
                    codes.append(value["say"])
                    assert set(SAYINGS[value["say"]].kinds) <= set(value)
                for item in value.values():
                    walk(item)
            elif isinstance(value, list):
                for item in value:
                    walk(item)

        walk(payload)
        assert len(codes) > 20
        text = json.dumps(payload)
        for ours in ("were spent", "month before", "criteria met", "forecast for", "at the gateway", "On track"):
            assert ours not in text

    def test_a_sentence_without_a_code_is_refused(self):
        assert kept("") is None
        with pytest.raises(TypeError, match="no sentence"):
            kept("The budget lasts.")

    def test_a_saying_is_the_same_from_values_and_from_what_was_kept(self):
        for language in LANGUAGES:
            with translation.override(language):
                made = say("gate_overdue", days=1), say("gate_overdue", days=1204)
                inner = say("operand_missing", kpi="Hours", reason=say("no_reading"))
                assert [said(one.json()) for one in (*made, inner)] == [*made, inner]
        assert str(made[0]) == "De gate is 1 dag over tijd."
        assert str(made[1]) == "De gate is 1.204 dagen over tijd."

    def test_an_unknown_code_is_an_error(self):
        with pytest.raises(KeyError):
            said({"say": "no such saying"})

    def test_labels_are_those_of_the_plan(self):
        for labels, choices in (
            (PHASES, Phase.Kind), (STATUSES, Update.Status), (COST_CATEGORIES, CostEntry.Category),
            (RISK_CATEGORIES, Risk.Category), (OUTCOMES, GateDecision.Outcome),
        ):  # fmt: skip
            assert {code: str(label) for code, label in labels.items()} == {
                code: str(label) for code, label in choices.choices
            }
        assert set(CAUSES) == set(moved_rules.CAUSES)
        assert {row["status"] for row in section_value(frozen(2), "kpis")["rows"]} <= set(KPI_STATUSES)

    def test_every_figure_says_what_it_is(self, payload):
        figures = section_value(payload, "headline")["figures"]
        for figure in [*figures, *section_value(payload, "kpis")["rows"]]:
            assert {"value", "unit", "window", "basis", "coverage", "freshness"} <= set(figure)
            assert set(figure["window"]) == {"start_on", "end_on"}
        assert figures[0]["freshness"] == {"state": "complete", "data_until": "2026-11-01T00:00:00+00:00"}


class TestTwoLanguages:
    def test_the_words_are_the_readers_and_names_stay(self, payload):
        dutch, english = (csv_of(document_of(payload, language)) for language in ("nl", "en"))
        for said_so in ("Uitgaven van de maand", "Totaal", "Op doel", "Gate van PoC"):
            assert said_so in dutch
            assert said_so not in english
        for one in (dutch, english):
            assert "October went as planned." in one
            assert "LiteLLM gateway" in one

    def test_figures_are_written_as_the_language_does_and_stay_exact(self, payload):
        dutch, english = (csv_of(document_of(payload, language)) for language in ("nl", "en"))
        total = Decimal(section_value(payload, "money")["total"])
        assert "27.519,30" in dutch
        assert '"27,519.30"' in english or "27,519.30" in english
        for one in (dutch, english):
            assert any(f",{total:f}," in line for line in one.splitlines())

    def test_a_computed_kpis_unit_is_the_readers_and_a_typed_one_stays(self):
        row = {"unit": "per 1,000 requests", "measure": "override_rate"}
        with translation.override("nl"):
            assert kpi_unit(row, "EUR") == "per 1.000 verzoeken"
            assert kpi_unit({**row, "unit": "overrides"}, "EUR") == "overrides"
            assert kpi_unit({"unit": "letters", "measure": ""}, "EUR") == "letters"

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_a_workbook_has_heads_in_the_language_and_numbers(self, payload, language):
        book = openpyxl.load_workbook(io.BytesIO(workbook_of(document_of(payload, language), hash_of(payload))))
        name, total = {"en": ("Spend", "Total"), "nl": ("Uitgaven", "Totaal")}[language]
        rows = {row[0]: row[1] for row in book[name].iter_rows(values_only=True)}
        assert rows[total] == pytest.approx(float(section_value(payload, "money")["total"]))


class TestPaper:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_two_pages_tagged_archived_and_the_same_on_any_day(self, payload, language):
        content = drawn(payload, language)
        assert content == drawn(deepcopy(payload), language)
        with pikepdf.open(io.BytesIO(content)) as pdf:
            assert len(pdf.pages) == 2
            assert pdf.Root.Lang == language
            assert pdf.Root.MarkInfo.Marked
            assert pdf.Root.StructTreeRoot is not None
            with pdf.open_metadata() as meta:
                assert (meta["pdfaid:part"], meta["pdfaid:conformance"], meta["pdfuaid:part"]) == ("2", "B", "1")
                assert meta["dc:language"] == [language] or language in meta["dc:language"]
            fonts = [font for page in pdf.pages for font in page.Resources.Font.values()]
            assert fonts
            for font in fonts:
                assert {"/FontFile2", "/FontFile3"} & set(font.DescendantFonts[0].FontDescriptor.keys())

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_its_text_comes_in_the_order_of_reading(self, payload, language):
        document = document_of(payload, language)
        text = text_of(drawn(payload, language)).replace("\r", "").replace("\n", " ")
        titles = [section.title for section in document.sections if section.title]
        assert len(titles) > 9
        place = 0
        for title in titles:
            place = text.index(title, place) + len(title)

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize(
        "text", [HOSTILE, "", "\u202e\u200b\x00", "é" * 200], ids=["hostile", "empty", "control", "accents"]
    )
    def test_whatever_is_typed_is_drawn(self, payload, text, language):
        assert drawn(with_typed(payload, text), language).startswith(b"%PDF-")

    def test_a_long_word_that_has_room_stays_whole_and_is_found(self, payload):
        word = "Arbeidsongeschiktheidsverzekering"
        payload["roadmap"]["name"] = word
        section_value(payload, "money")["rows"][0]["name"] = word
        text = text_of(drawn(payload, "nl"))
        assert f"{word}, oktober 2026" in text
        assert f"{word} 2.522,92" in text
        assert "\u200b" not in text

    @pytest.mark.parametrize("letter", ["W", "é"])
    def test_no_letter_of_a_longer_one_is_beside_the_margins(self, payload, letter):
        edge, tolerance = 18 / 25.4 * 72, 1
        letters = 0
        for page in pypdfium2.PdfDocument(drawn(with_typed(payload, letter * 200), "en")):
            text = page.get_textpage()
            for index in range(text.count_chars()):
                if text.get_text_range(index, 1) == letter:
                    left, _bottom, right, _top = text.get_charbox(index)
                    assert edge - tolerance < left < right < page.get_width() - edge + tolerance
                    letters += 1
        assert letters > 1000

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_unknown_everywhere_is_drawn_as_unknown(self, payload, language):
        sections = [{**one, "value": unknown(one["value"])} for one in payload["sections"]]
        blank = {**payload, "phase": None, "sections": sections}
        document = document_of(blank, language)
        assert str({"en": "no data", "nl": "geen gegevens"}[language]) in csv_of(document)
        assert pdf_of(document, hash_of(blank)).startswith(b"%PDF-")

    def test_a_long_list_is_cut_on_paper_and_whole_elsewhere(self, payload):
        rows = section_value(payload, "delivery")["milestones"]
        rows[:] = [{**rows[0], "name": f"Milestone {number}"} for number in range(40)]
        document = document_of(payload, "en")
        text = text_of(pdf_of(document, hash_of(payload)))
        assert "Milestone 4" in text
        assert "Milestone 39" not in text
        assert "and 35 more" in text
        assert "Milestone 39" in csv_of(document)
        assert len(pypdfium2.PdfDocument(pdf_of(document, hash_of(payload)))) == 2

    def test_what_typst_refuses_is_one_error(self, payload, monkeypatch):
        def refuse(*args, **more):
            raise typst.TypstError("PDF/UA-1 error: missing alt text", [], [])

        monkeypatch.setattr(pdf_output.typst, "compile", refuse)
        with pytest.raises(PdfRefusedError, match="Document check, October 2026"):
            drawn(payload, "en")


class TestManagersWords:
    def test_paragraphs_stand_under_the_headline_as_typed(self, payload):
        document = document_of(payload, "nl")
        assert [section.name for section in document.sections][:2] == ["headline", "words"]
        assert [block.text[:7] for block in document.sections[1].blocks] == ["October", "In Nove"]

    def test_nothing_written_is_no_section(self):
        assert words_section(None) is None
        assert words_section({"author": "Ada", "on": "2026-11-04", "text": "  \n"}) is None

    def test_a_next_action_goes_to_its_mover_and_none_is_a_dash(self, payload):
        movers = section_value(payload, "movers")
        noted = with_next_actions(movers, {"next_actions": {"volume": " Ask for a batch price. ", "mix": " "}})
        assert {row["key"]: row["next_action"] for row in noted["rows"]} == {
            "cost_entries": None, "volume": "Ask for a batch price.", "mix": None,
        }  # fmt: skip
        movers.update(noted)
        table = next(one for one in document_of(payload).sections if one.name == "movers").blocks[0]
        assert [row[4].text for row in table.rows][:3] == ["–", "Ask for a batch price.", "–"]


class TestWhatARevisionChanged:
    def test_it_is_exactly_the_difference_in_labels_and_written_figures(self, payload):
        after = deepcopy(payload)
        section_value(after, "money")["total"] = "27600.5"
        section_value(after, "money")["rows"][2]["spend"] = None
        section_value(after, "signals")["rows"][0]["tone"] = "red"
        section_value(after, "delivery")["milestones"][0]["due_on"] = "2026-12-01"
        after |= {"revision": 2, "dated_on": "2026-12-02"}
        lines = moved_figures(payload, after)
        # What was not there and is empty now: kept, and no line for a reader.
        hollow = {**lines[0], "before": None, "after": None}
        after["moved"] = [*lines, hollow]
        with translation.override("nl"):
            said_lines = [
                (place_text(line, "USD"), value_text(line, "before"), value_text(line, "after").replace("\xa0", " "))
                for line in lines
            ]
        assert said_lines == [
            ("Signalen · Planning · signaal", "Oranje", "Rood"),
            ("Uitgaven · vllm-ams-1, leegloop · uitgaven", "2.478,80", "geen gegevens"),
            ("Uitgaven · totaal", "27.519,30", "27.600,50"),
            (
                "Gates en mijlpalen · Requests routed to the model that fits · deadline",
                "12\xa0okt\xa02026",
                "1 dec 2026",
            ),
        ]
        document = document_of(after, "nl")
        assert document.sections[0].title == "Wat deze revisie veranderde"
        assert len(document.sections[0].blocks[0].rows) == 4
        assert drawn(after, "nl").startswith(b"%PDF-")

    def test_nothing_changed_is_nothing(self, payload):
        again = {**deepcopy(payload), "revision": 2, "dated_on": "2027-01-01"}
        assert moved_figures(payload, again) == []

    def test_of_version_one_what_both_hold_is_compared(self, payload):
        assert moved_figures(frozen(1), payload) == []
        later = deepcopy(payload)
        section_value(later, "money")["total"] = "1"
        (line,) = moved_figures(frozen(1), later)
        assert (line["section"], line["field"], line["after"]) == ("money", "total", "1")
