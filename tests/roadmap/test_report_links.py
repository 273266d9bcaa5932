"""Private links to reports: who makes them, what they open, and that nothing is left of those that ended."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.log import ServerFormatter

from accounts.access import Asker
from accounts.models import AuditEvent, Membership, Role
from config.error_report import ErrorReport
from config.logs import NoSecretAddresses, without_secret_addresses
from metrics.errors import RuleViolation
from roadmap.actions.report_links import make_report_link, revoke_report_link
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportLink
from roadmap.queries.report_links import open_report_link
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report

__all__ = ["roadmap"]
KINDS = ("pdf", "xlsx", "csv", "json")
DEAD = "This link does not work any more"
PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def report(roadmap, adam, alice, bob, vera) -> Report:
    """October of 'Letters', which alice manages, to which bob contributes and which vera views."""
    for person, role in ((alice, Role.MANAGER), (bob, Role.CONTRIBUTOR), (vera, Role.VIEWER)):
        Membership.objects.create(user=person, workload=roadmap.workload, role=role)
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
    close_month(Asker(adam), MONTH)
    return roadmap_report(roadmap)


@pytest.fixture
def portfolio(report) -> Report:
    return Report.objects.get(scope=Report.Scope.PORTFOLIO)


@pytest.fixture
def secret(report, alice) -> str:
    return make_report_link(Asker(alice), report, label="The board")[1]


def page_of(secret: str) -> str:
    return reverse("linked_report", args=[secret])


def read(secret: str):
    return Client().get(page_of(secret))


def move_to(monkeypatch, moment: datetime) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)


# --- What it opens ----------------------------------------------------------------------------------------------------


def test_it_opens_the_report_without_signing_in(report, secret):
    answer = read(secret)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert report.sha256 in page
    assert "42.50" in page
    assert answer.cookies == {}


def test_the_page_leads_nowhere_but_to_its_files(report, secret, portfolio):
    page = read(secret).content.decode()
    links = set(re.findall(r'href="([^"]*)"', page))
    beyond = {link for link in links if not link.startswith(("/static/", "#"))}
    assert beyond == {"?lang=nl", *(f"/r/{secret}/report.{kind}?lang=en" for kind in KINDS)}
    assert "<script" not in page
    assert "<form" not in page
    assert "csrf" not in page
    # Who made it, who published it and for whom it is are not the reader's to know.
    for text in ("Alice", "The board", str(report.uuid), str(portfolio.uuid), "Sign in", "Sign out"):
        assert text not in page


def test_who_published_stands_on_the_report_s_own_page_alone(report, secret, adam, sign_in):
    assert "by Adam Admin" in sign_in(adam).get(reverse("report", args=[report.uuid])).content.decode()
    assert "by Adam Admin" not in read(secret).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_those_of_the_report(report, secret, kind, adam, sign_in):
    mine = sign_in(adam).get(reverse("report_file", args=[report.uuid, kind]))
    theirs = Client().get(reverse("linked_report_file", args=[secret, kind]))
    assert theirs.status_code == 200
    assert theirs["Content-Disposition"] == mine["Content-Disposition"]
    assert theirs["Content-Type"] == mine["Content-Type"]
    assert theirs.content == mine.content


@pytest.mark.parametrize("path", ["", "report.pdf", "report.json", "report.exe", "anything/else"])
@pytest.mark.parametrize("works", [True, False])
def test_no_other_site_cache_or_search_engine_learns_the_address(secret, path, works):
    answer = Client().get(f"/r/{secret if works else 'x' * 43}/{path}")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"].startswith("noindex")
    assert "no-store" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    policy = answer["Content-Security-Policy"]
    for rule in ("default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_being_signed_in_changes_nothing(report, secret, oscar, adam, sign_in):
    alone = read(secret).content
    for person in (oscar, adam):
        assert sign_in(person).get(page_of(secret)).content == alone


def test_it_opens_only_its_own_revision_and_says_that_there_is_a_later_one(report, secret, roadmap, adam, alice):
    assert "corrected report" not in read(secret).content.decode()
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=1, cost="7.50")
    close_month(Asker(adam), MONTH, revise=True)
    second = roadmap_report(roadmap)
    page = read(secret).content.decode()
    assert second.revision == 2
    assert "A corrected report of this month was published on 22\u00a0Nov\u00a02026." in page
    assert report.sha256 in page
    for text in (second.sha256, str(second.uuid), "50.00"):
        assert text not in page
    later = make_report_link(Asker(alice), second, label="The board")[1]
    page = read(later).content.decode()
    assert "corrected report" not in page
    assert second.sha256 in page


def test_a_use_leaves_a_count_and_a_moment_and_nobody(secret, monkeypatch):
    rows = AuditEvent.objects.count()
    read(secret)
    later = NOW + timedelta(minutes=1)
    move_to(monkeypatch, later)
    Client().get(reverse("linked_report_file", args=[secret, "csv"]))
    # What only asks whether it is there has read nothing.
    assert Client().head(page_of(secret)).status_code == 200
    link = ReportLink.objects.get()
    assert (link.uses, link.last_used_at) == (2, later)
    assert AuditEvent.objects.count() == rows


def test_a_page_costs_the_same_queries_however_many_links_there_are(report, secret, alice):
    with CaptureQueriesContext(
        connection,
    ) as few:
        read(secret)
    for number in range(20):
        make_report_link(Asker(alice), report, label=f"Reader {number}")
    with CaptureQueriesContext(connection) as many:
        read(secret)
    assert len(many) == len(few) <= 4


def test_nothing_is_changed_at_it(secret):
    for method in ("post", "put", "patch", "delete"):
        assert getattr(Client(), method)(page_of(secret)).status_code == 405


# --- In which language ------------------------------------------------------------------------------------------------


def test_it_speaks_the_language_asked_for(secret):
    english, dutch = Client().get(page_of(secret)), Client().get(page_of(secret), {"lang": "nl"})
    assert '<html lang="en">' in english.content.decode()
    assert '<html lang="nl">' in dutch.content.decode()
    assert (english["Content-Language"], dutch["Content-Language"]) == ("en", "nl")
    assert "Letters, oktober" in dutch.content.decode().replace("\u00a0", " ")
    # Each of the two leads to the other, and to the files in its own.
    assert 'href="?lang=nl"' in english.content.decode()
    assert 'href="?lang=en"' in dutch.content.decode()
    assert f"/r/{secret}/report.pdf?lang=nl" in dutch.content.decode()
    files = [Client().get(f"/r/{secret}/report.csv", {"lang": language}).content for language in ("en", "nl")]
    assert files[0] != files[1]
    assert b"oktober" in Client().get(f"/r/{secret}/report.csv", {"lang": "nl"}).content or b"Uitgaven" in files[1]
    # What is hashed has no language.
    assert len({Client().get(f"/r/{secret}/report.json", {"lang": one}).content for one in ("en", "nl", "x")}) == 1


def test_the_browser_s_language_is_the_reader_s(secret):
    assert '<html lang="nl">' in Client().get(page_of(secret), headers={"accept-language": "nl-BE"}).content.decode()
    assert '<html lang="nl">' in Client().get("/r/x/", headers={"accept-language": "nl"}).content.decode()
    assert "Deze link werkt niet meer" in Client().get("/r/x/", {"lang": "nl"}).content.decode()


@pytest.mark.parametrize("value", ["de", "", "nl-BE", "x" * 5000, "%00", "../nl", "<script>"])
def test_a_language_that_is_not_spoken_is_english(secret, value):
    answer = Client().get(page_of(secret), {"lang": value})
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.content.decode()
    assert "<script" not in answer.content.decode()


def test_a_report_of_version_1_is_english_alone(report, alice):
    kept = json.loads((Path(__file__).parents[1] / "data" / "reports" / "v1_october.json").read_text())
    old = Report.objects.create(
        scope=Report.Scope.ROADMAP, roadmap=report.roadmap, month=date(2026, 8, 1), state=Report.State.PUBLISHED,
        payload=kept, schema_version=1, sha256="0" * 64, published_at=NOW,
    )  # fmt: skip
    secret = make_report_link(Asker(alice), old, label="x")[1]
    page = Client().get(page_of(secret), {"lang": "nl"}).content.decode()
    assert '<html lang="en">' in page
    assert "?lang=" not in page
    for kind in KINDS:
        assert Client().get(f"/r/{secret}/report.{kind}", {"lang": "nl"}).status_code == 200


# --- What does not work any more --------------------------------------------------------------------------------------


def end(case, link, *, alice, settings, monkeypatch):
    """Ends the link in one of the ways there are."""
    if case == "revoked":
        revoke_report_link(Asker(alice), link)
    elif case == "expired":
        move_to(monkeypatch, link.expires_at)
    elif case == "its maker left":
        alice.is_active = False
        alice.save()
    elif case == "its maker is gone":
        alice.delete()
    elif case == "switched off":
        settings.REPORT_LINKS = "off"
    elif case == "a setting that is no setting":
        settings.REPORT_LINKS = "perhaps"


ENDS = ("revoked", "expired", "its maker left", "its maker is gone", "switched off", "a setting that is no setting")


@pytest.mark.parametrize("case", ENDS)
def test_every_dead_link_is_the_page_of_an_unknown_one(secret, case, alice, settings, monkeypatch):
    nowhere = read("x" * 43)
    assert nowhere.status_code == 404
    assert DEAD in nowhere.content.decode()
    with CaptureQueriesContext(connection) as unknown:
        read("y" * 43)
    end(case, ReportLink.objects.get(), alice=alice, settings=settings, monkeypatch=monkeypatch)
    with CaptureQueriesContext(connection) as dead:
        answer = read(secret)
    assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert len(dead) == len(unknown) == 1
    for kind in KINDS:
        answer = Client().get(reverse("linked_report_file", args=[secret, kind]))
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert not ReportLink.objects.filter(uses__gt=0).exists()


def test_it_works_to_the_end_of_its_time_and_not_a_second_longer(secret, monkeypatch):
    link = ReportLink.objects.get()
    assert link.expires_at == NOW + timedelta(days=30)
    move_to(monkeypatch, link.expires_at - timedelta(seconds=1))
    assert read(secret).status_code == 200
    move_to(monkeypatch, link.expires_at)
    assert read(secret).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "x" * 42, "x" * 5000, "%00", "%F0%9F%98%80" * 20, "..%2F..", "' OR 1=1 --", "{secret}%20", "{secret}x"],
)
def test_odd_secrets_open_nothing(secret, wrong):
    answer = Client().get(f"/r/{wrong.format(secret=secret)}/")
    assert answer.status_code == 404
    assert "Letters" not in answer.content.decode()
    assert open_report_link(wrong) is None


@pytest.mark.parametrize("path", ["report.exe", "report.", "report.pdf/", "links/", "../", "report.PDF"])
def test_there_is_nothing_else_below_it(secret, path):
    answer = Client().get(f"/r/{secret}/{path}")
    assert answer.status_code == 404
    assert "Letters" not in answer.content.decode()
    assert "To the portfolio" not in answer.content.decode()
    assert ReportLink.objects.get().uses == 0


def test_without_its_last_slash_it_works_too(secret):
    assert Client().get(f"/r/{secret}").status_code == 200


def test_the_demo_s_links_are_labelled_and_go_with_it(adam, client):
    from roadmap.actions.roadmaps import make_roadmap

    demo = make_roadmap(Asker(adam), name="Shown", owner=adam, start_on=date(2026, 9, 1))
    demo.workload.is_demo = True
    demo.workload.save()
    close_month(Asker(adam), MONTH)
    report = roadmap_report(demo)
    secret = make_report_link(Asker(adam), report, label="A visitor")[1]
    assert report.is_demo
    assert "Demo data" in read(secret).content.decode()
    client.force_login(adam)
    assert "demo" in client.get(reverse("report_links", args=[report.uuid])).content.decode()
    # A demo report can be deleted, and its links go along.
    demo.delete()
    assert not ReportLink.objects.exists()
    assert read(secret).status_code == 404


# --- Who makes them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("scope", ["roadmap", "portfolio"])
def test_the_page_by_role(report, portfolio, person, scope, request, client):
    asked = report if scope == "roadmap" else portfolio
    address = reverse("report_links", args=[asked.uuid])
    client.force_login(request.getfixturevalue(person))
    sees = {"roadmap": PEOPLE[1:], "portfolio": ("erin", "adam")}[scope]
    keeps = {"roadmap": ("alice", "adam"), "portfolio": ("adam",)}[scope]
    expected = 200 if person in keeps else 403 if person in sees else 404
    form = {"label": "The board", "last_on": "2026-12-01"}
    assert client.get(address).status_code == expected
    assert client.post(address, form).status_code == expected
    assert ReportLink.objects.count() == (1 if person in keeps else 0)
    page = client.get(reverse("report", args=[asked.uuid]))
    assert (address in page.content.decode()) == (person in keeps)


@pytest.mark.parametrize("person", PEOPLE)
def test_revoking_by_role(report, secret, person, request, client):
    link = ReportLink.objects.get()
    client.force_login(request.getfixturevalue(person))
    answer = client.post(reverse("report_link_revoke", args=[report.uuid, link.pk]))
    expected = 404 if person == "oscar" else 303 if person in ("alice", "adam") else 403
    assert answer.status_code == expected
    assert read(secret).status_code == (404 if expected == 303 else 200)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("scope", ["roadmap", "portfolio"])
def test_rest_by_role(report, portfolio, adam, person, scope, request, api):
    asked = report if scope == "roadmap" else portfolio
    held, _ = make_report_link(Asker(adam), asked, label="Held")
    address = reverse("api_report_links", args=[asked.uuid])
    sees = {"roadmap": PEOPLE[1:], "portfolio": ("erin", "adam")}[scope]
    keeps = {"roadmap": ("alice", "adam"), "portfolio": ("adam",)}[scope]
    client = api(request.getfixturevalue(person), scopes=["manage"])
    refused = None if person in keeps else 403 if person in sees else 404
    assert client.get(address).status_code == (refused or 200)
    assert client.post(address, {"label": "New"}).status_code == (refused or 201)
    assert client.delete(f"{address}{held.pk}").status_code == (refused or 204)


def test_tokens_of_another_roadmap_of_less_or_of_yesterday_keep_none(report, adam, alice, other, api, roadmap):
    address = reverse("api_report_links", args=[report.uuid])
    bound = api(adam, scopes=["manage"], workload=other)
    assert (bound.get(address).status_code, bound.post(address, {"label": "x"}).status_code) == (404, 404)
    reads = api(alice, scopes=["read"])
    assert (reads.get(address).status_code, reads.post(address, {"label": "x"}).status_code) == (200, 403)
    pushes = api(alice, scopes=["push"])
    assert (pushes.get(address).status_code, pushes.post(address, {"label": "x"}).status_code) == (403, 403)
    over = api(alice, scopes=["manage"], expires_at=NOW)
    assert over.get(address).status_code == 401
    # A token of one roadmap, an admin's even, keeps no link to the portfolio.
    portfolio = Report.objects.get(scope=Report.Scope.PORTFOLIO)
    mine = api(adam, scopes=["manage"], workload=roadmap.workload)
    assert mine.post(address, {"label": "x"}).status_code == 201
    assert mine.post(reverse("api_report_links", args=[portfolio.uuid]), {"label": "x"}).status_code == 404


def test_a_link_of_another_report_is_not_found(report, portfolio, secret, adam, sign_in, api):
    link = ReportLink.objects.get()
    assert sign_in(adam).post(reverse("report_link_revoke", args=[portfolio.uuid, link.pk])).status_code == 404
    client = api(adam, scopes=["manage"])
    assert client.delete(reverse("api_report_link", args=[portfolio.uuid, link.pk])).status_code == 404
    assert client.delete(reverse("api_report_link", args=[report.uuid, 10**18])).status_code == 404
    assert read(secret).status_code == 200


def test_nobody_who_is_not_signed_in_makes_one(report, client):
    assert client.get(reverse("report_links", args=[report.uuid])).status_code == 302
    assert client.get(reverse("api_report_links", args=[report.uuid])).status_code == 401


# --- Making and revoking ----------------------------------------------------------------------------------------------


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


# --- Logs and error reports -------------------------------------------------------------------------------------------

SECRET = "s3cr3t-" + "x" * 36


@pytest.mark.parametrize(
    "line",
    [
        f"GET /r/{SECRET}/ HTTP/1.1",
        f"GET http://h.example:8000/r/{SECRET}/report.pdf?lang=nl HTTP/1.1",
        f'"http://h.example/r/{SECRET}"',
        f"Not Found: /r/{SECRET}/else",
    ],
)
def test_an_address_is_taken_out_of_a_line(line):
    assert SECRET not in without_secret_addresses(line)
    assert "/r/•••" in without_secret_addresses(line)


def test_an_address_that_ends_a_subscription_is_one():
    assert SECRET not in without_secret_addresses(f"GET /reports/unsubscribe/{SECRET}/ HTTP/1.1")


def test_other_addresses_stay_as_they_are():
    for line in ("GET /reports/0b0e7c52-8f2b-4a6e-9a42-0c3a6b2f7c11/ HTTP/1.1", "GET /r/short/ HTTP/1.1", "/r/"):
        assert without_secret_addresses(line) == line


def test_django_does_not_log_it(secret, caplog):
    caplog.handler.addFilter(NoSecretAddresses())
    with caplog.at_level(logging.DEBUG):
        Client().get(f"/r/{SECRET}/")
        Client().post(page_of(secret))
    assert "/r/•••" in caplog.text
    assert SECRET not in caplog.text
    assert secret not in caplog.text


def test_every_handler_of_the_logs_takes_it_out(settings):
    """runserver's too, which Django gives a handler of its own."""
    assert settings.LOGGING["loggers"]["django.server"]["handlers"] == ["console"]
    named = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    of_ours = [one for log in named for one in log.handlers if one.formatter and one.formatter._fmt.startswith("%(asc")]
    assert of_ours
    for handler in of_ours:
        assert any(isinstance(one, NoSecretAddresses) for one in handler.filters)
    own = logging.getLogger("django.server").handlers
    assert not [one for one in own if isinstance(one.formatter, ServerFormatter)]


def test_pages_and_mails_of_errors_do_not_quote_it(rf: RequestFactory, settings):
    request = rf.get(f"/r/{SECRET}/", HTTP_REFERER=f"http://h.example/r/{SECRET}/")
    request.user = AnonymousUser()
    try:
        raise ValueError("broken")
    except ValueError as error:
        report = ErrorReport(request, ValueError, error, error.__traceback__)
        for text in (report.get_traceback_html(), report.get_traceback_text()):
            assert "broken" in text
            assert SECRET not in text
            assert "/r/•••" in text
    assert settings.DEFAULT_EXCEPTION_REPORTER == "config.error_report.ErrorReport"
