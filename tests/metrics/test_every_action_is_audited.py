"""Every action of people and of metrics writes exactly one row of the audit trail; a new one has to be listed here.

Those of the plan are walked in tests/roadmap/test_plan_audit.py.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from datetime import timedelta
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from accounts import actions as people
from accounts.models import AuditEvent, Membership, Role, User
from accounts.tokens import make_setup_link
from metrics import actions as package
from metrics import usage_file_steps
from metrics.actions import (
    allocations,
    backends,
    backfills,
    imports,
    links,
    prices,
    pushed,
    repricing,
    rules,
    secrets,
    usage,
    usage_files,
)
from metrics.models import Backend, BillingImport, LookAlike, OwnPrice, RateCard, Receipt, Series
from tests.metrics.billing_files import csv_of, run
from tests.metrics.pulling import Provider, registered

D = Decimal
DAY = timedelta(days=1)
KEYS = [Fernet.generate_key().decode() for _ in range(2)]

# What changes nothing itself, or is audited otherwise.
READS = {
    "random_password", "in_force", "check_shares", "pull_interval_of", "test_backend", "discover", "checked_name",
    "free_slug", "can_be_read_back", "history_of", "earliest_day", "held", "first_guess", "require_backend_admin",
    "term_end", "preview_change", "adding", "changing", "removing", "ordering", "moving", "require_may_allocate",
    "fields_of", "shown", "answer_document", "rejected_rows", "visible_receipts", "can_reverse",
    "visible_files", "can_change_file",
}  # fmt: skip
PARTS_OF_AN_ACTION = {"resume", "read_again", "set_backfill", "after_reversal", "follow_capacity", "apply", "take_out"}
# Usage that is pushed: its receipt is the audit. A refusal changes nothing but the sender's last problem.
RECEIPTS = {
    "accept_usage", "accept_export", "accept_write", "count", "count_batch", "count_known", "count_points",
    "acknowledged", "note_problem", "through_of", "limits_at", "series_of", "priced_by", "by_feed", "price_cells",
    "target_of", "count_spans",
}  # fmt: skip


def functions() -> set[str]:
    """The public functions of accounts.actions and of every module of metrics.actions."""
    names = [f"{package.__name__}.{one.name}" for one in pkgutil.iter_modules(package.__path__)]
    modules = [people, *(importlib.import_module(name) for name in names)]
    return {
        name
        for module in modules
        for name, found in vars(module).items()
        if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.fixture
def source(monkeypatch):
    with registered(monkeypatch, Provider()):
        yield


@pytest.fixture
def calls(source, settings, adam, alice, bob, claims, other, asker, backend, make_series, api):
    """Each action with a call, in an order in which each can be."""
    settings.ENCRYPTION_KEYS = KEYS[:1]
    a, today = asker(adam), timezone.localdate()
    series = Series.objects.get(pk=make_series("m"))
    sent = Series.objects.get(pk=make_series("m", is_pushed=True, workload_id=claims.pk, measured_at="application"))
    gateway = Backend.objects.create(slug="gate", name="Gate", connector="metrics", provider="openai")
    price = {
        "provider": "vllm", "model": "own", "currency": "EUR", "input_per_million": D(3), "output_per_million": D(9),
        "valid_from_on": today - 30 * DAY,
    }  # fmt: skip
    card = {"kind": "rented", "units": D(1), "unit_name": "H100", "currency": "EUR", "rate_per_unit_hour": D(2)}
    held: dict[str, object] = {}
    values = {"address": "https://example.org", "key": "sk-very-secret-0123456789"}
    bill = [{"day": (today - 3 * DAY).isoformat(), "amount": "5.00", "service": "LLM", "currency": "USD"}]
    mapping = {"columns": {"time": "day", "amount": "amount", "currency": "currency"}}

    def keep(name, value):
        held[name] = value
        return value

    def push():
        record = {"timestamp": (timezone.now() - timedelta(hours=2)).isoformat(), "model": "own", "input_tokens": 5}
        record |= {"provider": "vllm", "output_tokens": 5}
        answer = api(adam, scopes=["push"], workload=claims).post(
            "/api/v1/usage", json.dumps({"records": [record]}), content_type="application/json"
        )
        return Receipt.objects.get(uuid=answer.json()["receipt"])

    def upload(text):
        data = csv_of([{**bill[0], "amount": text}])
        return imports.upload(a, pieces=[data], name=f"{text}.csv", source_name="Bills").one

    def send(requests):
        text = f"timestamp,model,requests\n{(timezone.now() - timedelta(hours=2)).isoformat()},own,{requests}\n"
        return usage_files.send_file(a, pieces=[text.encode()], name="u.csv", workload=claims).one

    def worked(one):
        usage_file_steps.advance(one.pk)
        one.refresh_from_db()
        return one

    def rotate():
        settings.ENCRYPTION_KEYS = KEYS[::-1]
        return secrets.rotate_secrets()

    return (
        {
            "make_first_admin": lambda: people.make_first_admin(
                make_setup_link(), username="first", password="x y z 1 2 3"
            ),
            "add_person": lambda: people.add_person(a, username="new"),
            "change_person": lambda: people.change_person(
                a, bob, first_name="B", last_name="B", email="", organisation_role="member", is_active=True, roles={}
            ),
            "reset_password": lambda: people.reset_password(a, bob),
            "choose_language": lambda: people.choose_language(a, "nl"),
            "issue_token": lambda: keep("token", people.issue_token(a, name="t", scopes=["read"])[0]),
            "change_token": lambda: people.change_token(a, held["token"], signal="traces"),
            "revoke_token": lambda: people.revoke_token(a, held["token"]),
            "add_backend": lambda: keep(
                "backend", backends.add_backend(a, kind="double", name="Double", values=values)
            ),
            "change_backend": lambda: backends.change_backend(a, held["backend"], name="Twin", values=values),
            "rotate_secrets": rotate,
            "start_backfill": lambda: backfills.start_backfill(a, held["backend"], from_on=today - 5 * DAY),
            "cancel_backfill": lambda: backfills.cancel_backfill(a, held["backend"]),
            "resume_backfill": lambda: backfills.resume_backfill(a, held["backend"]),
            "remove_backend": lambda: backends.remove_backend(a, held["backend"]),
            "add_pushed_backend": lambda: pushed.add_pushed_backend(a, name="Edge"),
            "allocate": lambda: allocations.allocate(a, series, shares=[(claims, D("0.5")), (other, D("0.5"))]),
            "allocate_by_rules": lambda: allocations.allocate_by_rules(a, series),
            "link_backend": lambda: links.link_backend(a, backend, gateway=gateway),
            "link_push": lambda: links.link_push(a, sent, backend=gateway),
            "decide_look_alike": lambda: links.decide_look_alike(
                a,
                LookAlike.objects.create(
                    first=series, second=sent, model="m", on=today, first_tokens=1, second_tokens=1
                ),
                decision="different",
            ),
            "set_rate_card": lambda: prices.set_rate_card(a, backend, valid_from_on=today, **card),
            "remove_rate_card": lambda: prices.remove_rate_card(a, RateCard.objects.get()),
            "set_own_price": lambda: [push(), prices.set_own_price(a, **price)],
            "reprice": lambda: repricing.reprice(a, from_on=today - DAY, until_on=today),
            "remove_own_price": lambda: prices.remove_own_price(a, OwnPrice.objects.get()),
            "change_rules": lambda: rules.change_rules(
                a, rules.adding(rules.RuleFields(shares=[(claims, D(1))], model="x*"))
            ),
            "upload": lambda: keep("import", upload("5.00")),
            "map_columns": lambda: imports.map_columns(a, held["import"], mapping),
            "confirm": lambda: imports.confirm(a, run(held["import"]), imports.Choices()),
            "set_pays_for": lambda: imports.set_pays_for(a, held["import"].source, [backend]),
            "discard": lambda: imports.discard(a, BillingImport.objects.exclude(pk=held["import"].pk).get()),
            "send_file": lambda: keep("file", send(5)),
            "discard_file": lambda: usage_files.discard_file(a, held["file"]),
            "confirm_file": lambda: usage_files.confirm_file(a, held["file"]),
            "take_file_back": lambda: usage_files.take_file_back(a, worked(held["file"])),
            "reverse_receipt": lambda: usage.reverse_receipt(a, push()),
        },
        upload,
        lambda: keep("file", worked(send(6))),
    )


def test_each_function_is_listed(calls):
    assert functions() == set(calls[0]) | READS | PARTS_OF_AN_ACTION | RECEIPTS


def test_each_action_writes_one_row(calls):
    named, upload, again = calls
    for name, call in named.items():
        if name == "discard":
            upload("7.00")
        if name == "confirm_file":
            again()
        before = AuditEvent.objects.count()
        call()
        assert AuditEvent.objects.count() == before + 1, name


def test_a_person_s_roles_are_one_row_for_each_roadmap(adam, bob, other, asker):
    """Each roadmap's trail tells its own."""
    fields = {"first_name": "Bob", "last_name": "Builder", "email": bob.email, "organisation_role": "member"}
    people.change_person(asker(adam), bob, is_active=True, roles={other: "viewer"}, **fields)
    assert list(AuditEvent.objects.values_list("action", "workload__slug")) == [("set_role", "other")]
    assert Membership.objects.get(user=bob, workload=other).role == Role.VIEWER


def test_a_refused_action_writes_none(alice, asker):
    with pytest.raises(people.AccessViolation):
        people.add_person(asker(alice), username="x")
    assert not AuditEvent.objects.exists()
    assert not User.objects.filter(username="x").exists()
