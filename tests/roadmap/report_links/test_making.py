"""Making and revoking private links, on the page and over REST."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions.report_links import make_report_link, revoke_report_link
from roadmap.models import Report, ReportLink
from tests.roadmap.report_links.common import read
from tests.roadmap.test_reports import NOW


def shown(answer) -> str:
    return re.search(r"http://[^<]*/r/([\w-]{43})/", answer.content.decode()).group(1)


def test_the_page_makes_and_revokes_and_shows_an_address_once(report, alice, sign_in):
    client, address = sign_in(alice), reverse("report_links", args=[report.uuid])
    assert "No link yet." in client.get(address).content.decode()
    made = client.post(address, {"label": "  The   board ", "last_on": "2026-12-01"})
    secret = shown(made)
    assert "no-store" in made["Cache-Control"]
    page = client.get(address).content.decode()
    assert secret not in page
    assert "The board" in page
    assert "never yet" in page
    link = ReportLink.objects.get()
    assert link.label == "The board"
    # To the end of the first of December.
    assert link.expires_at == datetime(2026, 12, 2, tzinfo=UTC)
    assert read(secret).status_code == 200
    assert "once" in client.get(address).content.decode()
    revoke = reverse("report_link_revoke", args=[report.uuid, link.pk])
    assert client.post(revoke).status_code == 303
    page = client.get(address).content.decode()
    assert "Revoked" in page
    assert "The link is revoked" in page
    # The second time it says so, and changes nothing.
    assert client.post(revoke, follow=True).content.decode().count("This link is revoked already.") == 1
    told = AuditEvent.objects.filter(action__endswith="report_link").order_by("pk")
    assert [row.action for row in told] == ["make_report_link", "revoke_report_link"]
    assert all(secret not in f"{row.before}{row.after}{row.subject_name}" for row in told)
    assert told[0].after["label"] == "The board"
    assert {row.workload for row in told} == {report.roadmap.workload}


def test_rest_makes_and_revokes_by_the_same_rules(report, alice, api):
    client, address = api(alice, scopes=["manage"]), reverse("api_report_links", args=[report.uuid])
    answer = client.post(address, {"label": "The board", "expires_at": "2026-12-01T12:00:00Z"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    secret = re.search(r"/r/([\w-]{43})/$", made["url"]).group(1)
    assert read(secret).status_code == 200
    (row,) = client.get(address).json()["results"]
    assert "url" not in row
    assert (row["state"], row["uses"], row["created_by"]) == ("works", 1, "alice")
    assert row["expires_at"] == "2026-12-01T12:00:00Z"
    assert client.delete(f"{address}{row['id']}").status_code == 204
    assert client.delete(f"{address}{row['id']}").status_code in (409, 422)
    (row,) = client.get(address).json()["results"]
    assert (row["state"], row["revoked_by"]) == ("revoked", "alice")
    assert read(secret).status_code == 404


BAD = [
    ({"label": ""}, "label"),
    ({"label": "   "}, "label"),
    ({"label": "x" * 101}, "label"),
    ({"label": "a\x00b"}, "label"),
    ({}, "label"),
    ({"label": "x", "expires_at": "2026-11-21T00:00:00Z"}, "expires_at"),
    ({"label": "x", "expires_at": "2026-11-22T12:00:00Z"}, "expires_at"),
    ({"label": "x", "expires_at": "2027-11-24T00:00:01Z"}, "expires_at"),
    ({"label": "x", "expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
    ({"label": "x", "expires_at": "soon"}, "expires_at"),
    ({"label": "x", "secret": "mine"}, "secret"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=range(len(BAD)))
def test_rest_names_what_is_wrong(report, alice, api, body, field):
    answer = api(alice, scopes=["manage"]).post(reverse("api_report_links", args=[report.uuid]), body)
    assert answer.status_code in (400, 422)
    assert field in answer.content.decode()
    assert not ReportLink.objects.exists()


@pytest.mark.parametrize(
    ("label", "last_on"),
    [
        ("", "2026-12-01"),
        ("x", ""),
        ("x", "2026-11-21"),
        ("x", "2027-11-24"),
        ("x", "9999-12-31"),
        ("x", "31-12"),
        ("x" * 101, "2026-12-01"),
        ("a\x00b", "2026-12-01"),
    ],
)
def test_the_form_names_what_is_wrong(report, alice, sign_in, label, last_on):
    answer = sign_in(alice).post(reverse("report_links", args=[report.uuid]), {"label": label, "last_on": last_on})
    assert answer.status_code == 422
    assert not ReportLink.objects.exists()


def test_the_last_day_that_may_be_works(report, alice, sign_in):
    address = reverse("report_links", args=[report.uuid])
    assert sign_in(alice).post(address, {"label": "x", "last_on": "2027-11-23"}).status_code == 200
    assert ReportLink.objects.get().expires_at == datetime(2027, 11, 24, tzinfo=UTC)


def test_the_operator_says_how_long(report, alice, settings):
    settings.REPORT_LINK_DAYS, settings.REPORT_LINK_MAX_DAYS = 3, 7
    assert make_report_link(Asker(alice), report, label="x")[0].expires_at == NOW + timedelta(days=3)
    with pytest.raises(RuleViolation) as caught:
        make_report_link(Asker(alice), report, label="x", expires_at=NOW + timedelta(days=9))
    assert caught.value.message == "A link works for 7 days at most."


def test_a_token_makes_no_link_that_outlives_it(report, alice, api):
    client = api(alice, scopes=["manage"], expires_at=NOW + timedelta(days=2))
    address = reverse("api_report_links", args=[report.uuid])
    answer = client.post(address, {"label": "x", "expires_at": "2026-11-25T00:00:00Z"})
    assert answer.json()["errors"][0]["code"] == "outlives_token"
    made = client.post(address, {"label": "x"})
    assert made.json()["expires_at"] == "2026-11-24T12:00:00Z"


def test_none_is_made_where_they_are_switched_off(report, secret, alice, sign_in, settings):
    settings.REPORT_LINKS = "off"
    with pytest.raises(RuleViolation) as caught:
        make_report_link(Asker(alice), report, label="x")
    assert caught.value.code == "links_off"
    page = sign_in(alice).get(reverse("report_links", args=[report.uuid])).content.decode()
    assert "switched off by the operator" in page
    assert "Make a link" not in page
    assert "Switched off" in page
    # What there is can still be revoked, and works again with the setting.
    settings.REPORT_LINKS = "on"
    assert read(secret).status_code == 200


def test_only_what_is_published_has_links(report, alice, adam):
    draft = Report.objects.create(
        scope=Report.Scope.ROADMAP, roadmap=report.roadmap, month=date(2026, 9, 1), state=Report.State.DRAFT,
        payload=report.payload,
    )  # fmt: skip
    with pytest.raises(RuleViolation) as caught:
        make_report_link(Asker(alice), draft, label="x")
    assert caught.value.code == "not_published"
    # Whatever else may make one: it is not answered.
    text = "z" * 43
    from accounts.tokens import digest_of

    ReportLink.objects.create(
        report=draft, digest=digest_of(text), label="x", created_at=NOW, created_by=adam,
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    assert read(text).status_code == 404


def test_actions_refuse_who_keeps_none(report, portfolio, secret, bob, vera, erin, oscar, alice):
    rows = AuditEvent.objects.count()
    for person in (bob, vera, erin, oscar):
        with pytest.raises(PermissionDenied):
            make_report_link(Asker(person), report, label="x")
        with pytest.raises(PermissionDenied):
            revoke_report_link(Asker(person), ReportLink.objects.get())
    with pytest.raises(PermissionDenied):
        make_report_link(Asker(alice), portfolio, label="x")
    assert AuditEvent.objects.count() == rows


def test_the_database_refuses_a_link_that_ends_before_it_begins(report, alice):
    with pytest.raises(IntegrityError), transaction.atomic():
        ReportLink.objects.create(
            report=report, digest=b"1" * 32, label="x", created_at=NOW, created_by=alice, expires_at=NOW
        )


def test_the_secret_is_nowhere_stored(secret):
    link = ReportLink.objects.get()
    held = b"".join(str(value).encode() for value in vars(link).values()) + bytes(link.digest)
    assert secret.encode() not in held
    assert len(secret) == 43
    assert len(bytes(link.digest)) == 32
