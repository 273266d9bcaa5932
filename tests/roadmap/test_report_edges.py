"""What a report says of a month that is not like others: over budget, over, just begun, of nothing, with credits."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import CostEntry, Gate, GateDecision, Phase, Report
from roadmap.queries.month import month_facts
from roadmap.queries.reports import reportable_roadmaps
from roadmap.reports.document import Figures, Status, Table
from roadmap.reports.documents import document_of
from roadmap.reports.documents.v2.moved import value_text
from roadmap.reports.outputs.mail import mail_of, read_mail
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.reports.portfolio import value_of
from roadmap.reports.snapshot import roadmap_payload, section_value
from roadmap.sayings import said
from tests.roadmap.test_report_files import text_of
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap

__all__ = ["roadmap"]
D = Decimal


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def payload_of(roadmap, month=MONTH):
    return roadmap_payload(month_facts(roadmap, month), dated_on=date(2026, 11, 5), revision=1)


def texts_of(payload, language="en") -> str:
    return read_mail(mail_of(document_of(payload, language), url="https://phaseline.example")).text


def budget(roadmap, amount, **fields) -> None:
    Phase.objects.filter(roadmap=roadmap, kind="poc").update(budget_amount=amount, budget_currency="USD", **fields)


def day_by_day(roadmap, cost, first, days) -> None:
    for number in range(days):
        push(roadmap, datetime(first.year, first.month, first.day, 9, tzinfo=UTC) + timedelta(days=number),
             requests=10, cost=cost)  # fmt: skip


class TestOverBudget:
    @pytest.mark.parametrize("end_on", [date(2026, 10, 15), date(2026, 12, 31)], ids=["past-its-end", "running"])
    def test_the_headline_says_what_the_light_says(self, roadmap, end_on):
        # By hand: 10.00 a day from 1 October, so that the 55.00 are passed on the sixth.
        budget(roadmap, D(55), planned_end_on=end_on)
        day_by_day(roadmap, "10.00", MONTH, 31)
        payload = payload_of(roadmap)
        money = section_value(payload, "headline")["money"]
        light = next(row for row in section_value(payload, "signals")["rows"] if row["signal"] == "budget")
        assert (money["say"], money["on"]) == ("budget_passed_on", "2026-10-06")
        assert light["tone"] == "red"
        assert [reason["say"] for reason in light["reasons"]] == ["budget_passed_on"]

    def test_the_budget_that_was_passed_is_a_decision(self, roadmap):
        budget(roadmap, D(55), planned_end_on=date(2026, 10, 15))
        day_by_day(roadmap, "10.00", MONTH, 31)
        items = section_value(payload_of(roadmap), "decisions")["items"]
        assert "Change the budget of PoC or its course: it is passed, 310.00\u00a0USD of 55.00\u00a0USD are spent." in [
            said(item) for item in items
        ]

    def test_a_phase_that_is_over_asks_for_none(self, roadmap):
        budget(roadmap, D(55), ended_on=date(2026, 10, 20), state="closed")
        day_by_day(roadmap, "10.00", MONTH, 20)
        payload = payload_of(roadmap)
        assert not [one for one in section_value(payload, "decisions")["items"] if one["say"].startswith("change")]


class TestPhaseThatIsOver:
    def test_what_was_spent_is_what_it_ended_at(self, roadmap):
        budget(roadmap, D(1000), ended_on=date(2026, 10, 20), state="closed")
        day_by_day(roadmap, "10.00", MONTH, 20)
        headline = section_value(payload_of(roadmap), "headline")
        assert headline["money"]["say"] == "budget_was_spent"
        forecast = headline["figures"][1]
        assert (forecast["key"], forecast["value"], forecast["basis"]) == ("forecast", "200", None)
        assert [note["say"] for note in forecast["notes"]] == ["of_budget", "phase_is_over"]

    def test_one_that_ended_after_the_month_was_running_in_it(self, roadmap):
        budget(roadmap, D(10_000), ended_on=date(2026, 11, 10), state="closed")
        day_by_day(roadmap, "10.00", MONTH, 31)
        payload = payload_of(roadmap)
        assert payload["phase"] == {"kind": "poc", "state": "active"}
        assert section_value(payload, "headline")["money"]["say"] == "budget_lasts"

    def test_a_roadmap_whose_last_phase_ended_before_the_month_has_no_report(self, roadmap, adam):
        budget(roadmap, D(1000), started_on=date(2026, 8, 1), ended_on=date(2026, 8, 20), state="closed")
        assert [found.slug for _is_demo, rows in reportable_roadmaps(date(2026, 8, 1)) for found in rows] == ["letters"]
        assert reportable_roadmaps(MONTH) == []
        close_month(Asker(adam), MONTH)
        assert not Report.objects.filter(roadmap=roadmap, month=MONTH).exists()

    def test_a_phase_of_an_earlier_month_is_not_this_ones(self, roadmap):
        budget(roadmap, D(1000), started_on=date(2026, 8, 1), ended_on=date(2026, 8, 20), state="closed")
        payload = payload_of(roadmap)
        assert payload["phase"] is None
        assert section_value(payload, "headline")["money"]["say"] == "no_phase"


class TestUnknownAndZero:
    def test_what_no_statement_covers_is_no_unknown_part(self, roadmap):
        day_by_day(roadmap, "10.00", MONTH, 2)
        text = texts_of(payload_of(roadmap))
        assert "Spend is made of 20.00\u00a0USD estimated and 0\u00a0USD entered by hand" in text
        assert "unknown amount" not in text

    def test_a_month_of_zero_is_not_unknown(self, roadmap):
        day_by_day(roadmap, "0", MONTH, 2)
        text = texts_of(payload_of(roadmap))
        assert "Nothing was spent." in text
        assert "No spend is known." not in text

    def test_a_month_of_nothing_known_is_not_zero(self, roadmap):
        text = texts_of(payload_of(roadmap))
        assert "No spend is known." in text
        assert "Nothing was spent." not in text

    def test_the_first_month_does_not_begin_at_zero(self, roadmap):
        day_by_day(roadmap, "10.00", MONTH, 2)
        movers = next(section for section in document_of(payload_of(roadmap)).sections if section.name == "movers")
        assert movers.sub == "spend of 20.00\u00a0USD; of the month before none is known"

    def test_a_month_of_nothing_known_is_no_fall_to_zero(self, roadmap):
        day_by_day(roadmap, "10.00", date(2026, 9, 1), 2)
        payload = payload_of(roadmap)
        assert section_value(payload, "money")["total"] is None
        assert section_value(payload, "movers") is None

    def test_a_change_of_nothing_is_a_figure(self, roadmap):
        day_by_day(roadmap, "10.00", date(2026, 9, 1), 2)
        day_by_day(roadmap, "20.00", MONTH, 1)
        movers = next(section for section in document_of(payload_of(roadmap)).sections if section.name == "movers")
        table = next(block for block in movers.blocks if isinstance(block, Table))
        assert (table.foot[1].text, table.foot[1].value) == ("0.00", 0)

    def test_a_share_that_is_not_nothing_does_not_read_as_nothing(self, roadmap):
        budget(roadmap, D(100_000))
        day_by_day(roadmap, "0.01", MONTH, 31)
        notes = " ".join(said(note) for note in section_value(payload_of(roadmap), "headline")["figures"][0]["notes"])
        assert "under 1% of the" in notes
        assert "0% of the" not in notes.replace("100%", "")

    def test_a_budget_of_which_nothing_was_spent_yet_is_a_budget(self, roadmap, adam):
        budget(roadmap, D(5000))
        close_month(Asker(adam), MONTH)
        portfolio = Report.objects.get(scope="portfolio", month=MONTH).payload
        row = next(section for section in portfolio["sections"] if section["name"] == "roadmaps")["value"]["rows"][0]
        assert (row["phase_spent"], row["budget"]) == (None, "5000")

    def test_totals_of_what_nobody_knows_are_no_zero(self, roadmap, adam):
        close_month(Asker(adam), MONTH)
        document = document_of(Report.objects.get(scope="portfolio", month=MONTH).payload)
        tables = next(section for section in document.sections if section.name == "parts").blocks
        assert [[cell.text for cell in table.foot[1:]] for table in tables] == [["no data", "no data"]] * 2


class TestCredits:
    def test_a_credit_is_no_percentage_of_the_month_before(self, roadmap):
        day_by_day(roadmap, "10.00", date(2026, 9, 1), 2)
        day_by_day(roadmap, "-20.00", MONTH, 1)
        figures = section_value(payload_of(roadmap), "headline")["figures"]
        says = [note["say"] for figure in figures for note in figure["notes"]]
        assert not [code for code in says if code.endswith("_before")]


class TestBegunOnTheLastDay:
    def test_it_has_spent_something_of_its_budget(self, adam):
        roadmap = make_roadmap(
            Asker(adam), name="Late", owner=adam, start_on=date(2026, 10, 31), budgets={"poc": D(6000)}, currency="USD"
        )
        push(roadmap, datetime(2026, 10, 31, 9, tzinfo=UTC), requests=10, cost="30.00")
        payload = payload_of(roadmap)
        assert section_value(payload, "course")["points"] == [{"on": "2026-10-31", "spent": "30"}]
        document = document_of(payload)
        course = next(section for section in document.sections if section.name == "course").blocks[0]
        assert [text for _place, text in course.ticks][:2] == ["Oct 2026", "Dec"]
        assert pdf_of(document, "f" * 64).startswith(b"%PDF")

    def test_its_budget_is_a_target_of_which_nothing_is_forecast_yet(self, roadmap):
        push(roadmap, datetime(2026, 10, 31, 9, tzinfo=UTC), requests=10, cost="30.00")
        light = next(row for row in section_value(payload_of(roadmap), "signals")["rows"] if row["signal"] == "budget")
        assert (light["tone"], light["reasons"][0]["say"]) == ("off", "too_little_for_forecast")


class TestPushes:
    def test_a_push_leaves_no_month_incomplete(self, roadmap):
        push(roadmap, datetime(2026, 10, 30, 16, tzinfo=UTC), requests=10, cost="30.00")
        payload = payload_of(roadmap)
        assert section_value(payload, "money")["freshness"]["state"] == "complete"
        assert "not complete" not in texts_of(payload)


class TestNames:
    NAME = "Letters \u202egnp.exe"

    @pytest.mark.parametrize("language", ["en", "nl"])
    def test_none_turns_what_stands_around_it(self, roadmap, language):
        payload = payload_of(roadmap)
        payload["roadmap"]["name"] = self.NAME
        document = document_of(payload, language)
        assert document.title.startswith("Letters gnp.exe, ")
        mail = read_mail(mail_of(document, url="https://phaseline.example"))
        drawn = text_of(pdf_of(document, "f" * 64))
        assert not {"\u202e"} & {*mail.subject, *mail.text, *mail.html, *drawn}
        assert payload["roadmap"]["name"] == self.NAME

    def test_one_with_control_characters_makes_a_workbook_that_opens(self, roadmap):
        payload = payload_of(roadmap)
        payload["roadmap"]["name"] = "Let\x1bters"
        book = openpyxl.load_workbook(io.BytesIO(workbook_of(document_of(payload), "f" * 64)))
        assert book.properties.title == "Letters, October 2026"

    def test_the_drivers_of_a_part_are_the_part(self, roadmap):
        # By hand: what one model did is all of it, whatever a cent is rounded to.
        push(roadmap, datetime(2026, 9, 1, 9, tzinfo=UTC), requests=7, cost="10.005")
        push(roadmap, datetime(2026, 10, 1, 9, tzinfo=UTC), requests=9, cost="13.338")
        rows = section_value(payload_of(roadmap), "movers")["rows"]
        assert rows
        for row in rows:
            assert [driver["amount"] for driver in row["drivers"]] == [row["amount"]]


def test_cost_entries_alone_are_spend(roadmap):
    CostEntry.objects.create(
        roadmap=roadmap, name="Licences", category="licences", amount=D("310.00"), currency="USD",
        start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
    )  # fmt: skip
    document = document_of(payload_of(roadmap))
    boxes = next(block for block in document.sections[0].blocks if isinstance(block, Figures)).boxes
    assert boxes[0].text == "310.00\u00a0USD"
    assert isinstance(document.sections[0].blocks[0], Status)
    assert "310.00\u00a0USD entered by hand; of usage no spend is known." in texts_of(payload_of(roadmap))


class TestGateOnHold:
    def test_it_is_a_decision_and_the_next_gate(self, roadmap, adam):
        gate = Gate.objects.get(phase__roadmap=roadmap, phase__kind="poc")
        Gate.objects.filter(pk=gate.pk).update(due_on=date(2026, 10, 20))
        GateDecision.objects.create(
            gate=gate, outcome="hold", reason="Not yet", decided_by=adam, decided_on=date(2026, 10, 21)
        )
        payload = payload_of(roadmap)
        assert [item["say"] for item in section_value(payload, "decisions")["items"]] == ["decide_gate"]
        close_month(Asker(adam), MONTH)
        rows = value_of(Report.objects.get(scope="portfolio", month=MONTH).payload, "roadmaps")["rows"]
        assert rows[0]["next_gate"]["due_on"] == "2026-10-20"


class TestWhatARevisionChanged:
    @pytest.mark.parametrize(
        ("section", "field", "value", "text"),
        [
            ("notes", "data_until", "2026-10-31T10:00:00+00:00", "31\u00a0Oct\u00a02026, 10:00\u00a0UTC"),
            (
                "movers",
                "drivers",
                [
                    {"provider": "azure", "model": "m1", "amount": "2"},
                    {"provider": "openai", "model": "m1", "amount": "-1"},
                ],
                "m1 (azure) +2.00; m1 (openai) \u22121.00",
            ),
        ],
        ids=["moment", "drivers"],
    )
    def test_it_is_written_as_elsewhere(self, section, field, value, text):
        line = {
            "section": section,
            "rows": "rows",
            "row": {"name": "x"},
            "field": field,
            "before": value,
            "after": None,
        }
        assert value_text(line, "before") == text
