"""A roadmap's activity: plain sentences, for those who see the roadmap, in one query."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts import audit
from accounts.access import Asker
from accounts.actions import issue_token
from accounts.models import AuditEvent
from roadmap.actions.milestones import add_milestone, change_milestone, drop_milestone
from roadmap.actions.people import set_membership
from roadmap.queries.activity import activity
from roadmap.rules.activity import sentence

DAY = timedelta(days=1)
NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("action", "subject", "before", "after", "said"),
    [
        (
            "change_milestone", "Pilot", {"due_on": "2026-11-03"}, {"due_on": "2026-11-17"},
            'moved "Pilot" from 3 to 17 Nov 2026',
        ),
        (
            "change_milestone", "Pilot", {"due_on": "2026-10-30"}, {"due_on": "2026-11-02"},
            'moved "Pilot" from 30 Oct to 2 Nov 2026',
        ),
        (
            "change_milestone", "Pilot", {"due_on": "2026-12-30"}, {"due_on": "2027-01-02"},
            'moved "Pilot" from 30 Dec 2026 to 2 Jan 2027',
        ),
        (
            "change_milestone", "Pilot", {"due_on": "2026-11-03", "owner": None},
            {"due_on": "2026-11-17", "owner": "Bob"},
            'moved "Pilot" from 3 to 17 Nov 2026, and changed the owner to Bob',
        ),
        ("change_milestone", "New", {"name": "Old"}, {"name": "New"}, 'renamed "Old" to "New"'),
        ("change_kpi", "p95", {"target": "2"}, {"target": "3"}, 'changed the target from 2 to 3 of "p95"'),
        ("change_risk", "x", {"owner": "Bob"}, {"owner": None}, 'changed the owner from Bob to nothing of "x"'),
        ("change_risk", "x", {}, {}, 'saved "x"'),
        ("change_risk", "x", None, None, 'saved "x"'),
        ("tick_checklist_item", "x", {"is_done": "False"}, {"is_done": "True"}, 'ticked "x"'),
        ("tick_checklist_item", "x", {"is_done": "True"}, {"is_done": "False"}, 'took the tick from "x"'),
        ("post_update", "x", None, {"status": "at_risk", "sentence": "Late."}, "posted an update, at risk: Late."),
        (
            "decide_gate", "x", {"phase": "scale_up"}, {"outcome": "conditional", "reason": "Nearly."},
            "decided the scale-up gate: conditional go: Nearly.",
        ),
        ("frobnicate_gate", "x", None, None, 'frobnicate: gate "x"'),
        ("reprice", "x", None, None, 'reprice "x"'),
    ],
)  # fmt: skip
def test_sentences(action, subject, before, after, said):
    assert sentence(action, subject, before, after).replace(NBSP, " ") == said


def test_what_people_do_is_told(plan, poc, alice, bob, asker, sign_in, today):
    milestone = add_milestone(asker(alice), poc, name="Pilot", due_on=today)
    change_milestone(asker(alice), milestone, owner=bob)
    drop_milestone(asker(alice), milestone, reason="No budget")
    set_membership(asker(alice), plan, user=bob, role="viewer")
    lines = [f"{line.who} {line.what}".replace(NBSP, " ") for line in activity(asker(bob), plan).lines]
    assert lines[:4] == [
        "Alice Manager made Bob Builder a viewer, contributor before",
        'Alice Manager dropped "Pilot": No budget',
        'Alice Manager changed the owner to Bob Builder of "Pilot"',
        f'Alice Manager added the milestone "Pilot", due {today.day} {today:%b %Y}',
    ]
    page = sign_in(bob).get(plan.get_absolute_url()).content.decode()
    assert "dropped &quot;Pilot&quot;: No budget" in page


def test_tokens_and_addresses_are_not_told(plan, alice, vera, asker):
    issue_token(asker(alice), name="secret-name", scopes=["read"], workload=plan.workload)
    assert not any("secret-name" in line.what for line in activity(asker(vera), plan).lines)


def test_the_outsider_is_told_nothing(plan, oscar, asker, sign_in, api):
    assert activity(asker(oscar), plan).lines == []
    assert sign_in(oscar).get(reverse("activity", args=[plan.slug])).status_code == 404
    assert api(oscar, scopes=["read"]).get(f"/api/v1/roadmaps/{plan.slug}/activity").status_code == 404


def test_rest_and_page_tell_the_same(plan, vera, sign_in, api, asker):
    rows = api(vera, scopes=["read"]).get(f"/api/v1/roadmaps/{plan.slug}/activity").json()
    assert [row["what"] for row in rows] == [line.what for line in activity(asker(vera), plan).lines]
    page = sign_in(vera).get(reverse("activity", args=[plan.slug])).content.decode()
    assert rows[-1]["what"] == "made this roadmap"
    assert "made this roadmap" in page


def test_the_feed_is_one_query_however_long(plan, alice, asker, django_assert_num_queries):
    for number in range(300):
        audit.record(Asker(alice), action="change_roadmap", subject=plan, workload=plan.workload, after={"n": number})
    with django_assert_num_queries(1):
        found = activity(asker(alice), plan)
    assert len(found.lines) == 8
    assert found.has_more


def test_a_text_of_somebody_is_no_markup(plan, alice, asker, sign_in, poc, today):
    add_milestone(asker(alice), poc, name="<script>alert(1)</script>", due_on=today)
    assert "<script>alert(1)" not in sign_in(alice).get(plan.get_absolute_url()).content.decode()


def test_who_is_gone_is_still_told(plan, adam, erin, asker):
    audit.record(Asker(erin), action="change_roadmap", subject=plan, workload=plan.workload)
    erin.delete()
    assert AuditEvent.objects.filter(actor_name="Erin Executive").exists()
    assert activity(asker(adam), plan).lines[0].who == "Erin Executive"
