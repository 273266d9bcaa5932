"""Each address of the plan x each role: a table made from the URL lists, so that a new address cannot be forgotten."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from roadmap import plan_urls
from roadmap.actions.comments import add_comment
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.evidence import add_evidence
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone
from roadmap.actions.phases import annotate
from roadmap.api import plan_urls as api_plan_urls

PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")
READ, CONTRIBUTE, MANAGE = 1, 2, 3
HELD = {"oscar": 0, "vera": READ, "erin": READ, "bob": CONTRIBUTE, "alice": MANAGE, "adam": MANAGE}

# Page: (method, what it needs). Every address of roadmap.plan_urls stands here.
PAGES = {
    "roadmap_new": None,
    "roadmap_first": None,
    # Everybody's own files, and who may: tests/roadmap/imports/test_pages.py.
    "plan_imports": None,
    "plan_template": None,
    "plan_import": None,
    "plan_import_discard": None,
    "roadmap": ("get", READ),
    # Each of its tables by role: tests/roadmap/test_files.py.
    "roadmap_file": ("get", READ),
    "readings_file": ("get", READ),
    "readings_many": ("get", CONTRIBUTE),
    "roadmap_settings": ("get", MANAGE),
    "template_new": ("get", MANAGE),
    "roadmap_state": ("post", MANAGE),
    "member_new": ("get", MANAGE),
    "member_change": ("post", MANAGE),
    "member_remove": ("post", MANAGE),
    "activity": ("get", READ),
    "comments": ("get", READ),
    "comment_new": ("get", READ),
    # Of its author alone: tests/roadmap/test_comments.py.
    "comment_edit": None,
    "comment_delete": ("post", MANAGE),
    "updates": ("get", READ),
    "update_new": ("get", MANAGE),
    "risk_new": ("get", MANAGE),
    "risk_edit": ("get", MANAGE),
    "risk_close": ("post", MANAGE),
    "risk_reopen": ("post", MANAGE),
    "phase_edit": ("get", MANAGE),
    "phase_start": ("get", MANAGE),
    "milestone_new": ("get", MANAGE),
    "milestone_edit": ("get", MANAGE),
    "milestone_date": ("get", MANAGE),
    "milestone_tick": ("post", CONTRIBUTE),
    "milestone_drop": ("get", MANAGE),
    "milestone_delete": ("post", MANAGE),
    "milestone_files": ("get", READ),
    "milestone_file_new": ("get", CONTRIBUTE),
    "evidence_file": ("get", READ),
    # Of a manager, or of who added the file, as bob's own in tests/roadmap/test_evidence_files.py.
    "evidence_remove": ("post", MANAGE),
    "checklist_new": ("get", MANAGE),
    "checklist_edit": ("get", MANAGE),
    "checklist_tick": ("post", CONTRIBUTE),
    "checklist_delete": ("post", MANAGE),
    "kpi_new": ("get", MANAGE),
    "kpi": ("get", READ),
    "kpi_edit": ("get", MANAGE),
    "kpi_baseline": ("post", MANAGE),
    "kpi_delete": ("post", MANAGE),
    "reading_new": ("get", CONTRIBUTE),
    "reading_delete": ("post", CONTRIBUTE),
    "cost_entry_new": ("get", CONTRIBUTE),
    "cost_entry_edit": ("get", CONTRIBUTE),
    "cost_entry_delete": ("post", CONTRIBUTE),
    "note_new": ("get", CONTRIBUTE),
    "note_delete": ("post", MANAGE),
    "gate": ("get", READ),
    "gate_undo": None,
    "gate_edit": ("get", MANAGE),
    "criterion_new": ("get", MANAGE),
    "criterion_delete": ("post", MANAGE),
}
ONLY_READ = (
    "roadmap",
    "roadmap_file",
    "readings_file",
    "milestone_files",
    "evidence_file",
    "activity",
    "comments",
    "updates",
    "kpi",
)
# REST: per method (what it needs, a body that is good).
API = {
    # Takes a file, and rows of every roadmap: tests/roadmap/imports/test_api.py.
    "api_plan_imports": {"post": ("file", {})},
    "api_roadmaps": {"get": (None, None)},
    "api_roadmap": {"get": (READ, None), "patch": (MANAGE, {"summary": "x"})},
    "api_roadmap_slips": {"get": (READ, None)},
    "api_roadmap_template": {"post": (MANAGE, {"name": "Ours"})},
    "api_roadmap_state": {"post": (MANAGE, {"state": "paused"})},
    "api_activity": {"get": (READ, None)},
    "api_people": {"get": (READ, None), "post": (MANAGE, {"person": "bob", "role": "viewer"})},
    "api_person": {"delete": (MANAGE, None)},
    "api_phases": {"get": (None, None)},
    "api_phase": {"get": (READ, None), "patch": (MANAGE, {"budget_amount": "5.00"})},
    "api_phase_start": {"post": (MANAGE, {"on": "2026-01-01"})},
    "api_milestones": {"get": (None, None), "post": (MANAGE, {"phase": 0, "name": "x", "due_on": "2027-01-01"})},
    "api_milestone": {"get": (READ, None), "patch": (MANAGE, {"name": "x"}), "delete": (MANAGE, None)},
    "api_milestone_move": {"post": (MANAGE, {"due_on": "2027-01-01"})},
    "api_milestone_tick": {"post": (CONTRIBUTE, {})},
    "api_milestone_reopen": {"post": (CONTRIBUTE, {})},
    "api_milestone_drop": {"post": (MANAGE, {"reason": "x"})},
    "api_milestone_files": {"get": (READ, None), "post": (CONTRIBUTE, {"name": "x.txt", "content": "eA=="})},
    "api_evidence": {"get": (READ, None), "delete": (MANAGE, None)},
    "api_evidence_content": {"get": (READ, None)},
    "api_checklist": {"get": (None, None), "post": (MANAGE, {"phase": 0, "category": "data", "name": "x"})},
    "api_checklist_item": {"get": (READ, None), "patch": (MANAGE, {"name": "x"}), "delete": (MANAGE, None)},
    "api_checklist_tick": {"post": (CONTRIBUTE, {})},
    "api_kpis": {"get": (None, None), "post": (MANAGE, {"phase": 0, "name": "x", "direction": "higher"})},
    "api_kpi": {"get": (READ, None), "patch": (MANAGE, {"name": "x"}), "delete": (MANAGE, None)},
    "api_readings": {"get": (READ, None), "post": (CONTRIBUTE, {"at": "2026-01-01T00:00:00Z", "value": "1"})},
    "api_cost_entries": {
        "get": (None, None),
        "post": (
            CONTRIBUTE,
            {"phase": 0, "name": "x", "category": "people", "amount": "1.00", "start_on": "2026-01-01"},
        ),
    },
    "api_cost_entry": {"get": (READ, None), "patch": (CONTRIBUTE, {"name": "x"}), "delete": (CONTRIBUTE, None)},
    "api_risks": {
        "get": (None, None),
        "post": (MANAGE, {"roadmap": "", "name": "x", "category": "quality", "likelihood": 1, "impact": 1}),
    },
    "api_risk": {"get": (READ, None), "patch": (MANAGE, {"name": "x"})},
    "api_risk_close": {"post": (MANAGE, {})},
    "api_risk_reopen": {"post": (MANAGE, {})},
    "api_comments": {"get": (None, None), "post": (READ, {"roadmap": "", "text": "x"})},
    "api_comment": {"get": (READ, None), "delete": (MANAGE, None)},
    "api_updates": {"get": (None, None), "post": (MANAGE, {"roadmap": "", "status": "on_track", "sentence": "x"})},
    "api_annotations": {"get": (None, None), "post": (CONTRIBUTE, {"phase": 0, "on": "2026-01-01", "text": "x"})},
    "api_annotation": {"get": (READ, None), "delete": (MANAGE, None)},
    "api_gates": {"get": (None, None)},
    "api_gate": {"get": (READ, None), "patch": (MANAGE, {"due_on": "2027-01-01"})},
    "api_criteria": {"post": (MANAGE, {"kpi": 0})},
    "api_gate_decide": {"post": ("decide", {"outcome": "stop", "reason": "x"})},
    "api_gate_undo": {"post": ("undo", {"reason": "x", "new_due_on": "2027-01-01"})},
    "api_criterion": {"delete": (MANAGE, None)},
}


@pytest.fixture
def rows(plan, poc, gate, alice, bob, asker):
    """One row of each kind; the primary keys by the name of the address."""
    today = timezone.localdate()
    milestone = add_milestone(asker(alice), poc, name="Free", due_on=today + timedelta(days=9))
    kpi = add_kpi(asker(alice), poc, name="Free KPI", direction="higher")
    record_reading(asker(bob), kpi, at=timezone.now(), value=Decimal(1))
    entry = add_cost_entry(asker(bob), poc, name="Free", category="people", amount=Decimal(1), start_on=today)
    note = annotate(asker(alice), poc, on=today, text="Build")
    risk = plan.risks.first()
    member = Membership.objects.get(user=bob, workload=plan.workload)
    free_item = poc.checklist.get(name__startswith="Content filter")
    return {
        "uuid": uuid4(),
        "slug": plan.slug,
        "table": "milestones",
        "form": "csv",
        "phase_id": poc.pk,
        "member": member.pk,
        "comment": add_comment(asker(alice), plan, text="x").pk,
        "risk": risk.pk,
        "phase": poc.pk,
        "milestone": milestone.pk,
        "checklist": free_item.pk,
        "kpi": kpi.pk,
        "reading": kpi.readings.get().pk,
        "cost_entry": entry.pk,
        "note": note.pk,
        "annotation": note.pk,
        "evidence": add_evidence(asker(alice), milestone, name="a.txt", data=b"a").pk,
        "gate": gate.pk,
        "criterion": gate.criteria.first().pk,
        "criteria": gate.pk,
        "person": member.pk,
        "readings": kpi.pk,
    }


def address(pattern, rows) -> str:
    """The address of a pattern for the test's rows."""
    names = list(pattern.pattern.converters)
    noun = pattern.name.removeprefix("api_")
    key = next((key for key in sorted(rows, key=len, reverse=True) if noun.startswith(key)), "")
    if noun in ("criterion_new", "reading_new"):
        key = {"criterion_new": "gate", "reading_new": "kpi"}[noun]
    values = {name: rows[name] if name in rows else rows[key] for name in names}
    return reverse(pattern.name, kwargs=values)


