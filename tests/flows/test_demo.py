"""The demo: the same every time, in no total once there is real usage, and gone without a trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.access import Asker
from accounts.models import AuditEvent, OrganisationRole, User, Workload
from metrics import series
from metrics.demo_streams import Stream, hours
from metrics.figures import Scope
from metrics.models import Backend, LedgerEntry, Receipt, Series, UsageHour
from roadmap.actions.roadmaps import ensure_first_roadmap
from roadmap.demo.removal import remove
from roadmap.demo.seed import seed
from roadmap.models import Gate, GateDecision, Phase, Report, Roadmap
from roadmap.reports.snapshot import hash_of
from roadmap.rules.gates import sha256_of

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def stream(**fields) -> Stream:
    return Stream(
        **{
            "backend": "b", "provider": "openai", "model": "m", "workload": None, "requests_per_day": 900,
            "starts_days_ago": 20, "input_tokens": 100, "output_tokens": 10, "median_ms": 900.0, "seed": 3, **fields,
        }
    )  # fmt: skip


def test_a_stream_does_the_same_every_time():
    assert [hour.sums for hour in hours(stream(), NOW)] == [hour.sums for hour in hours(stream(), NOW)]


def test_a_stream_never_reaches_into_the_running_hour():
    assert max(hour.hour for hour in hours(stream(), NOW)) < NOW - timedelta(minutes=59)


def test_every_successful_request_of_a_stream_is_timed_once():
    for hour in hours(stream(error_rate=0.2), NOW):
        timed = hour.sums["requests"] - hour.sums["errors"]
        assert sum(count for _, count in hour.durations_ms) == timed


def test_busy_seconds_stay_within_the_hardware():
    found = list(hours(stream(requests_per_day=90_000, gpu_seconds_per_request=3.0, gpus=1, is_hourly=True), NOW))
    assert max(hour.sums["gpu_busy_seconds"] for hour in found) == Decimal(3600)


@pytest.fixture
def demo(db, settings, tmp_path):
    """The demo, seeded as bin/up does it."""
    settings.VAR_DIR = tmp_path
    names = ("admin", "sanne", "femke", "joris")
    (tmp_path / "demo-sign-ins.json").write_text(json.dumps({name: f"{name}-pass-word" for name in names}))
    assert seed() is True


def spend_of_all() -> Decimal | None:
    today = timezone.localdate()
    rows = series.usage(Scope(today - timedelta(days=40), today + timedelta(days=1), None))
    return rows[0].sums.spend if rows else None


def test_it_fills_three_roadmaps_and_goes_without_a_trace(demo, client, settings):
    assert seed() is False
    kinds = Phase.objects.filter(state="active").values_list("kind", flat=True)
    assert sorted(kinds) == ["optimise", "poc", "scale_up"]
    assert Roadmap.objects.exclude(unit_of_work="token").count() == 1
    call_command("check_ledger")

    # A decided gate with evidence that its hash was made of, and reports that theirs were made of.
    evidence = GateDecision.objects.filter(is_recorded_later=False)
    assert evidence
    assert all(sha256_of(decision.evidence) == decision.evidence_sha256 for decision in evidence)
    assert Gate.objects.filter(phase__state="active", criteria__isnull=False).exists()
    reports = list(Report.objects.all())
    assert {report.is_demo for report in reports} == {True}
    assert all(hash_of(report.payload) == report.sha256 for report in reports)

    # Its past is told, on the days it happened.
    told = AuditEvent.objects.filter(workload__slug="document-check").order_by("at")
    assert all(told.values_list("is_demo", flat=True))
    assert set(told.values_list("action", flat=True)) >= {
        "make_roadmap",
        "post_update",
        "tick_milestone",
        "decide_gate",
    }
    assert told.first().action == "make_roadmap"
    assert told.first().at < timezone.now() - timedelta(days=600)

    # Everybody can sign in, and is told on every page that this is the demo.
    assert client.login(username="sanne", password="sanne-pass-word")
    for page in (reverse("portfolio"), "/roadmaps/document-check/", "/roadmaps/weld-inspection/poc/"):
        assert "Demo data" in client.get(page).content.decode()
    assert client.get(reverse("demo")).status_code == 200
    assert client.post(reverse("demo_remove")).status_code == 403

    # What is not demo stays when the demo goes.
    owner = User.objects.create_user("real", password="x", organisation_role=OrganisationRole.ADMIN)
    first = ensure_first_roadmap(owner)
    with pytest.raises(PermissionDenied):
        remove(Asker(User.objects.get(username="sanne")))
    assert spend_of_all() > 0
    client.force_login(owner)
    answer = client.post(reverse("demo_remove"), follow=True)
    assert "The demo data is gone" in answer.content.decode()
    assert list(Workload.objects.all()) == [first.workload]
    assert list(User.objects.all()) == [owner]
    assert list(AuditEvent.objects.values_list("action", flat=True).order_by("pk")) == ["make_roadmap", "remove_demo"]
    for model in (Backend, Series, LedgerEntry, UsageHour, Report):
        assert not model.objects.exists(), model
    assert not Receipt.objects.exists()
    assert spend_of_all() is None
    assert "Demo data" not in client.get(reverse("portfolio")).content.decode()


def test_the_last_admin_stays_when_the_demo_goes(demo):
    kept = remove("command remove_demo")
    assert kept == ["the account 'admin', since there is no other admin"]
    assert [(person.username, person.is_demo) for person in User.objects.all()] == [("admin", False)]
