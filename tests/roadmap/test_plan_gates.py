"""Gates: criteria live, a decision with frozen evidence, and what each outcome does."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from metrics.errors import RuleViolation
from roadmap.actions.checklists import tick_checklist_item
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.gates import Condition, add_criterion, change_gate, decide_gate, may_decide, remove_criterion
from roadmap.actions.kpis import add_kpi, change_kpi, record_reading
from roadmap.actions.milestones import add_milestone
from roadmap.kpi import KpiValue
from roadmap.models import CostEntry, Gate, GateDecision, Kpi, Milestone, Phase
from roadmap.queries.gate_state import criteria_of, is_intact
from roadmap.queries.kpi_values import kpi_values
from roadmap.rules.gates import sha256_of

DAY = timedelta(days=1)


def refused(code: str):
    """Expects a RuleViolation with this code."""
    return pytest.raises(RuleViolation, check=lambda error: error.code == code)


@pytest.fixture
def slim(gate, alice, asker):
    """The gate with two criteria: a read KPI on target (at least 10) and one ticked item."""
    gate.criteria.all().delete()
    kpi = add_kpi(asker(alice), gate.phase, name="Answers used", direction="higher", target=Decimal(10), unit="%")
    item = gate.phase.checklist.first()
    add_criterion(asker(alice), gate, subject=kpi)
    add_criterion(asker(alice), gate, subject=item)
    return gate


def meet(gate, asker, alice, value=12):
    record_reading(asker(alice), gate.phase.kpis.get(name="Answers used"), at=timezone.now(), value=Decimal(value))
    tick_checklist_item(asker(alice), gate.phase.checklist.first())


def decide(asker, person, gate, outcome, **fields):
    return decide_gate(asker(person), gate, outcome=outcome, reason="Because.", values_of=kpi_values, **fields)


def test_a_tick_is_of_the_local_day_of_the_reporting_zone(slim, alice, asker, settings):
    settings.REPORTING_ZONE = ZoneInfo("Asia/Seoul")
    tick_checklist_item(asker(alice), slim.phase.checklist.first())
    slim.phase.checklist.filter(is_done=True).update(done_at=datetime(2026, 11, 30, 15, 30, tzinfo=UTC))
    _kpi, tick = criteria_of([slim], values={}, today=date(2026, 12, 2))[slim.pk]
    assert (tick.kind, tick.done_on) == ("checklist", date(2026, 12, 1))


def test_criteria_stand_live(slim, alice, asker, today):
    def results():
        values = {slim.phase_id: kpi_values(slim.phase)}
        return [item.result.value for item in criteria_of([slim], values=values, today=today)[slim.pk]]

    assert results() == ["no_data", "not_met"]
    meet(slim, asker, alice, value=9)
    assert results() == ["not_met", "met"]
    meet(slim, asker, alice, value=10)
    assert results() == ["met", "met"]


def test_a_measured_criterion_asks_for_a_sample_and_no_target(gate, today):
    kpi = gate.phase.kpis.get(measure="quality")
    value = KpiValue(Decimal("0.9"), "0-1", sample=250).judged(
        baseline=None, target=None, direction="higher", minimum_sample=200
    )
    few = KpiValue(Decimal("0.9"), "0-1", sample=199).judged(
        baseline=None, target=None, direction="higher", minimum_sample=200
    )
    for given, result in ((value, "met"), (few, "no_data")):
        states = criteria_of([gate], values={gate.phase_id: {kpi.pk: given}}, today=today)[gate.pk]
        assert next(item.result for item in states if item.subject_id == kpi.pk and item.kind == "kpi") == result


def test_go_closes_the_phase_and_opens_the_next(slim, plan, alice, adam, asker, today):
    meet(slim, asker, alice)
    change_kpi(asker(alice), slim.phase.kpis.get(name="Answers used"), baseline=Decimal(2))
    before = AuditEvent.objects.count()
    decision = decide(asker, adam, slim, "go")
    assert AuditEvent.objects.count() == before + 1
    poc, scale_up, optimise = plan.phases.order_by("position")
    assert (poc.state, poc.ended_on) == ("closed", today)
    assert (scale_up.state, scale_up.started_on) == ("active", today + DAY)
    assert scale_up.planned_start_on == today + DAY
    assert scale_up.baseline_start_on > today + DAY
    assert optimise.planned_start_on == scale_up.planned_end_on + DAY
    assert decision.decided_by == adam
    carried = scale_up.kpis.get(name="Answers used")
    assert (carried.target, carried.baseline, carried.carried_from.phase) == (10, 2, poc)
    quality = scale_up.kpis.get(measure="quality")
    assert quality.carried_from == poc.kpis.get(measure="quality")
    assert scale_up.kpis.filter(is_value=True).count() == 1


def test_the_evidence_is_frozen_with_its_hash(slim, alice, adam, asker):
    meet(slim, asker, alice)
    decision = decide(asker, adam, slim, "go")
    record_reading(asker(alice), slim.phase.kpis.get(name="Answers used"), at=timezone.now(), value=Decimal(1))
    kept = GateDecision.objects.get(pk=decision.pk)
    assert is_intact(kept)
    assert kept.evidence_sha256 == sha256_of(kept.evidence)
    criterion = kept.evidence["criteria"][0]
    assert (criterion["value"], criterion["target"], criterion["result"]) == ("12", "10", "met")
    assert criterion["window"]["start_on"] < criterion["window"]["end_before"]
    kept.evidence["criteria"][0]["value"] = "13"
    assert is_intact(kept) is False


def test_go_needs_every_must_and_no_should(slim, alice, adam, asker):
    with refused("criteria_not_met"):
        decide(asker, adam, slim, "go")
    meet(slim, asker, alice)
    should = add_criterion(asker(alice), slim, subject=slim.phase.milestones.first(), is_must=False)
    decision = decide(asker, adam, slim, "go")
    assert decision.evidence["criteria"][-1]["name"] == str(should)
    assert decision.evidence["criteria"][-1]["result"] == "not_met"


def test_conditions_become_milestones_of_the_next_phase(slim, plan, alice, bob, adam, asker, today):
    due = today + 30 * DAY
    decide(asker, adam, slim, "conditional", conditions=[Condition("Overrides under 25", due, bob)])
    made = Milestone.objects.get(is_condition=True)
    assert (made.name, made.due_on, made.owner) == ("Overrides under 25", due, bob)
    assert made.phase.kind == "scale_up"


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (None, "conditions_missing"),
        (("", 1, True), "missing"),
        (("x", -1, True), "condition_in_past"),
        (("x", 1, False), "condition_without_owner"),
    ],
)
def test_it_refuses_conditions_that_bind_nobody(slim, adam, bob, asker, today, condition, code):
    conditions = []
    if condition:
        name, days, has_owner = condition
        conditions = [Condition(name, today + days * DAY, bob if has_owner else None)]
    with refused(code):
        decide(asker, adam, slim, "conditional", conditions=conditions)
    assert not GateDecision.objects.exists()


def test_hold_keeps_the_phase_open_and_can_be_decided_again(slim, plan, alice, adam, asker, today):
    late = slim.phase.planned_end_on + 20 * DAY
    decide(asker, adam, slim, "hold", new_due_on=late)
    slim.refresh_from_db()
    poc, scale_up, _ = plan.phases.order_by("position")
    assert (poc.state, slim.due_on, poc.planned_end_on) == ("active", late, late)
    assert slim.baseline_due_on == poc.baseline_end_on < late
    assert scale_up.planned_start_on == late + DAY
    meet(slim, asker, alice)
    decide(asker, adam, slim, "go")
    assert [item.outcome for item in slim.decisions.all()] == ["go", "hold"]
    with refused("already_decided"):
        decide(asker, adam, slim, "stop")


def test_stop_asks_about_each_later_cost_entry(slim, plan, alice, adam, asker, today):
    def enter(name, start, end=None):
        return add_cost_entry(
            asker(alice),
            slim.phase,
            name=name,
            category="people",
            amount=Decimal(300),
            start_on=today + start * DAY,
            end_on=None if end is None else today + end * DAY,
        )

    past, running, kept, later = enter("past", -5), enter("running", -9, 20), enter("kept", -1, 5), enter("later", 3)
    with refused("late_cost_undecided"):
        decide(asker, adam, slim, "stop", late_costs={running.pk: "end"})
    choices = {running.pk: "end", kept.pk: "keep", later.pk: "remove"}
    decide(asker, adam, slim, "stop", late_costs=choices)
    plan.refresh_from_db()
    assert plan.state == "stopped"
    assert Phase.objects.get(pk=slim.phase_id).state == "closed"
    running.refresh_from_db()
    # 300 over 30 days, ended on the tenth.
    assert (running.amount, running.end_on) == (100, today)
    assert set(CostEntry.objects.values_list("name", flat=True)) == {"past", "running", "kept"}
    assert CostEntry.objects.get(pk=kept.pk).end_on == today + 5 * DAY
    assert CostEntry.objects.get(pk=past.pk).amount == 300


def test_the_last_go_takes_the_roadmap_live(plan, adam, asker, today):
    poc, scale_up, optimise = plan.phases.order_by("position")
    closed = {"state": "closed"}
    Phase.objects.filter(pk=poc.pk).update(ended_on=today - 30 * DAY, **closed)
    Phase.objects.filter(pk=scale_up.pk).update(started_on=today - 29 * DAY, ended_on=today - 20 * DAY, **closed)
    Phase.objects.filter(pk=optimise.pk).update(state="active", started_on=today - 19 * DAY)
    gate = Gate.objects.select_related("phase__roadmap__workload").get(phase=optimise)
    gate.criteria.all().delete()
    decide(asker, adam, gate, "go")
    plan.refresh_from_db()
    assert plan.state == "live"
    assert set(plan.phases.values_list("state", flat=True)) == {"closed"}


class TestWhoDecides:
    def test_the_phases_owner_never_does(self, slim, alice, adam, asker):
        meet(slim, asker, alice)
        with pytest.raises(PermissionDenied, match="owner"):
            decide(asker, alice, slim, "go")
        Phase.objects.filter(pk=slim.phase_id).update(owner=adam)
        with pytest.raises(PermissionDenied, match="owner"):
            decide(asker, adam, slim, "go")

    def test_without_a_gatekeeper_any_other_manager_does(self, slim, plan, bob, vera, oscar, asker):
        assert not any(may_decide(asker(person), slim) for person in (bob, vera, oscar))
        Membership.objects.filter(user=bob, workload=plan.workload).update(role="manager")
        assert may_decide(asker(bob), slim)

    def test_a_named_gatekeeper_does_and_other_managers_do_not(self, slim, plan, alice, bob, erin, adam, asker):
        Membership.objects.filter(user=bob, workload=plan.workload).update(role="manager")
        change_gate(asker(alice), slim, gatekeeper=erin)
        slim.refresh_from_db()
        assert may_decide(asker(erin), slim)
        assert may_decide(asker(adam), slim)
        assert not may_decide(asker(bob), slim)
        meet(slim, asker, alice)
        assert decide(asker, erin, slim, "go").decided_by == erin

    def test_the_owner_cannot_be_named(self, slim, alice, asker):
        with refused("gatekeeper_is_owner"):
            change_gate(asker(alice), slim, gatekeeper=alice)


class TestCriteria:
    def test_a_gate_asks_once_and_for_its_own_phase(self, slim, plan, alice, asker, today):
        kpi = slim.phase.kpis.get(name="Answers used")
        with refused("already_criterion"):
            add_criterion(asker(alice), slim, subject=kpi)
        other = add_milestone(asker(alice), plan.phases.get(kind="optimise"), name="x", due_on=today)
        with refused("other_phase"):
            add_criterion(asker(alice), slim, subject=other)
        remove_criterion(asker(alice), slim.criteria.get(kpi=kpi))
        assert not slim.criteria.filter(kpi=kpi).exists()
        assert Kpi.objects.filter(pk=kpi.pk).exists()


def test_a_planned_phase_has_nothing_to_decide(plan, adam, asker):
    with refused("already_decided"):
        decide(asker, adam, plan.phases.get(kind="scale_up").gate, "stop")


@pytest.mark.django_db(transaction=True)
def test_two_decisions_at_once_leave_one(plan, adam, asker):
    gate = plan.phases.get(kind="poc").gate
    gate.criteria.all().delete()
    start, outcomes = threading.Barrier(2), []

    def run():
        try:
            mine = Gate.objects.select_related("phase__roadmap__workload").get(pk=gate.pk)
            start.wait(timeout=10)
            decide(asker, adam, mine, "go")
            outcomes.append("decided")
        except RuleViolation as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(outcomes) == ["already_decided", "decided"]
    assert GateDecision.objects.count() == 1
    assert Phase.objects.filter(roadmap=plan, state="active").count() == 1