def test_the_tables_name_every_address():
    assert {pattern.name for pattern in plan_urls.urlpatterns} == set(PAGES)
    assert {pattern.name for pattern in api_plan_urls.urlpatterns} == set(API)


@pytest.mark.parametrize("person", PEOPLE)
def test_pages_by_role(rows, person, request, client):
    client.force_login(request.getfixturevalue(person))
    for pattern in plan_urls.urlpatterns:
        rule = PAGES[pattern.name]
        if rule is None:
            continue
        method, needed = rule
        # A good POST may change what the next address needs: only refusals are posted by who may not.
        if method == "post" and HELD[person] >= needed:
            continue
        answer = getattr(client, method)(address(pattern, rows))
        expected = 404 if HELD[person] == 0 else 200 if HELD[person] >= needed else 403
        assert answer.status_code == expected, (pattern.name, person)


@pytest.mark.parametrize("person", PEOPLE)
def test_posting_to_forms_by_role(rows, person, request, client):
    """Forms shown by GET refuse a POST just the same; who may gets their mistakes back (422), nothing else."""
    client.force_login(request.getfixturevalue(person))
    for pattern in plan_urls.urlpatterns:
        rule = PAGES[pattern.name]
        if rule is None or rule[0] == "post" or pattern.name in ONLY_READ:
            continue
        answer = client.post(address(pattern, rows), {})
        # The gate is decided by adam alone: alice owns the phase.
        may = person == "adam" if pattern.name == "gate" else HELD[person] >= rule[1]
        expected = 404 if HELD[person] == 0 else 422 if may else 403
        assert answer.status_code == expected, (pattern.name, person)


