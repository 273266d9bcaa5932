"""Every add, edit, tick and delete of the plan: as a plain form, with htmx, and with bad input."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import Membership
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.kpis import add_kpi
from roadmap.actions.milestones import change_milestone
from roadmap.models import (
    Annotation,
    ChecklistItem,
    CostEntry,
    GateDecision,
    Kpi,
    Milestone,
    Phase,
    Reading,
    Risk,
    Roadmap,
    Update,
)

DAY = timedelta(days=1)
HTMX = {"HTTP_HX_REQUEST": "true"}

# Form: (section, address, good input, what it made). `{}` of an address is the phase, roadmap or row.
GOOD = {
    "milestone": (
        "milestones",
        "milestone_new",
        {"name": "Pilot signed", "due_on": "2027-01-31", "outside_key": "AI-7", "evidence_url": "example.org/x"},
        lambda: Milestone.objects.get(name="Pilot signed").evidence_url == "https://example.org/x",
    ),
    "checklist": (
        "checklist",
        "checklist_new",
        {"category": "privacy", "name": "Consent"},
        lambda: ChecklistItem.objects.filter(name="Consent", category="privacy").exists(),
    ),
    "kpi": (
        "kpis",
        "kpi_new",
        {"name": "Hours", "direction": "higher", "unit": "h", "window": "phase", "combine": "sum", "target": "100.5"},
        lambda: (
            Kpi.objects.get(name="Hours").target == Decimal("100.5")
            and Kpi.objects.get(name="Hours").window_days is None
        ),
    ),
    "computed kpi": (
        "kpis",
        "kpi_new",
        {"name": "p99", "measure": "duration_p99", "window": "7", "combine": "last", "minimum_sample": "50"},
        lambda: Kpi.objects.get(name="p99").source == "computed" and Kpi.objects.get(name="p99").unit == "s",
    ),
    "cost": (
        "costs",
        "cost_entry_new",
        {
            "name": "Two people",
            "category": "people",
            "amount": "1200.50",
            "currency": "eur",
            "start_on": "2026-11-01",
            "end_on": "2026-11-30",
            "kind": "opex",
            "status": "actual",
        },
        lambda: CostEntry.objects.get(name="Two people").currency == "EUR",
    ),
    "note": ("notes", "note_new", {"on": "2026-11-20", "text": "FP8 build"}, lambda: Annotation.objects.exists()),
}
BAD = {
    "milestone_new": [
        {"name": "", "due_on": "2027-01-31"},
        {"name": "x", "due_on": "31.01.2027"},
        {"name": "x", "due_on": "20226-01-31"},
        {"name": "x", "due_on": "1926-01-31"},
        {"name": "x", "due_on": "2027-01-31", "owner": "999999"},
        {"name": "x", "due_on": "2027-01-31", "owner": "oscar"},
        {"name": "x", "due_on": "2027-01-31", "evidence_url": "javascript:alert(1)"},
        {"name": "x" * 201, "due_on": "2027-01-31"},
        {"name": "x\x00", "due_on": "2027-01-31"},
    ],
    "checklist_new": [{"category": "luck", "name": "x"}, {"category": "data", "name": " "}],
    "kpi_new": [
        {"name": "x", "window": "28", "combine": "last"},
        {"name": "x", "direction": "sideways", "window": "28", "combine": "last"},
        {"name": "x", "measure": "luck", "window": "28", "combine": "last"},
        {"name": "x", "direction": "lower", "window": "0", "combine": "last"},
        {"name": "x", "direction": "lower", "window": "28", "combine": "last", "target": "NaN"},
        {"name": "x", "direction": "lower", "window": "28", "combine": "last", "target": "1e99"},
        {"name": "x", "direction": "lower", "window": "28", "combine": "last", "minimum_sample": "-1"},
        {"name": "x", "direction": "lower", "window": "28", "combine": "last", "rate_amount": "5"},
        {"name": "Quality score", "direction": "lower", "window": "28", "combine": "last"},
    ],
    "cost_entry_new": [
        {
            "name": "x",
            "category": "people",
            "currency": "EUR",
            "start_on": "2026-11-01",
            "kind": "opex",
            "status": "actual",
            **bad,
        }
        for bad in (
            {"amount": ""},
            {"amount": "-1"},
            {"amount": "0"},
            {"amount": "1,500"},
            {"amount": "1,5,0"},
            {"amount": "Infinity"},
            {"amount": "1" * 25},
            {"amount": "1", "currency": "XYZ"},
            {"amount": "1", "end_on": "2026-10-31"},
            {"amount": "1", "category": "bribes"},
            {"amount": "1", "start_on": "yesterday"},
        )
    ],
    "note_new": [{"on": "", "text": "x"}, {"on": "2026-11-20", "text": ""}, {"on": "2026-11-20", "text": "x" * 121}],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_form_adds_and_comes_back_to_its_section(name, poc, alice, sign_in):
    section, address, data, made = GOOD[name]
    answer = sign_in(alice).post(reverse(address, args=[poc.pk]), data)
    assert answer.status_code == 303, answer.content.decode()
    assert answer.url == f"/roadmaps/contact-centre/poc/#{section}"
    assert made()


@pytest.mark.parametrize("name", GOOD)
def test_htmx_adds_and_gets_the_section(name, poc, alice, sign_in):
    section, address, data, made = GOOD[name]
    answer = sign_in(alice).post(reverse(address, args=[poc.pk]), data, **HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200, text
    assert f'id="{section}"' in text
    assert "<html" not in text
    assert "phaseline:message" in answer.headers["HX-Trigger"]
    assert "HX-Request" in answer.headers["Vary"]
    assert made()


CASES = [(address, data) for address, inputs in BAD.items() for data in inputs]


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize(("address", "data"), CASES)
def test_bad_input_is_answered_with_what_was_typed(address, data, headers, poc, alice, oscar, sign_in):
    data = {key: str(oscar.pk) if value == "oscar" else value for key, value in data.items()}
    counts = [model.objects.count() for model in (Milestone, ChecklistItem, Kpi, CostEntry, Annotation)]
    answer = sign_in(alice).post(reverse(address, args=[poc.pk]), data, **headers)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'class="wrong"' in text or 'role="alert"' in text
    assert ("<html" in text) == (not headers)
    assert [model.objects.count() for model in (Milestone, ChecklistItem, Kpi, CostEntry, Annotation)] == counts


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
class TestRows:
    def post(self, client, url, data, headers, expected=None):
        answer = client.post(url, data, **headers)
        assert answer.status_code == (expected or (200 if headers else 303)), answer.content.decode()
        return answer

    def test_a_milestone_is_ticked_and_opened_again(self, poc, bob, sign_in, today, headers):
        client, milestone = sign_in(bob), poc.milestones.first()
        url = reverse("milestone_tick", args=[milestone.pk])
        answer = self.post(client, url, {"version": 1}, headers)
        milestone.refresh_from_db()
        assert (milestone.state, milestone.done_on) == ("done", today)
        if headers:
            assert 'id="gate" ' in answer.content.decode()
            assert 'hx-swap-oob="true"' in answer.content.decode()
        # The same button, pressed on a page from before: said, not done.
        self.post(client, url, {"version": 1}, headers)
        milestone.refresh_from_db()
        assert milestone.state == "done"
        self.post(client, url, {"version": milestone.version}, headers)
        milestone.refresh_from_db()
        assert milestone.state == "open"

    def test_the_second_sees_the_firsts_change_and_can_save_then(self, poc, alice, adam, asker, sign_in, headers):
        milestone = poc.milestones.first()
        change_milestone(asker(adam), milestone, name="Theirs")
        client, url = sign_in(alice), reverse("milestone_edit", args=[milestone.pk])
        data = {"name": "Mine", "due_on": "2027-02-01", "version": "1"}
        text = self.post(client, url, data, headers, 422).content.decode()
        assert "Adam Admin changed this milestone meanwhile: name Theirs" in text
        assert 'value="Mine"' in text
        assert 'name="version" value="2"' in text
        self.post(client, url, data | {"version": "2"}, headers)
        milestone.refresh_from_db()
        assert milestone.name == "Mine"

    def test_a_milestone_is_dropped_with_a_reason(self, poc, alice, sign_in, headers):
        client, milestone = sign_in(alice), poc.milestones.first()
        url = reverse("milestone_drop", args=[milestone.pk])
        self.post(client, url, {"reason": ""}, headers, 422)
        self.post(client, url, {"reason": "Not needed"}, headers)
        milestone.refresh_from_db()
        assert (milestone.state, milestone.dropped_reason) == ("dropped", "Not needed")

    def test_rows_are_deleted(self, poc, alice, asker, sign_in, today, headers):
        client = sign_in(alice)
        milestone = poc.milestones.get(name__startswith="First users")
        kpi = add_kpi(asker(alice), poc, name="Free", direction="higher")
        entry = add_cost_entry(asker(alice), poc, name="x", category="people", amount=Decimal(1), start_on=today)
        item = poc.checklist.get(name__startswith="Content filter")
        for name, row in (("milestone", milestone), ("kpi", kpi), ("cost_entry", entry), ("checklist", item)):
            self.post(client, reverse(f"{name}_delete", args=[row.pk]), {}, headers)
            assert not type(row).objects.filter(pk=row.pk).exists()

    def test_what_the_gate_asks_for_is_not_deleted(self, poc, alice, sign_in, headers):
        item = poc.checklist.get(name__startswith="Owner of the use case")
        self.post(sign_in(alice), reverse("checklist_delete", args=[item.pk]), {}, headers)
        assert ChecklistItem.objects.filter(pk=item.pk).exists()

    def test_the_checklist_is_ticked_once(self, poc, bob, sign_in, headers):
        client, item = sign_in(bob), poc.checklist.first()
        url = reverse("checklist_tick", args=[item.pk])
        for _ in range(2):
            self.post(client, url, {"is_done": "1"}, headers)
            item.refresh_from_db()
            assert item.is_done
            assert item.done_by == bob

    def test_a_reading_is_recorded_and_replaced(self, poc, bob, sign_in, headers):
        client, kpi = sign_in(bob), poc.kpis.get(is_value=True)
        url = reverse("reading_new", args=[kpi.pk])
        for value in ("5", "6.25"):
            self.post(client, url, {"value": value, "at": "2026-11-01T10:00"}, headers)
        assert kpi.readings.get().value == Decimal("6.25")
        self.post(client, url, {"value": "6", "at": "2126-11-01T10:00"}, headers, 422)
        self.post(client, url, {"value": "six"}, headers, 422)
        self.post(client, url, {"value": "7", "at": ""}, headers)
        assert Reading.objects.count() == 2

    def test_risks_and_updates_change_in_place(self, plan, alice, sign_in, headers):
        client = sign_in(alice)
        data = {"name": "Slow", "category": "quality", "likelihood": "5", "impact": "5"}
        text = self.post(client, reverse("risk_new", args=[plan.slug]), data, headers).content.decode()
        risk = Risk.objects.get(name="Slow")
        if headers:
            assert text.index("Slow") < text.index("One provider or runtime")
        self.post(client, reverse("risk_edit", args=[risk.pk]), data | {"impact": "6"}, headers, 422)
        self.post(client, reverse("risk_edit", args=[risk.pk]), data | {"impact": "1"}, headers)
        self.post(client, reverse("risk_close", args=[risk.pk]), {}, headers)
        risk.refresh_from_db()
        assert (risk.score, risk.state) == (5, "closed")
        update = {"status": "at_risk", "sentence": "The index is late."}
        self.post(client, reverse("update_new", args=[plan.slug]), update, headers)
        self.post(client, reverse("update_new", args=[plan.slug]), {"status": "fine"}, headers, 422)
        assert Update.objects.get().sentence == "The index is late."

    def test_people_and_phases_change_in_place(self, plan, poc, alice, bob, sign_in, headers):
        client = sign_in(alice)
        new = reverse("member_new", args=[plan.slug])
        self.post(client, new, {"person": "oscar@example.org", "role": "viewer"}, headers)
        self.post(client, new, {"person": "nobody", "role": "viewer"}, headers, 422)
        member = Membership.objects.get(user__username="oscar", workload=plan.workload)
        self.post(client, reverse("member_change", args=[plan.slug, member.pk]), {"role": "manager"}, headers)
        member.refresh_from_db()
        assert member.role == "manager"
        self.post(client, reverse("member_remove", args=[plan.slug, member.pk]), {}, headers)
        assert not Membership.objects.filter(pk=member.pk).exists()
        data = {
            "owner": bob.pk,
            "planned_start_on": poc.planned_start_on,
            "planned_end_on": poc.planned_end_on + 30 * DAY,
            "started_on": poc.started_on,
            "budget_amount": "100000",
            "budget_currency": "EUR",
        }
        edit = reverse("phase_edit", args=[poc.pk])
        self.post(client, edit, data, headers, 422)
        self.post(client, edit, data | {"move_later": "on"}, headers)
        changed = Phase.objects.get(pk=poc.pk)
        assert (changed.owner, changed.budget_amount) == (bob, 100_000)

    def test_a_form_closes_again(self, poc, alice, sign_in, headers):
        answer = sign_in(alice).get(reverse("milestone_new", args=[poc.pk]) + "?close=1", **headers)
        assert answer.status_code == (200 if headers else 303)
        assert b"form--grid" not in answer.content


class TestMakingARoadmap:
    base = {
        "name": "Claims triage",
        "template": "general",
        "unit_of_work": "request",
        "risk_class": "limited",
        "data_class": "internal",
        "currency": "EUR",
        "poc_months": "3",
        "scale_up_months": "12",
        "optimise_months": "18",
        "poc_budget": "50000",
    }

    def test_from_one_start_date(self, adam, sign_in, today):
        data = self.base | {"owner": adam.pk, "start_on": str(today)}
        answer = sign_in(adam).post(reverse("roadmap_new"), data)
        assert answer.status_code == 303, answer.content.decode()
        made = Roadmap.objects.get()
        assert answer.url == "/roadmaps/claims-triage/"
        assert made.phases.get(kind="poc").budget_amount == 50_000
        assert made.phases.get(kind="poc").kpis.filter(measure="cost_per_1000_requests").exists()

    def test_in_the_middle(self, adam, sign_in, today):
        data = self.base | {
            "owner": adam.pk,
            "kind": "scale_up",
            "started_on": str(today - 50 * DAY),
            "opening_amount": "1000",
            "poc_start_on": str(today - 200 * DAY),
            "poc_end_on": str(today - 51 * DAY),
            "poc_outcome": "go",
            "poc_decided_by_name": "Ilse de Boer",
            "poc_decided_on": str(today - 52 * DAY),
            "poc_link": "https://example.org/minutes",
        }
        answer = sign_in(adam).post(reverse("roadmap_new") + "?way=middle", data)
        assert answer.status_code == 303, answer.content.decode()
        gate = GateDecision.objects.get().gate
        page = sign_in(adam).get(gate.get_absolute_url()).content.decode()
        assert "recorded later, no measured evidence" in page
        assert "Ilse de Boer" in page

    @pytest.mark.parametrize(
        ("way", "changes", "says"),
        [
            ("", {"name": ""}, "required"),
            ("", {"start_on": "soon"}, "valid date"),
            ("", {"start_on": "1900-01-01"}, "between 2000 and 2099"),
            ("", {"poc_months": "0"}, "greater than or equal to 1"),
            ("", {"poc_budget": "-5"}, "zero or more"),
            ("", {"currency": "ABC"}, "currency in use"),
            ("", {"template": "nothing"}, "valid choice"),
            ("?way=middle", {"kind": "optimise"}, "give the day it started"),
            ("?way=middle", {"kind": "poc", "started_on": "2099-01-01"}, "has started already"),
        ],
    )
    def test_bad_input(self, adam, sign_in, today, way, changes, says):
        data = self.base | {"owner": adam.pk, "start_on": str(today), "kind": "poc", "started_on": str(today)} | changes
        answer = sign_in(adam).post(reverse("roadmap_new") + way, data)
        assert answer.status_code == 422
        assert says in answer.content.decode()
        assert not Roadmap.objects.exists()


class TestDeciding:
    def test_a_conditional_go_by_form(self, plan, gate, adam, bob, sign_in, today):
        data = {
            "outcome": "conditional",
            "reason": "Good enough.",
            "condition_1_name": "Overrides fall",
            "condition_1_owner": bob.pk,
            "condition_1_due_on": str(today + 30 * DAY),
        }
        client = sign_in(adam)
        assert client.get(gate.get_absolute_url()).content.decode().count("condition_1_name") >= 1
        answer = client.post(gate.get_absolute_url(), data)
        assert answer.status_code == 303, answer.content.decode()
        page = client.get(gate.get_absolute_url()).content.decode()
        assert GateDecision.objects.get().evidence_sha256 in page
        assert "Evidence matches its hash" in page
        assert 'id="decide"' not in page

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({}, "required"),
            ({"outcome": "go"}, "Not met"),
            ({"outcome": "maybe"}, "valid choice"),
            ({"outcome": "hold"}, "needs a new gate date"),
            ({"outcome": "hold", "new_due_on": "2020-01-01"}, "after today"),
            ({"outcome": "conditional"}, "at least one condition"),
            ({"outcome": "conditional", "condition_1_name": "x"}, "Give a date."),
            ({"outcome": "stop", "reason": "  "}, "required"),
        ],
    )
    def test_bad_input(self, gate, adam, sign_in, changes, says):
        answer = sign_in(adam).post(gate.get_absolute_url(), {"reason": "Because.", **changes})
        assert answer.status_code == 422
        assert says in answer.content.decode()
        assert not GateDecision.objects.exists()

    def test_a_stop_asks_about_later_cost_entries(self, poc, gate, alice, adam, asker, sign_in, today):
        entry = add_cost_entry(
            asker(alice), poc, name="Lease", category="other", amount=Decimal(10), start_on=today + DAY
        )
        client = sign_in(adam)
        data = {"outcome": "stop", "reason": "No value."}
        assert "Lease" in client.post(gate.get_absolute_url(), data).content.decode()
        assert client.post(gate.get_absolute_url(), data | {f"late_{entry.pk}": "remove"}).status_code == 303
        assert not CostEntry.objects.exists()


def test_what_people_type_is_shown_as_text(plan, poc, alice, asker, sign_in):
    client = sign_in(alice)
    client.post(reverse("milestone_new", args=[poc.pk]), {"name": "<script>x</script>", "due_on": "2027-01-01"})
    client.post(reverse("update_new", args=[plan.slug]), {"status": "on_track", "sentence": "<img src=x>"})
    for url in (plan.get_absolute_url(), poc.get_absolute_url(), poc.gate.get_absolute_url()):
        text = client.get(url).content.decode()
        assert "<script>x" not in text
        assert "<img src=x" not in text


def test_a_viewer_sees_no_buttons(plan, poc, gate, vera, sign_in):
    client = sign_in(vera)
    for url in (plan.get_absolute_url(), poc.get_absolute_url(), gate.get_absolute_url()):
        text = client.get(url).content.decode()
        # Who sees a roadmap may comment on it, and change nothing else.
        assert "/edit/" not in text
        assert "/new/" not in text.replace(reverse("comment_new", args=[plan.slug]), "")
        assert 'class="tick" id' not in text


@pytest.mark.parametrize("amount", [1, 30])
def test_pages_cost_the_same_queries_whatever_there_is(
    plan, poc, gate, alice, asker, sign_in, today, amount, django_assert_max_num_queries
):
    for index in range(amount):
        Milestone.objects.create(phase=poc, name=f"m{index}", due_on=today, baseline_due_on=today, owner=alice)
        Risk.objects.create(roadmap=plan, name=f"r{index}", category="quality", likelihood=1, impact=1, owner=alice)
    client = sign_in(alice)
    client.get(plan.get_absolute_url())
    with django_assert_max_num_queries(17):
        client.get(plan.get_absolute_url())
    with django_assert_max_num_queries(24):
        client.get(reverse("milestone_new", args=[poc.pk]), **HTMX)
    with django_assert_max_num_queries(24):
        client.get(gate.get_absolute_url())
