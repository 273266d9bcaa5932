"""Milestones that wait for others: chosen, refused in rings, moved along with a preview; by form and REST alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions.milestones import add_milestone, change_milestone, tick_milestone
from roadmap.models import Milestone
from roadmap.rules.activity import sentence

DAY = timedelta(days=1)
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def chain(plan, poc, alice, asker, today):
    """Four milestones: b and c wait for a, d of scale-up waits for c. Due in 10, 20, 30 and 40 days."""
    a = asker(alice)
    first = add_milestone(a, poc, name="a", due_on=today + 10 * DAY)
    second = add_milestone(a, poc, name="b", due_on=today + 20 * DAY, depends_on=[first])
    third = add_milestone(a, poc, name="c", due_on=today + 30 * DAY, depends_on=[first])
    last = add_milestone(a, plan.phases.get(kind="scale_up"), name="d", due_on=today + 40 * DAY, depends_on=[third])
    return first, second, third, last


def due(milestone) -> int:
    """Days from today."""
    milestone.refresh_from_db()
    return milestone.due_on


class TestRings:
    def test_a_ring_is_refused_and_named(self, chain, alice, asker):
        first, _, third, last = chain
        with pytest.raises(RuleViolation, match="'a' waits for 'd' waits for 'c' waits for 'a'"):
            change_milestone(asker(alice), first, depends_on=[last])
        assert not first.depends_on.exists()
        assert AuditEvent.objects.filter(action="change_milestone").count() == 0
        assert list(third.depends_on.all()) == [first]

    def test_itself_is_refused(self, chain, alice, asker):
        with pytest.raises(RuleViolation, match="cannot wait for itself"):
            change_milestone(asker(alice), chain[0], depends_on=[chain[0]])

    def test_one_of_another_roadmap_is_refused(self, chain, alice, adam, asker, today):
        from roadmap.actions.roadmaps import make_roadmap

        other = make_roadmap(asker(adam), name="Other plan", owner=adam)
        strange = other.phases.get(kind="poc").milestones.first()
        with pytest.raises(RuleViolation, match="another roadmap"):
            change_milestone(asker(alice), chain[0], depends_on=[strange])

    def test_the_form_says_so_at_the_field(self, chain, alice, sign_in):
        first, _, _, last = chain
        data = {"name": "a", "due_on": str(first.due_on), "depends_on": [last.pk], "version": first.version}
        answer = sign_in(alice).post(reverse("milestone_edit", args=[first.pk]), data)
        assert answer.status_code == 422
        assert "That would be a ring: &#x27;a&#x27; waits for" in answer.content.decode()

    def test_rest_says_so_with_a_pointer(self, chain, alice, api):
        first, _, _, last = chain
        client = api(alice, scopes=["manage"])
        answer = client.patch(f"/api/v1/milestones/{first.pk}", {"depends_on": [last.pk]}, format="json")
        assert answer.status_code == 422
        assert "dependency_ring" in answer.content.decode()
        assert answer.json()["errors"][0]["pointer"] == "#/depends_on"
        assert client.patch(f"/api/v1/milestones/{first.pk}", {"depends_on": [0]}, format="json").status_code == 422

    def test_dependencies_stand_on_the_trail(self, chain, alice, asker):
        change_milestone(asker(alice), chain[1], depends_on=[])
        event = AuditEvent.objects.order_by("-pk").first()
        assert (event.before, event.after) == ({"depends_on": f"#{chain[0].pk} a"}, {"depends_on": None})


class TestMovingAlong:
    def test_all_some_or_none(self, chain, alice, asker, today):
        first, second, third, last = chain
        change_milestone(asker(alice), first, due_on=today + 15 * DAY, move_successors="all")
        assert [due(item) for item in chain] == [today + days * DAY for days in (15, 25, 35, 45)]
        change_milestone(asker(alice), first, due_on=today + 16 * DAY, move_successors=[third.pk])
        assert [due(item) for item in chain] == [today + days * DAY for days in (16, 25, 36, 45)]
        change_milestone(asker(alice), first, due_on=today + 17 * DAY)
        assert [due(item) for item in chain] == [today + days * DAY for days in (17, 25, 36, 45)]
        # What was first promised stays.
        assert last.baseline_due_on == today + 40 * DAY
        assert second.version == 2

    def test_one_row_of_the_trail_tells_all_that_moved(self, chain, alice, asker, today):
        before = AuditEvent.objects.count()
        change_milestone(asker(alice), chain[0], due_on=today + 11 * DAY, move_successors="all")
        assert AuditEvent.objects.count() == before + 1
        after = AuditEvent.objects.order_by("-pk").first().after
        assert after == {"due_on": str(today + 11 * DAY)} | {
            f"#{item.pk} {item.name}": str(today + days * DAY)
            for item, days in zip(chain[1:], (21, 31, 41), strict=True)
        }

    def test_who_edits_a_successor_meanwhile_is_told(self, chain, alice, bob, asker, today):
        change_milestone(asker(alice), chain[0], due_on=today + 11 * DAY, move_successors="all")
        with pytest.raises(RuleViolation, match="Alice Manager moved 'a' meanwhile, and this milestone with it"):
            change_milestone(asker(alice), chain[1], version=1, name="b2")

    def test_one_that_does_not_move_along_is_refused(self, chain, alice, asker, today):
        tick_milestone(asker(alice), chain[1])
        with pytest.raises(RuleViolation, match="does not move along"):
            change_milestone(asker(alice), chain[0], due_on=today + 11 * DAY, move_successors=[chain[1].pk])
        assert due(chain[0]) == today + 10 * DAY

    def test_a_successor_is_never_moved_out_of_the_calendar(self, chain, alice, asker):
        from datetime import date

        with pytest.raises(RuleViolation, match="between 2000 and 2099"):
            change_milestone(asker(alice), chain[0], due_on=date(2099, 12, 20), move_successors="all")


@pytest.mark.parametrize("name", ["milestone_edit", "milestone_date"])
@pytest.mark.parametrize("headers", [{}, HTMX])
class TestPreview:
    def data(self, first, due_on):
        return {"name": "a", "due_on": str(due_on), "version": first.version}

    def test_a_new_date_is_asked_about_then_saved(self, chain, alice, sign_in, today, name, headers):
        first, second, third, last = chain
        client, url = sign_in(alice), reverse(name, args=[first.pk])
        answer = client.post(url, self.data(first, today + 17 * DAY), **headers)
        text = answer.content.decode()
        assert answer.status_code == 422
        assert "moves 3 milestones that wait for this one" in text
        assert text.count('name="successors"') == 3
        assert text.count(" checked") == 3 + text.count('name="depends_on" checked')
        assert "7 days later" in text
        assert due(first) == today + 10 * DAY
        told = {"previewed_for": str(today + 17 * DAY), "successors": [second.pk, last.pk]}
        answer = client.post(url, self.data(first, today + 17 * DAY) | told, **headers)
        assert answer.status_code == (200 if headers else 303)
        assert [due(item) for item in chain] == [today + days * DAY for days in (17, 27, 30, 47)]

    def test_another_date_is_asked_about_again(self, chain, alice, sign_in, today, name, headers):
        first = chain[0]
        told = {"previewed_for": str(today + 17 * DAY), "successors": [chain[1].pk]}
        answer = sign_in(alice).post(
            reverse(name, args=[first.pk]), self.data(first, today + 12 * DAY) | told, **headers
        )
        assert answer.status_code == 422
        assert "2 days later" in answer.content.decode()

    def test_bad_input_is_said(self, chain, alice, sign_in, today, name, headers):
        url, client = reverse(name, args=[chain[0].pk]), sign_in(alice)
        for extra, says in (
            ({"due_on": "soon"}, "valid date"),
            ({"previewed_for": "2026-13-45"}, "3 milestones"),
            ({"previewed_for": str(today + 17 * DAY), "successors": ["0"]}, "not one of the available"),
        ):
            answer = client.post(url, self.data(chain[0], today + 17 * DAY) | extra, **headers)
            assert answer.status_code == 422
            assert says in answer.content.decode()

    def test_two_people_at_once(self, chain, alice, asker, sign_in, today, name, headers):
        first = chain[3]
        change_milestone(asker(alice), first, due_on=today + 41 * DAY)
        data = {"name": "d", "due_on": str(today + 50 * DAY), "version": 1}
        answer = sign_in(alice).post(reverse(name, args=[first.pk]), data, **headers)
        assert answer.status_code == 422
        assert "Alice Manager changed this milestone meanwhile: due date" in answer.content.decode()


def test_it_says_what_goes_beyond_the_end_of_a_phase(plan, poc, alice, asker, today):
    from roadmap.queries.schedule import successor_moves

    first = add_milestone(asker(alice), poc, name="a", due_on=today)
    add_milestone(asker(alice), poc, name="b", due_on=poc.planned_end_on - DAY, depends_on=[first])
    row = successor_moves(first, today + 4 * DAY)[0]
    assert row.beyond == 3
    assert "3 days after its phase is planned to end" in row.words


class TestRest:
    def test_a_dry_run_changes_nothing(self, chain, alice, api, today):
        body = {"due_on": str(today + 17 * DAY), "move_successors": [chain[2].pk], "dry_run": True}
        before = AuditEvent.objects.count()
        answer = api(alice, scopes=["manage"]).post(f"/api/v1/milestones/{chain[0].pk}/move", body, format="json")
        told = answer.json()
        assert answer.status_code == 200
        assert told["is_dry_run"] is True
        assert [(row["name"], row["days"], row["moves_along"]) for row in told["successors"]] == [
            ("b", 7, False),
            ("c", 7, True),
            ("d", 7, False),
        ]
        assert due(chain[0]) == today + 10 * DAY
        assert AuditEvent.objects.count() == before

    def test_then_it_moves(self, chain, alice, api, today):
        body = {"due_on": str(today + 17 * DAY), "move_successors": "all", "version": 1}
        client, url = api(alice, scopes=["manage"]), f"/api/v1/milestones/{chain[0].pk}/move"
        answer = client.post(url, body, format="json")
        assert answer.json()["milestone"]["due_on"] == str(today + 17 * DAY)
        assert [due(item) for item in chain] == [today + days * DAY for days in (17, 27, 37, 47)]
        assert client.post(url, body, format="json").status_code == 409

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"due_on": "soon"},
            {"due_on": "2027-01-01", "move_successors": "some"},
            {"due_on": "2027-01-01", "move_successors": [True]},
            {"due_on": "2027-01-01", "move_successors": [0]},
            {"due_on": "1900-01-01", "dry_run": True},
            {"due_on": "2027-01-01", "colour": 1},
        ],
    )
    def test_bad_input(self, chain, alice, api, body):
        answer = api(alice, scopes=["manage"]).post(f"/api/v1/milestones/{chain[0].pk}/move", body, format="json")
        assert answer.status_code in (400, 422)
        assert answer["Content-Type"] == "application/problem+json"

    def test_patch_takes_both(self, chain, alice, api, today):
        body = {"due_on": str(today + 11 * DAY), "move_successors": "all", "depends_on": []}
        answer = api(alice, scopes=["manage"]).patch(f"/api/v1/milestones/{chain[2].pk}", body, format="json")
        assert answer.json()["depends_on"] == []
        assert due(chain[3]) == today + 21 * DAY


@pytest.mark.parametrize("amount", [3, 40])
def test_a_move_costs_the_same_queries_however_many_wait(
    plan, poc, alice, asker, today, amount, django_assert_max_num_queries
):
    first = add_milestone(asker(alice), poc, name="a", due_on=today)
    for index in range(amount):
        later = Milestone.objects.create(phase=poc, name=f"m{index}", due_on=today + DAY, baseline_due_on=today + DAY)
        later.depends_on.add(first)
    with django_assert_max_num_queries(16):
        change_milestone(asker(alice), first, due_on=today + DAY, move_successors="all")
    assert poc.milestones.filter(due_on=today + 2 * DAY).count() == amount


def test_the_feed_says_how_many_moved_along():
    was = {"due_on": "2026-11-03", "#7 Pilot": "2026-11-10", "#8 Runbook": "2026-11-12"}
    now = {"due_on": "2026-11-05", "#7 Pilot": "2026-11-12", "#8 Runbook": "2026-11-14"}
    told = sentence("change_milestone", "Data", was, now).replace("\u00a0", " ")
    assert told == 'moved "Data" from 3 to 5 Nov 2026, and 2 milestones that wait for it'
