"""Comments: who may, what is a link, who is told, and what stays."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions.comments import add_comment, change_comment, delete_comment
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Comment
from roadmap.queries.activity import activity
from roadmap.queries.comments import comments
from roadmap.queries.my_week import my_week


@pytest.fixture
def mentions(asker):
    return lambda person: [item.text for item in my_week(asker(person), today=timezone.localdate()).mentions]


@pytest.mark.parametrize("name", ["alice", "bob", "vera", "erin", "adam"])
def test_everybody_who_sees_the_roadmap_may(plan, name, request, asker):
    assert add_comment(asker(request.getfixturevalue(name)), plan, text="Hello").author_name


def test_the_outsider_may_not(plan, oscar, asker, sign_in, api):
    with pytest.raises(PermissionDenied):
        add_comment(asker(oscar), plan, text="Hello")
    comment = add_comment(asker(plan.owner), plan, text="Hello")
    client = sign_in(oscar)
    for place, key in (("comments", plan.slug), ("comment_new", plan.slug), ("comment_edit", comment.pk)):
        assert client.get(reverse(place, args=[key])).status_code == 404
    assert api(oscar, scopes=["manage"]).get(f"/api/v1/comments/{comment.pk}").status_code == 404


def test_only_its_author_changes_it(plan, alice, bob, adam, asker, sign_in, api):
    comment = add_comment(asker(bob), plan, text="Hello")
    for person in (alice, adam):
        with pytest.raises(PermissionDenied):
            change_comment(asker(person), comment, text="Mine")
        assert sign_in(person).get(reverse("comment_edit", args=[comment.pk])).status_code == 403
        client = api(person, scopes=["manage"])
        assert client.patch(f"/api/v1/comments/{comment.pk}", {"text": "Mine"}).status_code == 403
    answer = sign_in(bob).post(reverse("comment_edit", args=[comment.pk]), {"text": "Better"})
    assert answer.status_code == 303
    comment.refresh_from_db()
    assert (comment.text, comment.edited_at is None) == ("Better", False)


def test_its_author_and_managers_delete_it_and_the_trail_keeps_it(plan, alice, bob, vera, asker):
    first, second = (add_comment(asker(bob), plan, text=text) for text in ("one", "two"))
    with pytest.raises(PermissionDenied):
        delete_comment(asker(vera), first)
    delete_comment(asker(bob), first)
    delete_comment(asker(alice), second)
    assert not Comment.objects.exists()
    kept = AuditEvent.objects.filter(action="delete_comment").order_by("pk")
    assert [event.before["text"] for event in kept] == ["one", "two"]


def test_an_unchanged_text_writes_nothing(plan, bob, asker):
    comment = add_comment(asker(bob), plan, text="Hello")
    before = AuditEvent.objects.count()
    change_comment(asker(bob), comment, text=" Hello ")
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("text", ["", "  \n", "x" * 4001, "a\0b"])
def test_a_text_that_cannot_be_is_refused_in_words(plan, bob, asker, sign_in, api, text):
    with pytest.raises(RuleViolation):
        add_comment(asker(bob), plan, text=text)
    assert sign_in(bob).post(reverse("comment_new", args=[plan.slug]), {"text": text}).status_code == 422
    client = api(bob, scopes=["manage"])
    assert client.post("/api/v1/comments/", {"roadmap": plan.slug, "text": text}).status_code == 422


def test_markup_is_text_and_addresses_are_links(plan, bob, asker, sign_in):
    add_comment(asker(bob), plan, text="<b>x</b> javascript:alert(1) https://example.org/a?b=1&c=2")
    for address in (plan.get_absolute_url(), reverse("comments", args=[plan.slug])):
        page = sign_in(bob).get(address).content.decode()
        assert "&lt;b&gt;x&lt;/b&gt; javascript:alert(1)" in page
        assert '<a href="https://example.org/a?b=1&amp;c=2" rel="nofollow">' in page


def test_each_part_can_be_commented_on_page_and_over_rest(plan, poc, gate, bob, sign_in, api):
    parts = {"phase": poc, "gate": gate, "milestone": poc.milestones.first(), "risk": plan.risks.first()}
    client = sign_in(bob)
    for kind, part in parts.items():
        form = {"text": f"page {kind}", "about": f"{kind}-{part.pk}"}
        assert client.post(reverse("comment_new", args=[plan.slug]), form).status_code == 303
        body = {"roadmap": plan.slug, "text": f"rest {kind}", kind: part.pk}
        assert api(bob, scopes=["manage"]).post("/api/v1/comments/", body).json()[kind] == part.pk
    assert {(one.text, one.part) for one in Comment.objects.all()} == {
        (f"{way} {kind}", part) for kind, part in parts.items() for way in ("page", "rest")
    }


def test_each_part_shows_its_own_comments_and_leads_to_them(plan, poc, gate, bob, asker, sign_in):
    client = sign_in(bob)
    milestone, risk = poc.milestones.first(), plan.risks.first()
    pages = {
        poc: poc.get_absolute_url(),
        gate: gate.get_absolute_url(),
        milestone: poc.get_absolute_url(),
        risk: plan.get_absolute_url(),
    }
    for part, page in pages.items():
        key = f"{part._meta.model_name}-{part.pk}"
        write = f"{reverse('comment_new', args=[plan.slug])}?about={key}"
        assert write in client.get(page).content.decode(), key
        form = client.get(write)
        assert form.context["opened"].form.initial["about"] == key
        answer = client.post(write, {"text": f"On {key}.", "about": key})
        read = f"{reverse('comments', args=[plan.slug])}?about={key}"
        assert answer.url == f"{read}#comments"
        assert read in client.get(page).content.decode(), key
    for part in pages:
        key = f"{part._meta.model_name}-{part.pk}"
        shown = client.get(f"{reverse('comments', args=[plan.slug])}?about={key}").content.decode()
        assert [f"On {part._meta.model_name}-{part.pk}." in shown for part in pages].count(True) == 1
        assert f"On {key}." in shown
    # The phase tells what was said about its milestones and its gate, too.
    page = client.get(poc.get_absolute_url()).content.decode()
    assert [f"On {part._meta.model_name}-{part.pk}." in page for part in pages] == [True, True, True, False]


@pytest.mark.parametrize(
    "about", ["risk-0", "milestone-", "milestone-x", "user-1", "phase-99999999999999999999", "-1", "x"]
)
def test_an_address_about_no_part_is_not_found(plan, bob, sign_in, about):
    assert sign_in(bob).get(reverse("comments", args=[plan.slug]), {"about": about}).status_code == 404
    assert sign_in(bob).get(reverse("comment_new", args=[plan.slug]), {"about": about}).status_code == 200


def test_a_comment_changed_in_a_part_s_list_comes_back_to_that_list(plan, poc, bob, asker, sign_in):
    milestone = poc.milestones.first()
    add_comment(asker(bob), plan, text="Elsewhere")
    comment = add_comment(asker(bob), plan, text="Here", about=milestone)
    url = f"{reverse('comments', args=[plan.slug])}?about=milestone-{milestone.pk}"
    htmx = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": f"http://testserver{url}"}
    page = sign_in(bob).post(reverse("comment_edit", args=[comment.pk]), {"text": "Here now"}, **htmx).content.decode()
    assert ("Here now" in page, "Elsewhere" in page) == (True, False)
    htmx["HTTP_HX_CURRENT_URL"] = f"http://testserver{reverse('comments', args=[plan.slug])}"
    page = sign_in(bob).post(reverse("comment_edit", args=[comment.pk]), {"text": "Here"}, **htmx).content.decode()
    assert ("Here" in page, "Elsewhere" in page) == (True, True)


def test_a_part_of_another_roadmap_is_unknown(plan, adam, bob, sign_in, api, asker):
    other = make_roadmap(asker(adam), name="Other", owner=adam)
    risk = other.risks.first()
    form = {"text": "x", "about": f"risk-{risk.pk}"}
    assert sign_in(bob).post(reverse("comment_new", args=[plan.slug]), form).status_code == 422
    client = api(bob, scopes=["manage"])
    assert client.post("/api/v1/comments/", {"roadmap": plan.slug, "text": "x", "risk": risk.pk}).status_code == 422
    huge = {"roadmap": plan.slug, "text": "x", "risk": 10**30}
    assert client.post("/api/v1/comments/", huge).status_code == 422
    two = {"roadmap": plan.slug, "text": "x", "risk": plan.risks.first().pk, "phase": plan.phases.first().pk}
    assert client.post("/api/v1/comments/", two).json()["code"] == "one_part"
    with pytest.raises(RuleViolation):
        add_comment(asker(bob), plan, text="x", about=risk)


def test_the_database_holds_one_part_at_most(plan, poc, gate):
    with pytest.raises(IntegrityError), transaction.atomic():
        Comment.objects.create(roadmap=plan, phase=poc, gate=gate, text="x", author_name="x")


def test_a_comment_stays_with_the_roadmap_when_its_part_goes(plan, alice, asker):
    risk = plan.risks.first()
    add_comment(asker(alice), plan, text="x", about=risk)
    risk.delete()
    assert Comment.objects.get().part is None


def test_who_is_named_and_sees_it_finds_it_in_my_week(plan, alice, bob, oscar, asker, mentions):
    comment = add_comment(asker(alice), plan, text="@bob, look at this. @oscar @nobody alice@bob and @alice.")
    assert set(comment.mentioned.all()) == {bob, alice}
    assert len(mentions(bob)) == 1
    assert mentions(alice) == mentions(oscar) == []
    change_comment(asker(alice), comment, text="never mind")
    assert mentions(bob) == []


def test_who_left_the_roadmap_is_not_shown_it(plan, alice, bob, asker, mentions):
    add_comment(asker(alice), plan, text="@bob")
    bob.memberships.all().delete()
    assert mentions(bob) == []


def test_the_activity_tells_it(plan, gate, bob, asker):
    add_comment(asker(bob), plan, text="Why?", about=gate)
    assert activity(asker(bob), plan).lines[0].what.endswith(": Why?")


def test_htmx_gets_the_section_with_the_form(plan, bob, asker, sign_in):
    comment = add_comment(asker(bob), plan, text="Hello")
    page = sign_in(bob).get(reverse("comment_edit", args=[comment.pk]), headers={"HX-Request": "true"}).content.decode()
    assert page.strip().startswith("<section")
    assert "<textarea" in page


def test_pages_hold_each_once_in_the_same_queries(plan, bob, asker, sign_in, django_assert_num_queries):
    for number in range(70):
        add_comment(asker(bob), plan, text=f"n{number}", about=plan.risks.first())
    with django_assert_num_queries(2):
        found = comments(asker(bob), plan)
    older = comments(asker(bob), plan, before=found.lines[-1].comment.pk)
    texts = [line.comment.text for line in (*found.lines, *older.lines)]
    assert texts == [f"n{number}" for number in reversed(range(70))]
    client, place = sign_in(bob), reverse("comments", args=[plan.slug])
    for before in ("x", "-1", "9" * 30, "%00"):
        assert client.get(f"{place}?before={before}").status_code == 200