@pytest.mark.parametrize("person", PEOPLE)
def test_who_may_make_a_roadmap(plan, person, request, client):
    client.force_login(request.getfixturevalue(person))
    may = person in ("alice", "adam", "oscar")
    assert client.get(reverse("roadmap_new")).status_code == (200 if may else 403)
    assert client.post(reverse("roadmap_first")).status_code == (303 if may else 403)


def test_nobody_who_is_not_signed_in_gets_in(rows, client):
    for pattern in plan_urls.urlpatterns:
        answer = client.get(address(pattern, rows))
        assert answer.status_code == 302, pattern.name
        assert "login" in answer.url
    for pattern in api_plan_urls.urlpatterns:
        assert client.get(address(pattern, rows)).status_code == 401, pattern.name


def filled(body, rows):
    """The body with this test's roadmap and phase."""
    given = dict(body or {})
    for name, key in (("phase", "phase"), ("kpi", "kpi"), ("roadmap", "slug")):
        if name in given:
            given[name] = rows[key]
    return given


CASES = [(name, method) for name, methods in API.items() for method in methods]
PATTERNS = {pattern.name: pattern for pattern in api_plan_urls.urlpatterns}


def answers(client, rows):
    """(address name, method, answer) of every case, each on the same untouched rows."""
    for name, method in CASES:
        point = transaction.savepoint()
        body = filled(API[name][method][1], rows)
        answer = getattr(client, method)(address(PATTERNS[name], rows), body, format="json")
        transaction.savepoint_rollback(point)
        yield name, method, answer


