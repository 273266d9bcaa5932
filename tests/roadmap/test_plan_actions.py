"""What people do with a plan: each action once, with its audit row, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from metrics.errors import RuleViolation
from metrics.models import Allocation, Backend, RateCard, Series
from roadmap.actions.cost_entries import add_cost_entry, change_cost_entry
from roadmap.actions.kpis import NewReading, add_kpi, change_kpi, delete_kpi, record_readings
from roadmap.actions.milestones import (
    add_milestone,
    change_milestone,
    delete_milestone,
    drop_milestone,
    reopen_milestone,
    tick_milestone,
)
from roadmap.actions.people import remove_membership, set_membership
from roadmap.actions.phases import change_phase, start_phase
from roadmap.actions.risks import add_risk, close_risk
from roadmap.actions.roadmaps import Middle, PassedPhase, change_roadmap, ensure_first_roadmap, make_roadmap, set_state
from roadmap.models import CostEntry, GateDecision, Milestone, Phase, Roadmap

DAY = timedelta(days=1)


def refused(code: str):
    """Expects a RuleViolation with this code."""
    return pytest.raises(RuleViolation, check=lambda error: error.code == code)


class TestRoadmaps:
    def test_it_fills_a_roadmap_from_the_template(self, plan, today):
        phases = list(plan.phases.order_by("position"))
        assert [phase.kind for phase in phases] == ["poc", "scale_up", "optimise"]
        assert [phase.state for phase in phases] == ["active", "planned", "planned"]
        assert phases[0].started_on == today - 40 * DAY
        assert phases[1].planned_start_on == phases[0].planned_end_on + DAY
        assert plan.state == "active"
        assert plan.slug == "contact-centre"
        for phase in phases:
            assert phase.milestones.count() >= 6
            assert phase.checklist.count() >= 9
            assert phase.gate.criteria.count() >= 6
            assert phase.gate.due_on == phase.planned_end_on
            for milestone in phase.milestones.all():
                assert phase.planned_start_on <= milestone.due_on == milestone.baseline_due_on <= phase.planned_end_on
        assert plan.risks.count() == 6
        assert Membership.objects.get(workload=plan.workload, user=plan.owner).role == "manager"

    def test_it_writes_one_audit_row(self, plan):
        assert AuditEvent.objects.filter(workload=plan.workload).count() == 1

    def test_it_takes_the_kpis_of_the_unit_of_work(self, adam, asker):
        names = {}
        for unit in ("token", "image"):
            made = make_roadmap(asker(adam), name=unit, owner=adam, unit_of_work=unit)
            names[unit] = set(made.phases.get(kind="poc").kpis.values_list("measure", flat=True))
            subjects = [str(item) for item in made.phases.get(kind="poc").gate.criteria.all()]
            assert len(subjects) == 6
        assert "cost_per_million_tokens" in names["token"] - names["image"]
        assert "cost_per_1000_units" in names["image"] - names["token"]

    def test_one_that_starts_later_is_proposed(self, adam, asker, today):
        made = make_roadmap(asker(adam), name="Later", owner=adam, start_on=today + DAY)
        assert made.state == "proposed"
        assert set(made.phases.values_list("state", flat=True)) == {"planned"}

    def test_slugs_stay_free_of_one_another_and_of_pages(self, adam, asker):
        slugs = [make_roadmap(asker(adam), name=name, owner=adam).slug for name in ("New", "New", "日本", "a__b--c")]
        assert slugs == ["new-2", "new-3", "roadmap", "a-b-c"]
        with refused("slug_taken"):
            make_roadmap(asker(adam), name="x", owner=adam, slug="new-2")
        with refused("invalid"):
            make_roadmap(asker(adam), name="x", owner=adam, slug="Not A Slug")

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"name": "  "}, "missing"),
            ({"template": "nonsense"}, "unknown_template"),
            ({"months": [0, 1, 1]}, "phase_length"),
            ({"months": [1, 1]}, "phase_length"),
            ({"currency": "EURO"}, "unknown_currency"),
            ({"currency": "XXX"}, "unknown_currency"),
            ({"budgets": {"poc": Decimal(-1)}}, "negative_budget"),
            ({"start_on": datetime(1926, 1, 1, tzinfo=UTC).date()}, "date_out_of_range"),
            ({"risk_class": "huge"}, "invalid"),
            ({"business_unit": "x" * 121}, "invalid"),
        ],
    )
    def test_it_refuses_in_words_and_keeps_nothing(self, adam, asker, fields, code):
        with refused(code):
            make_roadmap(asker(adam), **{"name": "x", "owner": adam, **fields})
        assert not Roadmap.objects.exists()

    def test_who_manages_nothing_makes_nothing(self, bob, vera, erin, asker):
        for person in (bob, vera, erin):
            with pytest.raises(PermissionDenied):
                make_roadmap(asker(person), name="x", owner=person)

    def test_it_changes_what_it_is(self, plan, alice, asker):
        change_roadmap(asker(alice), plan, name="Call centre", programme="Customer", risk_class="high")
        plan = Roadmap.objects.get(pk=plan.pk)
        assert (plan.name, plan.programme.name, plan.risk_class) == ("Call centre", "Customer", "high")
        event = AuditEvent.objects.filter(action="change_roadmap").get()
        assert event.before["name"] == "Contact centre"

    def test_it_pauses_and_goes_on(self, plan, alice, asker):
        set_state(asker(alice), plan, state="paused")
        set_state(asker(alice), plan, state="active")
        with refused("state_change"):
            set_state(asker(alice), plan, state="live")

    def test_the_first_roadmap_is_made_once(self, adam):
        first = ensure_first_roadmap(adam)
        assert ensure_first_roadmap(adam).pk == first.pk
        assert first.slug == "my-first-roadmap"

    def test_the_command_prints_the_slug_last(self, adam, capsys):
        call_command("first_roadmap")
        call_command("first_roadmap")
        assert capsys.readouterr().out.splitlines()[-1] == "my-first-roadmap"
        assert Roadmap.objects.count() == 1

    def test_the_command_needs_an_admin(self, bob):
        with pytest.raises(CommandError, match="no admin"):
            call_command("first_roadmap")


class TestTheMiddle:
    def middle(self, today, **fields):
        return Middle(
            **{
                "kind": "scale_up",
                "started_on": today - 100 * DAY,
                "passed": (
                    PassedPhase("poc", today - 300 * DAY, today - 101 * DAY, "conditional", "Ilse", today - 110 * DAY),
                ),
                "opening_amount": Decimal(3000),
                **fields,
            }
        )

    def test_it_starts_where_it_stands(self, adam, asker, today):
        made = make_roadmap(asker(adam), name="Old", owner=adam, middle=self.middle(today), currency="EUR")
        poc, scale_up, optimise = made.phases.order_by("position")
        assert (poc.state, scale_up.state, optimise.state) == ("closed", "active", "planned")
        assert (poc.started_on, poc.ended_on) == (today - 300 * DAY, today - 101 * DAY)
        assert poc.milestones.count() == 0
        assert all(item.due_on > today for item in scale_up.milestones.all())
        decision = GateDecision.objects.get(gate__phase=poc)
        assert decision.is_recorded_later
        assert decision.evidence is None
        assert (decision.decided_by_name, decision.decided_on) == ("Ilse", today - 110 * DAY)
        entry = made.cost_entries.get()
        assert (entry.category, entry.amount) == ("opening_balance", 3000)
        assert (entry.start_on, entry.end_on) == (today - 300 * DAY, today - DAY)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"passed": ()}, "dates_missing"),
            ({"kind": "poc"}, "dates_unused"),
            ({"kind": "nonsense"}, "unknown_phase"),
            ({"started_on": 1}, "starts_in_future"),
            ({"started_on": -200}, "phases_overlap"),
            ({"planned_end_on": -101}, "ends_before_it_starts"),
            ({"opening_amount": Decimal(-1)}, "negative_amount"),
        ],
    )
    def test_it_refuses_what_makes_no_sense(self, adam, asker, today, fields, code):
        fields = {key: today + value * DAY if isinstance(value, int) else value for key, value in fields.items()}
        with refused(code):
            make_roadmap(asker(adam), name="Old", owner=adam, middle=self.middle(today, **fields))
        assert not Roadmap.objects.exists()


class TestPhases:
    def test_a_longer_phase_stretches_what_is_open_and_keeps_what_was_promised(self, plan, poc, alice, asker, today):
        done, open_one = poc.milestones.order_by("due_on")[0], poc.milestones.order_by("-due_on")[0]
        tick_milestone(asker(alice), done, done_on=today)
        change_phase(asker(alice), poc, planned_end_on=poc.planned_end_on + 60 * DAY, move_later=True)
        moved = Milestone.objects.get(pk=open_one.pk)
        assert moved.due_on > open_one.due_on
        assert moved.baseline_due_on == open_one.baseline_due_on
        assert Milestone.objects.get(pk=done.pk).due_on == done.due_on
        changed = Phase.objects.get(pk=poc.pk)
        assert changed.gate.due_on == changed.planned_end_on == poc.planned_end_on + 60 * DAY
        assert changed.gate.baseline_due_on == changed.baseline_end_on == poc.planned_end_on
        following = plan.phases.get(kind="scale_up")
        assert following.planned_start_on == changed.planned_end_on + DAY

    def test_it_refuses_an_overlap_unless_the_rest_moves(self, plan, poc, alice, asker):
        with refused("phases_overlap"):
            change_phase(asker(alice), poc, planned_end_on=poc.planned_end_on + DAY)
        assert Phase.objects.get(pk=poc.pk).planned_end_on == poc.planned_end_on

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"planned_end_on": -100}, "ends_before_it_starts"),
            ({"started_on": 1}, "starts_in_future"),
            ({"budget_amount": Decimal(-1)}, "negative_budget"),
            ({"budget_currency": "E"}, "unknown_currency"),
        ],
    )
    def test_it_refuses_what_makes_no_sense(self, poc, alice, asker, today, changes, code):
        changes = {key: today + value * DAY if type(value) is int else value for key, value in changes.items()}
        with refused(code):
            change_phase(asker(alice), poc, **changes)

    def test_growth_has_an_author_and_a_day(self, poc, alice, asker, today):
        changed = change_phase(asker(alice), poc, growth_percent_per_month=Decimal("2.5"))
        assert (changed.growth_set_by, changed.growth_set_on) == (alice, today)

    def test_the_first_phase_starts_and_makes_the_roadmap_active(self, adam, asker, today):
        made = make_roadmap(asker(adam), name="Later", owner=adam, start_on=today + 10 * DAY)
        first = made.phases.get(kind="poc")
        with refused("starts_in_future"):
            start_phase(asker(adam), first, on=today + DAY)
        start_phase(asker(adam), first, on=today)
        made.refresh_from_db()
        first.refresh_from_db()
        assert (made.state, first.state, first.started_on) == ("active", "active", today)
        assert first.baseline_start_on == today + 10 * DAY
        with refused("already_started"):
            start_phase(asker(adam), first, on=today)

    def test_a_later_phase_waits_for_the_gate(self, plan, alice, asker, today):
        with refused("gate_undecided"):
            start_phase(asker(alice), plan.phases.get(kind="scale_up"), on=today)


class TestMilestones:
    def test_the_second_sees_the_firsts_change(self, poc, alice, adam, asker, today):
        milestone = poc.milestones.first()
        seen = milestone.version
        change_milestone(asker(alice), milestone, version=seen, due_on=today + 99 * DAY)
        with pytest.raises(RuleViolation) as conflict:
            change_milestone(asker(adam), milestone, version=seen, name="Other name")
        assert conflict.value.code == "conflict_changed_meanwhile"
        assert "Alice Manager changed this milestone meanwhile" in conflict.value.message
        assert f"due date {today + 99 * DAY} (was {milestone.due_on})" in conflict.value.message
        milestone.refresh_from_db()
        assert milestone.name != "Other name"

    def test_a_contributor_ticks_and_reopens(self, poc, bob, asker, today):
        milestone = poc.milestones.first()
        assert tick_milestone(asker(bob), milestone).done_on == today
        assert tick_milestone(asker(bob), milestone, done_on=today - DAY).done_on == today - DAY
        assert tick_milestone(asker(bob), milestone).done_on == today - DAY
        assert reopen_milestone(asker(bob), milestone).done_on is None

    def test_it_refuses(self, poc, alice, bob, vera, asker, today):
        milestone = poc.milestones.get(name__startswith="Prompts")
        with refused("done_in_future"):
            tick_milestone(asker(alice), milestone, done_on=today + DAY)
        with refused("missing"):
            drop_milestone(asker(alice), milestone, reason=" ")
        with refused("in_use"):
            delete_milestone(asker(alice), milestone)
        with refused("invalid"):
            change_milestone(asker(alice), milestone, name="x" * 201)
        with refused("invalid"):
            change_milestone(asker(alice), milestone, evidence_url="javascript:alert(1)")
        add_milestone(asker(alice), poc, name="Keyed", due_on=today, outside_key="AI-1")
        with refused("already_key_taken"):
            change_milestone(asker(alice), milestone, outside_key="AI-1")
        with pytest.raises(PermissionDenied):
            change_milestone(asker(bob), milestone, name="x")
        with pytest.raises(PermissionDenied):
            tick_milestone(asker(vera), milestone)


class TestKpis:
    def test_the_same_time_again_replaces_and_the_trail_knows(self, poc, bob, asker):
        kpi = poc.kpis.get(is_value=True)
        at = timezone.now() - DAY
        first = record_readings(asker(bob), kpi, [NewReading(at, Decimal(5)), NewReading(at - DAY, Decimal(4))])
        again = record_readings(asker(bob), kpi, [NewReading(at, Decimal(6), "counted again")])
        assert (first.added, first.replaced, again.added, again.replaced) == (2, 0, 0, 1)
        assert kpi.readings.get(at=at).value == 6
        event = AuditEvent.objects.filter(action="record_readings").first()
        assert Decimal(event.before[at.isoformat()]) == 5

    def test_it_refuses_readings(self, poc, bob, asker):
        kpi, now = poc.kpis.get(is_value=True), timezone.now()
        for readings, code in (
            ([], "missing"),
            ([NewReading(now + timedelta(minutes=6), Decimal(1))], "in_future"),
            ([NewReading(now, Decimal("NaN"))], "not_a_number"),
            ([NewReading(now, Decimal(10) ** 25)], "invalid"),
            ([NewReading(now, Decimal(1)), NewReading(now, Decimal(2))], "time_twice"),
            ([NewReading(now - 20_000 * DAY, Decimal(1))], "date_out_of_range"),
        ):
            with refused(code):
                record_readings(asker(bob), kpi, readings)
        with refused("computed"):
            record_readings(asker(bob), poc.kpis.get(measure="quality"), [NewReading(now, Decimal(1))])
        assert not kpi.readings.exists()

    def test_a_computed_kpi_takes_unit_and_direction_from_its_measure(self, poc, alice, asker):
        made = add_kpi(asker(alice), poc, name="Slow", measure="duration_p99")
        assert (made.source, made.unit, made.direction) == ("computed", "s", "lower")

    def test_one_kpi_is_the_value_kpi(self, poc, alice, asker):
        before = poc.kpis.get(is_value=True)
        made = add_kpi(asker(alice), poc, name="Hours saved", direction="higher", is_value=True)
        assert poc.kpis.get(is_value=True) == made
        before.refresh_from_db()
        assert not before.is_value

    def test_it_refuses(self, poc, alice, asker):
        kpi = poc.kpis.get(is_value=True)
        for changes, code in (
            ({"name": "Quality score"}, "already_name_taken"),
            ({"measure": "luck", "source": "computed"}, "unknown_measure"),
            ({"window_days": 400}, "window"),
            ({"rate_amount": Decimal(40)}, "rate_unsourced"),
            ({"rate_currency": "ZZZ"}, "unknown_currency"),
        ):
            with refused(code):
                change_kpi(asker(alice), kpi, **changes)
        with refused("missing"):
            add_kpi(asker(alice), poc, name="No direction")
        with refused("in_use"):
            delete_kpi(asker(alice), poc.kpis.get(measure="quality"))
        delete_kpi(asker(alice), kpi)


class TestCostEntries:
    def test_a_contributor_enters_and_changes(self, plan, poc, bob, asker, today):
        entry = add_cost_entry(
            asker(bob), poc, name="Licences", category="licences", amount=Decimal("99.90"), start_on=today
        )
        assert (entry.roadmap, entry.phase, entry.currency, entry.author) == (plan, poc, "USD", bob)
        assert change_cost_entry(asker(bob), entry, end_on=today + 9 * DAY).end_on == today + 9 * DAY

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"amount": Decimal(0)}, "amount"),
            ({"amount": Decimal(-5)}, "amount"),
            ({"amount": Decimal("1.234")}, "invalid"),
            ({"currency": "EUX"}, "unknown_currency"),
            ({"name": ""}, "missing"),
            ({"category": "bribes"}, "invalid"),
            ({"end_on": -1}, "ends_before_it_starts"),
            ({"end_on": 40_000}, "date_out_of_range"),
        ],
    )
    def test_it_refuses(self, poc, bob, asker, today, fields, code):
        fields = {key: today + value * DAY if type(value) is int else value for key, value in fields.items()}
        given = {"name": "x", "category": "people", "amount": Decimal(1), "start_on": today, **fields}
        with refused(code):
            add_cost_entry(asker(bob), poc, **given)
        assert not CostEntry.objects.exists()

    def test_an_outside_key_is_one_entrys_of_the_roadmap(self, plan, poc, bob, alice, asker, today):
        given = {"category": "people", "amount": Decimal(1), "start_on": today}
        first = add_cost_entry(asker(bob), poc, name="Invoice", outside_key="INV-1", **given)
        second = add_cost_entry(asker(bob), poc, name="Other", **given)
        add_cost_entry(asker(bob), poc, name="None either", **given)
        with pytest.raises(RuleViolation, match="'Invoice' of this roadmap has the key INV-1 already"):
            add_cost_entry(asker(bob), plan.phases.get(kind="scale_up"), name="Again", outside_key="INV-1", **given)
        with refused("already_key_taken"):
            change_cost_entry(asker(bob), second, outside_key="INV-1")
        assert change_cost_entry(asker(bob), first, outside_key="INV-1", amount=Decimal(2)).amount == 2

    def test_hardware_with_a_rate_card_is_no_cost_entry(self, plan, poc, bob, asker, today):
        backend = Backend.objects.create(slug="gpu", name="GPU server", connector="metrics_endpoint")
        RateCard.objects.create(
            backend=backend, kind="rented", units=2, currency="EUR", rate_per_unit_hour=3, valid_from_on=today
        )
        given = {"name": "Cards", "category": "hardware", "amount": Decimal(1), "start_on": today}
        add_cost_entry(asker(bob), poc, **given)
        series = Series.objects.create(digest=b"0" * 16, provider="vllm", backend=backend)
        Allocation.objects.create(series=series, workload=plan.workload, share_ratio=1, valid_from_on=today)
        with pytest.raises(RuleViolation, match="GPU server has a rate card in these days"):
            add_cost_entry(asker(bob), poc, **given)
        add_cost_entry(asker(bob), poc, **given | {"start_on": today - DAY})
        add_cost_entry(asker(bob), poc, **given | {"category": "people"})


class TestRisksAndPeople:
    def test_risks_score_and_close_once(self, plan, alice, asker):
        risk = add_risk(asker(alice), plan, name="x", category="quality", likelihood=5, impact=4)
        assert risk.score == 20
        close_risk(asker(alice), risk)
        with refused("already_closed"):
            close_risk(asker(alice), risk)
        with refused("score"):
            add_risk(asker(alice), plan, name="x", category="quality", likelihood=6, impact=1)
        with refused("missing"):
            add_risk(asker(alice), plan, name=" ", category="quality", likelihood=1, impact=1)

    def test_the_owner_stays_a_manager(self, plan, alice, adam, asker):
        mine = Membership.objects.get(workload=plan.workload, user=alice)
        with refused("owner_manages"):
            remove_membership(asker(adam), plan, mine)
        with refused("owner_manages"):
            set_membership(asker(adam), plan, user=alice, role="viewer")
        with refused("unknown_role"):
            set_membership(asker(adam), plan, user=alice, role="king")
