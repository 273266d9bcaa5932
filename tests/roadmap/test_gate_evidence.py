"""After the decision: evidence that nothing alters, what changed since then, and taking a decision back."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.access import Asker
from accounts.models import AuditEvent
from accounts.tokens import make_token
from metrics.actions.usage import accept_usage
from metrics.errors import RuleViolation
from metrics.formats import DECODERS
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.gates import add_criterion, decide_gate
from roadmap.actions.kpis import add_kpi, change_kpi, delete_kpi, record_reading
from roadmap.actions.undoing import undo_decision
from roadmap.models import GateDecision
from roadmap.queries.gate_state import is_intact
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.since_then import since_then

D = Decimal
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def reported_in_euros(settings):
    settings.REPORTING_CURRENCY = "EUR"


@pytest.fixture
def documents(poc, gate, alice, asker, push_usage):
    """A gate on three KPIs: documents read (60 of at least 50), spend (90.00 EUR under 100), and spend per document."""
    gate.criteria.all().delete()
    poc.kpis.all().delete()
    a = asker(alice)
    read = add_kpi(a, poc, name="Documents", direction="higher", combine="sum", window_days=None, target=D(50))
    spend = add_kpi(a, poc, name="Spend", measure="spend", window_days=None, target=D(100), baseline=D(500))
    each = add_kpi(
        a, poc, name="Each", formula="spend / documents", direction="lower", window_days=None, target=D(2), unit="EUR"
    )
    for kpi in (read, spend, each):
        add_criterion(a, gate, subject=kpi)
    record_reading(a, read, at=timezone.now() - 5 * DAY, value=D(60))
    push_usage(cost="90.00", at=timezone.now() - 6 * DAY)
    return read, spend, each


@pytest.fixture
def push_usage(poc, bob):
    """`push_usage(cost=, at=)`: one stated cost in EUR of the roadmap, through the push's own door."""
    token, _ = make_token(name="ci", owner=bob, scopes=["push"], workload=poc.roadmap.workload)

    def push(*, cost: str, at) -> None:
        record = {"timestamp": at.isoformat(), "model": "m", "cost": cost, "currency": "EUR", "input_tokens": 1000}
        accept_usage(
            Asker(user=bob, token=token),
            token=token,
            body=json.dumps({"records": [record]}).encode(),
            decode=DECODERS["application/json"],
            path="/api/v1/usage",
            idempotency_key=None,
            see=lambda slug: str(slug),
        )

    return push


@pytest.fixture
def decided(documents, gate, adam, asker) -> GateDecision:
    return decide_gate(asker(adam), gate, outcome="go", reason="It holds.", values_of=kpi_values)


def test_the_evidence_says_where_each_figure_comes_from(decided):
    criteria = {item["name"]: item for item in decided.evidence["criteria"]}
    assert {name: item["value"] for name, item in criteria.items()} == {"Documents": "60", "Spend": "90", "Each": "1.5"}
    assert criteria["Spend"]["definition"].startswith("usage spend")
    assert criteria["Spend"]["sample"] == 1
    assert criteria["Each"]["measure"] == "formula"
    assert criteria["Each"]["definition"] == "spend / documents"
    assert criteria["Each"]["basis"] == "Documents 60; Spend 90"
    assert criteria["Documents"]["definition"] == "Sum of the readings"
    (source,) = decided.evidence["sources"]
    assert source["connector"] == "push_only"
    assert source["data_until"]
    assert decided.evidence["time_zone"] == "UTC"
    assert decided.evidence["as_of"]


def test_late_data_leaves_the_evidence_and_shows_since_then(decided, gate, documents, push_usage, adam, sign_in):
    assert [row.word for row in since_then(decided)] == ["Same", "Same", "Same"]
    kept = (dict(decided.evidence), decided.evidence_sha256)
    push_usage(cost="31.00", at=timezone.now() - 3 * DAY)
    decided.refresh_from_db()
    assert (decided.evidence, decided.evidence_sha256) == kept
    assert is_intact(decided)
    rows = {row.name: row for row in since_then(decided)}
    assert rows["Documents"].word == "Same"
    assert (rows["Spend"].then, rows["Spend"].now, rows["Spend"].word) == (90, 121, "No longer met")
    assert rows["Each"].word == "No longer met"
    page = sign_in(adam).get(gate.get_absolute_url()).content.decode()
    assert "2 of 3 figures have changed" in page
    assert "Evidence matches its hash" in page
    out = StringIO()
    call_command("verify_decisions", stdout=out)
    assert out.getvalue() == "1 decisions match their hash.\n"


def test_what_is_measured_otherwise_today_is_said_and_not_compared(decided, documents, poc, alice, asker):
    _, spend, each = documents
    change_kpi(asker(alice), each, formula="spend / documents / 2")
    for criterion in poc.gate.criteria.filter(kpi=spend):
        criterion.delete()
    change_kpi(asker(alice), each, formula="documents * 2")
    delete_kpi(asker(alice), spend)
    assert {row.name: row.text for row in since_then(decided)} == {
        "Documents": "60",
        "Spend": "the KPI is gone",
        "Each": "measured otherwise today",
    }


def test_the_database_itself_refuses_to_change_or_delete_a_decision(decided):
    for sql in (
        "UPDATE roadmap_gatedecision SET reason = 'another'",
        "UPDATE roadmap_gatedecision SET evidence = '{}'",
        "DELETE FROM roadmap_gatedecision",
    ):
        with pytest.raises(DatabaseError, match="a decision cannot be"), transaction.atomic():
            connection.cursor().execute(sql)