@pytest.mark.parametrize("person", PEOPLE)
def test_rest_by_role(rows, person, request, api):
    held = HELD[person]
    for name, method, answer in answers(api(request.getfixturevalue(person), scopes=["manage"]), rows):
        needed = API[name][method][0]
        if needed is None:
            expected = {200}
            if held == 0:
                assert all(row.get("roadmap", row.get("slug")) != rows["slug"] for row in answer.json()["results"])
        elif needed == "file":
            # Who may import sends no JSON; oscar manages another roadmap.
            expected = {403} if person in ("vera", "erin") else {415}
        elif held == 0:
            # A row is not found; a roadmap or phase named in a body is unknown.
            expected = {404} if "<" in str(PATTERNS[name].pattern) else {422}
        elif needed == "decide":
            # Alice owns the phase.
            expected = {201} if person == "adam" else {403}
        elif needed == "undo":
            # The same people; there is nothing to take back yet.
            expected = {409, 422} if person == "adam" else {403}
        elif held < needed:
            expected = {403}
        else:
            # The phase has started already.
            expected = {200, 201, 204} if name != "api_phase_start" else {409}
        assert answer.status_code in expected, (name, method, answer.content)


@pytest.mark.parametrize("scope", ["read", "push"])
def test_rest_by_scope(rows, scope, alice, api):
    """A token that may only read or push changes nothing, readings aside."""
    for name, method, answer in answers(api(alice, scopes=[scope]), rows):
        if method == "get":
            expected = 200 if scope == "read" else 403
        else:
            expected = 201 if (name, scope) == ("api_readings", "push") else 403
        assert answer.status_code == expected, (name, method, answer.content)


def test_a_token_bound_to_another_workload_finds_nothing(rows, adam, other, api):
    client = api(adam, scopes=["manage"], workload=other)
    for pattern in api_plan_urls.urlpatterns:
        if "<" in str(pattern.pattern) and "get" in API[pattern.name]:
            assert client.get(address(pattern, rows)).status_code == 404, pattern.name
