"""The five lights of a report, and the three things that moved: what is measured, in words, and nothing made up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.kpi import KpiStatus
from roadmap.labels import LIGHTS
from roadmap.models import CostEntry, Report, Risk
from roadmap.reports.snapshot import section_value
from roadmap.rules.health import Finding
from roadmap.rules.signals import kpi_signal, risk_signal, schedule_signal
from roadmap.sayings import all_said
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report

__all__ = ["roadmap"]
ON, RISK, OFF = KpiStatus.ON_TARGET, KpiStatus.AT_RISK, KpiStatus.OFF_TARGET
NO_DATA, NO_TARGET = KpiStatus.NO_DATA, KpiStatus.NO_TARGET


@pytest.fixture
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.mark.parametrize(
    ("statuses", "tone", "reason"),
    [
        ([], "off", "No KPI measures latency."),
        ([("p95", NO_TARGET)], "none", "p95: no target is set."),
        ([("p95", ON), ("p99", NO_TARGET)], "green", "p95: on target."),
        ([("p95", ON), ("p99", NO_DATA)], "off", "p99: no data in the month."),
        ([("p95", RISK), ("p99", NO_DATA)], "amber", "p95: at risk."),
        ([("a", OFF), ("b", OFF), ("c", OFF), ("d", RISK)], "red", "a, b and 1 more: off target."),
    ],
    ids=["none", "no-target", "good", "unknown-is-no-green", "at-risk", "worst-wins"],
)
def test_a_light_is_the_worst_of_its_kpis(statuses, tone, reason):
    signal = kpi_signal("latency", statuses)
    assert (signal.tone, signal.reason) == (tone, reason)


def test_the_light_of_risk_is_the_largest():
    assert [risk_signal([("x", 1), ("y", score)]).tone for score in (7, 8, 14, 15)] == [
        "green",
        "amber",
        "amber",
        "red",
    ]
    assert risk_signal([]).word == "Not measured"


def test_the_light_of_the_schedule():
    assert schedule_signal(None, is_running=True).tone == "green"
    assert schedule_signal(None, is_running=False).tone == "off"
    assert schedule_signal(Finding("red", "The gate is 3 days overdue."), is_running=True).word == "Red"


def lights(report: Report) -> dict[str, tuple[str, str]]:
    rows = section_value(report.payload, "signals")["rows"]
    words = {None: "", **{tone: str(word) for tone, word in LIGHTS.items()}}
    return {row["signal"]: (words[row["tone"]], words[row["tone_before"]]) for row in rows}


@pytest.mark.usefixtures("_november")
class TestInTheReport:
    def test_last_months_stand_beside_as_they_were_published(self, roadmap, adam):
        Risk.objects.create(roadmap=roadmap, name="Wrong answers", likelihood=3, impact=3)
        Risk.objects.update(created_at=datetime(2026, 9, 2, tzinfo=UTC))
        close_month(Asker(adam), date(2026, 9, 1))
        Risk.objects.update(impact=5)
        close_month(Asker(adam), MONTH)
        assert lights(Report.objects.get(roadmap=roadmap, month=date(2026, 9, 1)))["risk"] == ("Amber", "")
        assert lights(roadmap_report(roadmap))["risk"] == ("Red", "Amber")

    def test_what_is_late_at_the_months_end_is_late_in_its_report(self, roadmap, adam):
        poc = roadmap.phases.get(kind="poc")
        poc.milestones.all().delete()
        dates = {"baseline_due_on": date(2026, 10, 20), "state": "open"}
        poc.milestones.create(name="Late", due_on=date(2026, 10, 20), **dates)
        poc.milestones.create(name="Due in November", due_on=date(2026, 11, 2), **dates)
        poc.milestones.create(
            name="Done later", due_on=date(2026, 10, 21), done_on=date(2026, 11, 3),
            baseline_due_on=date(2026, 10, 21), state="done",
        )  # fmt: skip
        close_month(Asker(adam), MONTH)
        rows = section_value(roadmap_report(roadmap).payload, "signals")["rows"]
        assert (LIGHTS[rows[0]["tone"]], all_said(rows[0]["reasons"])) == ("Amber", "2 milestones are late.")

    def test_the_three_that_moved_and_the_rest_are_the_change(self, roadmap, adam):
        # By hand: usage 10.00 in September; in October 30.00 for three times the requests, and an entry of 310.
        push(roadmap, datetime(2026, 9, 3, 10, tzinfo=UTC), requests=10, cost="10.00")
        push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=30, cost="30.00")
        CostEntry.objects.create(
            roadmap=roadmap, name="Licences", category="licences", amount=Decimal(310), currency="USD",
            start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
        )  # fmt: skip
        close_month(Asker(adam), MONTH)
        moved = section_value(roadmap_report(roadmap).payload, "movers")
        assert (moved["before"], moved["value"], moved["amount"], moved["rest"]) == ("10", "340", "330", None)
        assert [(row["cause"], row["amount"], row["one_off"], row["continuing"]) for row in moved["rows"]] == [
            ("cost_entries", "310", "310", "0"),
            ("volume", "20", "0", "20"),
        ]
        assert moved["rows"][1]["drivers"] == [{"provider": "openai", "model": "gpt-4.1", "amount": "20"}]
        money = section_value(roadmap_report(roadmap).payload, "money")
        assert money["total"] == moved["value"]

    def test_another_roadmaps_spend_is_not_in_it(self, roadmap, adam):
        from roadmap.actions.roadmaps import make_roadmap

        other = make_roadmap(Asker(adam), name="Other", owner=adam, start_on=date(2026, 9, 1), budgets={})
        push(other, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=30, cost="30.00")
        close_month(Asker(adam), MONTH)
        assert section_value(roadmap_report(roadmap).payload, "movers") is None