def test_the_command_names_what_was_tampered_with(decided):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE roadmap_gatedecision DISABLE TRIGGER decision_is_frozen")
        cursor.execute("UPDATE roadmap_gatedecision SET evidence = jsonb_set(evidence, '{criteria,0,value}', '\"61\"')")
        cursor.execute("ALTER TABLE roadmap_gatedecision ENABLE TRIGGER decision_is_frozen")
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 1 decisions do not match"):
        call_command("verify_decisions", stdout=out)
    assert str(decided.uuid) in out.getvalue()


class TestTakingADecisionBack:
    def undo(self, asker, person, gate, **fields):
        given = {"reason": "Too early.", "new_due_on": timezone.localdate() + 30 * DAY} | fields
        return undo_decision(asker(person), gate, values_of=kpi_values, **given)

    def test_it_is_a_new_decision_that_reopens_the_phase(self, decided, gate, plan, adam, asker, today):
        undone = self.undo(asker, adam, gate)
        assert (undone.outcome, undone.undoes) == ("hold", decided)
        assert undone.evidence["decision"]["undoes"] == {"id": str(decided.uuid), "sha256": decided.evidence_sha256}
        assert is_intact(undone)
        poc, following = plan.phases.get(kind="poc"), plan.phases.get(kind="scale_up")
        assert (poc.state, poc.ended_on) == ("active", None)
        assert (following.state, following.started_on) == ("planned", None)
        assert following.planned_start_on > poc.planned_end_on
        gate.refresh_from_db()
        assert gate.due_on == today + 30 * DAY
        event = AuditEvent.objects.get(action="undo_decision")
        assert event.after["undoes"] == str(decided.uuid)
        # And it can be decided again, with the KPIs carried over once.
        decide_gate(asker(adam), gate, outcome="go", reason="Now.", values_of=kpi_values)
        assert following.kpis.filter(name="Documents").count() == 1

    def test_a_stop_is_taken_back_too(self, documents, gate, plan, adam, asker):
        decide_gate(asker(adam), gate, outcome="stop", reason="No.", values_of=kpi_values)
        self.undo(asker, adam, gate)
        plan.refresh_from_db()
        assert plan.state == "active"
        assert plan.phases.get(kind="poc").state == "active"

    def test_only_who_may_decide_may(self, decided, gate, alice, bob, asker):
        for person in (alice, bob):
            with pytest.raises(PermissionDenied):
                self.undo(asker, person, gate)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"reason": " "}, "missing"),
            ({"new_due_on": None}, "new_date_missing"),
            ({"new_due_on": timezone.localdate() - DAY}, "new_date_in_past"),
        ],
    )
    def test_bad_input(self, decided, gate, adam, asker, fields, code):
        with pytest.raises(RuleViolation) as refused:
            self.undo(asker, adam, gate, **fields)
        assert refused.value.code == code

    def test_nothing_twice_and_nothing_below_a_later_decision(self, decided, gate, plan, adam, alice, asker):
        later = plan.phases.get(kind="scale_up")
        later.started_on = timezone.localdate()
        plan.phases.filter(kind="poc").update(ended_on=timezone.localdate() - DAY)
        later.save()
        later.gate.criteria.all().delete()
        decide_gate(asker(adam), later.gate, outcome="go", reason="On.", values_of=kpi_values)
        with pytest.raises(RuleViolation, match="Scale-up has been decided since"):
            self.undo(asker, adam, gate)
        self.undo(asker, adam, later.gate)
        self.undo(asker, adam, gate)
        with pytest.raises(RuleViolation, match="No decision that closed this phase"):
            self.undo(asker, adam, gate)

    def test_by_form_and_over_rest(self, decided, gate, adam, alice, sign_in, api, today):
        client = sign_in(adam)
        assert "Take this decision back" in client.get(gate.get_absolute_url()).content.decode()
        url = reverse("gate_undo", args=[gate.pk])
        assert client.post(url, {"undo-reason": "", "undo-new_due_on": "soon"}).status_code == 422
        given = {"undo-reason": "Too early", "undo-new_due_on": str(today + 9 * DAY)}
        page = client.post(url, given, follow=True).content.decode()
        assert "is taken back by this one" in page
        assert "Evidence matches its hash" in page
        refused = api(adam, scopes=["manage"]).post(
            f"/api/v1/gates/{gate.pk}/undo", {"reason": "x", "new_due_on": str(today + 9 * DAY)}, format="json"
        )
        assert refused.status_code == 422
        detail = api(adam, scopes=["manage"]).get(f"/api/v1/gates/{gate.pk}").json()
        assert [item["outcome"] for item in detail["decisions"]] == ["hold", "go"]
        assert detail["decisions"][0]["undoes"] == str(decided.uuid)
        assert detail["since_then"] == []
        assert sign_in(alice).post(url, given).status_code == 403


def test_rest_says_what_changed_since_then(decided, gate, push_usage, vera, api):
    push_usage(cost="5.00", at=timezone.now() - 3 * DAY)
    rows = api(vera, scopes=["read"]).get(f"/api/v1/gates/{gate.pk}").json()["since_then"]
    assert [(row["name"], row["is_changed"]) for row in rows] == [("Documents", False), ("Spend", True), ("Each", True)]
    assert D(rows[1]["now"]) == 95


def test_a_cost_entry_that_comes_late_counts_since_then(decided, gate, poc, alice, asker, today):
    add_cost_entry(asker(alice), poc, name="People", category="people", amount=D(40), start_on=today - 4 * DAY)
    assert {row.name: row.now for row in since_then(decided)}["Spend"] == 130
