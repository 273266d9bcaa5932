"""Choosing two reports, and who may."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions.reports import close_month
from roadmap.models import Report
from roadmap.queries.report_comparison import nearby_reports, two_reports
from tests.roadmap.report_comparison.common import KINDS, PAGE, PEOPLE, REST, query
from tests.roadmap.test_reports import MONTH, NOW, roadmap_report


def test_a_report_s_page_leads_to_the_usual_ones(revisions, months, alice, sign_in, asker):
    september, first = months
    second = revisions[1]
    page = sign_in(alice).get(reverse("report", args=[second.uuid])).content.decode()
    assert f"{PAGE}?a={september.uuid}&amp;b={second.uuid}" in page
    assert f"{PAGE}?a={first.uuid}&amp;b={second.uuid}" in page
    page = sign_in(alice).get(reverse("report", args=[first.uuid])).content.decode()
    # An older revision is always the first of the two.
    assert f"{PAGE}?a={first.uuid}&amp;b={second.uuid}" in page
    near = nearby_reports(asker(alice), september)
    assert (near.month_before, near.year_before, near.revisions) == (None, None, [])


def test_the_page_sets_them_side_by_side(months, alice, sign_in):
    client = sign_in(alice)
    page = client.get(PAGE, query(*months))
    text = page.content.decode()
    assert page.status_code == 200
    for said in ("September\u00a02026", "October\u00a02026", "+343.50", "more"):
        assert said in text or said.replace("\u00a0", " ") in text
    for kind in KINDS:
        assert f"comparison.{kind}?a={months[0].uuid}&amp;b={months[1].uuid}" in text


def test_with_one_of_the_two_it_asks_for_the_other(months, alice, sign_in):
    page = sign_in(alice).get(PAGE, {"b": str(months[1].uuid)})
    assert page.status_code == 200
    text = page.content.decode()
    assert "Any two months or revisions side by side." in text
    assert text.count(f'value="{months[0].uuid}"') == 2
    assert sign_in(alice).get(PAGE).status_code == 302


@pytest.mark.parametrize("person", PEOPLE)
def test_by_role(months, adam, person, request, client, api):
    who = request.getfixturevalue(person)
    client.force_login(who)
    rest = api(who, scopes=["read"])
    expected = 404 if person == "oscar" else 200
    assert client.get(PAGE, query(*months)).status_code == expected
    assert client.get(PAGE, {"b": str(months[1].uuid)}).status_code == expected
    assert rest.get(REST, query(*months)).status_code == expected
    for kind in KINDS:
        assert client.get(reverse("report_comparison_file", args=[kind]), query(*months)).status_code == expected
        assert rest.get(f"{REST}comparison.{kind}", query(*months)).status_code == expected
    portfolio = Report.objects.filter(scope=Report.Scope.PORTFOLIO).order_by("month")
    expected = 200 if person in ("erin", "adam") else 404
    assert client.get(PAGE, query(*portfolio)).status_code == expected
    assert rest.get(REST, query(*portfolio)).status_code == expected


def test_both_have_to_be_seen(months, adam, alice, oscar, other, api, sign_in, claims):
    from roadmap.actions.roadmaps import make_roadmap

    hidden = make_roadmap(Asker(adam), name="Hidden", owner=adam, start_on=date(2026, 9, 1))
    close_month(Asker(adam), MONTH)
    theirs = roadmap_report(hidden)
    for pair in ((months[1], theirs), (theirs, months[1])):
        assert sign_in(alice).get(PAGE, query(*pair)).status_code == 404
        assert api(alice, scopes=["read"]).get(REST, query(*pair)).status_code == 404
    # Who sees both cannot compare two things either, and is told.
    page = sign_in(adam).get(PAGE, query(months[1], theirs))
    assert page.status_code == 422
    assert "reports of two things" in page.content.decode()
    answer = api(adam, scopes=["read"]).get(REST, query(months[1], theirs))
    assert answer.status_code in (409, 422)
    assert "not_alike" in answer.content.decode()
    assert (
        sign_in(adam).get(reverse("report_comparison_file", args=["pdf"]), query(months[1], theirs)).status_code == 404
    )


def test_tokens_of_another_roadmap_or_of_pushing_compare_nothing(months, adam, alice, other, api):
    assert api(adam, scopes=["read"], workload=other).get(REST, query(*months)).status_code == 404
    assert api(alice, scopes=["push"]).get(REST, query(*months)).status_code == 403
    assert api(alice, scopes=["read"], expires_at=NOW).get(REST, query(*months)).status_code == 401


def test_nobody_who_is_not_signed_in_compares(months, client):
    assert client.get(PAGE, query(*months)).status_code == 302
    assert client.get(reverse("report_comparison_file", args=["pdf"]), query(*months)).status_code == 302
    assert client.get(REST, query(*months)).status_code == 401


def test_a_draft_is_not_compared(months, adam, sign_in, api):
    draft = Report.objects.create(
        scope=Report.Scope.ROADMAP, roadmap=months[1].roadmap, month=date(2026, 11, 1), state=Report.State.DRAFT
    )
    assert sign_in(adam).get(PAGE, query(months[1], draft)).status_code == 404
    assert sign_in(adam).get(PAGE, {"b": str(draft.uuid)}).status_code == 404
    assert api(adam, scopes=["read"]).get(REST, query(draft, months[1])).status_code == 404


@pytest.mark.parametrize("value", ["x", "%00", "1", "0" * 300, "-1", "{'a': 1}"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_an_odd_address_is_not_found(months, alice, sign_in, api, name, value):
    given = {**query(*months), name: value}
    assert sign_in(alice).get(PAGE, given).status_code == 404
    assert sign_in(alice).get(reverse("report_comparison_file", args=["pdf"]), given).status_code == 404
    answer = api(alice, scopes=["read"]).get(REST, given)
    assert answer.status_code in (400, 422)
    assert f'"{name}"' in answer.content.decode() or f"/{name}" in answer.content.decode()


def test_what_is_not_there_is_not_found(months, alice, sign_in, api):
    client, rest = sign_in(alice), api(alice, scopes=["read"])
    nobody = {"a": str(uuid4()), "b": str(months[1].uuid)}
    assert client.get(PAGE, nobody).status_code == 404
    assert rest.get(REST, nobody).status_code == 404
    assert rest.get(REST, {"a": str(months[0].uuid)}).status_code in (400, 422)
    assert client.get(reverse("report_comparison_file", args=["exe"]), query(*months)).status_code == 404
    assert client.get(reverse("report_comparison_file", args=["pdf"])).status_code == 404
    assert rest.get(f"{REST}comparison.exe", query(*months)).status_code == 404


def test_one_and_the_same_is_said(months, alice, sign_in, api, asker):
    page = sign_in(alice).get(PAGE, query(months[1], months[1]))
    assert page.status_code == 422
    assert "one and the same" in page.content.decode()
    assert api(alice, scopes=["read"]).get(REST, query(months[1], months[1])).status_code in (409, 422)
    with pytest.raises(RuleViolation):
        two_reports(asker(alice), months[1].uuid, months[1].uuid)


def test_queries_do_not_grow_with_the_reports(months, alice, sign_in, revisions):
    client = sign_in(alice)
    client.get(PAGE, query(*months))
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE, query(*months))
    for number in range(3, 9):
        Report.objects.create(
            scope=Report.Scope.ROADMAP, roadmap=months[1].roadmap, month=MONTH, revision=number,
            state=Report.State.PUBLISHED, payload=months[1].payload, sha256="0" * 64, published_at=NOW,
        )  # fmt: skip
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE, query(*months))
    assert len(many) == len(few)
    assert len([one for one in many if "roadmap_report" in one["sql"]]) <= 3
