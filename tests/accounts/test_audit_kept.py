"""The database itself refuses to change or delete what the audit trail says."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

import manage
from accounts import audit
from accounts.access import Asker
from accounts.actions import issue_token
from accounts.models import AuditEvent, Token, Workload
from accounts.origin import client_address, coming_from, parse_proxies
from config.celery import app
from config.checks import check_settings

PROXIES = parse_proxies(["10.0.0.0/8", "::1"])


@pytest.fixture
def event(claims, alice):
    return audit.record(Asker(alice), action="change_roadmap", subject=claims, workload=claims, after={"name": "x"})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditevent SET actor_name = 'nobody'",
        "UPDATE accounts_auditevent SET is_demo = true",
        "DELETE FROM accounts_auditevent",
        "TRUNCATE accounts_auditevent",
    ],
)
def test_postgresql_refuses(event, statement):
    with connection.cursor() as cursor:
        # As an installation has it; the tests' own clean-up needs it off.
        cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER audit_is_kept")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    kept = AuditEvent.objects.get()
    assert (kept.actor_name, kept.is_demo) == ("Alice Manager", False)


def test_a_demo_row_goes_but_is_never_changed(alice):
    demo = Workload.objects.create(slug="demo", name="Demo", is_demo=True)
    audit.record(Asker(alice), action="change_roadmap", subject=demo, workload=demo)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.update(is_demo=False)
    AuditEvent.objects.all().delete()
    assert not AuditEvent.objects.exists()


def test_the_row_stays_as_written_when_person_and_workload_go(event, claims, alice):
    held = AuditEvent.objects.values().get()
    alice.delete()
    claims.delete()
    assert AuditEvent.objects.values().get() == held
    assert (held["actor_name"], held["workload_name"]) == ("Alice Manager", "Claims assistant")


def test_what_happened_to_a_demo_person_is_kept(adam, alice):
    alice.is_demo = True
    assert not audit.record(Asker(adam), action="change_person", subject=alice).is_demo


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("192.0.2.4", "", "192.0.2.4"),
        ("192.0.2.4", "203.0.113.9", "192.0.2.4"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "evil'; --, 10.1.1.1", "10.1.1.1"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "203.0.113.9:5555", "203.0.113.9"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", ""),
        ("@", "", ""),
    ],
)
def test_the_address_is_believed_as_far_as_our_proxies_vouch(remote, forwarded, address):
    assert client_address(remote, forwarded, PROXIES) == address


def test_a_browser_s_change_says_its_address(settings, adam, sign_in):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    form = {"username": "new", "organisation_role": "member"}
    sign_in(adam).post(reverse("people"), form, headers={"x-forwarded-for": "6.6.6.6, 203.0.113.9"})
    assert AuditEvent.objects.get(action="add_person").origin == "203.0.113.9"


def test_a_token_s_change_says_token_and_address(alice, api, claims):
    answer = api(alice, scopes=["manage"]).post("/api/v1/tokens/", {"name": "ci", "scopes": ["read"]})
    assert answer.status_code == 201
    event = AuditEvent.objects.get(action="make_token")
    assert (event.actor_name, event.origin) == ("Alice Manager (token test)", "REST token test, 127.0.0.1")


def test_a_command_s_change_says_the_command(alice, monkeypatch):
    # Django's own would close the test's connection at the end.
    monkeypatch.setattr("django.core.management.execute_from_command_line", lambda argv: call_command(*argv[1:]))
    manage.main(["manage.py", "create_token", "--owner", "alice", "--name", "x", "--scope", "read"])
    assert AuditEvent.objects.get(action="make_token").origin == "command create_token"


def test_a_command_that_names_itself_needs_no_more(db, adam):
    assert audit.record("command remove_demo", action="remove_demo", subject=adam).origin == "command remove_demo"


def test_a_task_s_change_says_the_task(alice):
    @app.task(name="tests.make_token")
    def make() -> None:
        issue_token(Asker(alice), name="x", scopes=["read"])

    make()
    assert AuditEvent.objects.get(action="make_token").origin == "task tests.make_token"


def test_the_origin_ends_with_what_it_was_set_for(alice):
    with coming_from("192.0.2.4"):
        pass
    assert audit.record(Asker(alice), action="x", subject=alice).origin == ""


def test_long_names_are_cut_and_lose_no_change(alice):
    token = Token(name="t" * 100, owner=alice, scopes=["manage"])
    alice.first_name, alice.last_name = "a" * 150, "b" * 150
    event = audit.record(Asker(alice, token), action="x", subject=alice)
    assert len(event.actor_name) == 200


def test_a_wrong_proxy_is_said_at_the_start(settings):
    settings.TRUSTED_PROXIES = ["nginx"]
    assert "phaseline.E021" in {found.id for found in check_settings(None)}


def test_flush_is_refused_by_the_database(event, transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER audit_is_kept")
    try:
        with pytest.raises(Exception, match="append-only|couldn't be flushed"):
            call_command("flush", interactive=False, verbosity=0)
        assert AuditEvent.objects.count() == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_is_kept")
