"""What the day brings: once for each occasion, in the morning where the person is, of roadmaps that run."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from metrics import identity
from metrics.models import Backend
from metrics.usage import SeriesKey
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone, change_milestone, tick_milestone
from roadmap.actions.occasions import drop_old_notices, note_occasions
from roadmap.actions.phases import change_phase
from roadmap.deliver import spread
from roadmap.models import Delivery, Kpi, Milestone, Notice, Roadmap
from roadmap.queries.notices_due import _budget_state, _budget_words
from roadmap.rules.notices import KINDS, MOST_ATTEMPTS, channels_for, monday_of, not_before, wait_before_next
from web import wording

DAY = timedelta(days=1)


@pytest.fixture
def due(plan, alice, bob, adam, choose, told):
    """`due()`: (person, kind, title) of what became due and was not told before; alice, bob, adam want all by mail."""
    for person in (alice, bob, adam):
        choose(person, **{kind.code: ["mail"] for kind in KINDS if kind.code not in ("ownership", "monday")})
    plan.phases.get(kind="poc").kpis.all().delete()
    Milestone.objects.all().delete()

    def _due() -> list[tuple[str, str, str]]:
        before = set(Delivery.objects.values_list("pk", flat=True))
        note_occasions(timezone.now())
        told()
        new = Delivery.objects.exclude(pk__in=before).select_related("person").order_by("pk")
        return [(one.person.username, one.kind, one.title) for one in new]

    return _due


def plain(day) -> str:
    """As in a subject: without spaces that do not break."""
    return " ".join(wording.day(day).split())


def test_a_milestone_is_told_ahead_once_and_late_once(due, poc, alice, bob, asker, today):
    a = asker(alice)
    soon = add_milestone(a, poc, name="Soon", due_on=today + 7 * DAY, owner=bob)
    add_milestone(a, poc, name="Far", due_on=today + 8 * DAY, owner=bob)
    add_milestone(a, poc, name="Nobody's", due_on=today - DAY)
    add_milestone(a, poc, name="Today", due_on=today, owner=bob)
    where, day = "of Contact centre", (today + 7 * DAY)
    assert [(person, title) for person, _, title in due()] == [
        ("alice", f"'Nobody's' {where} is late: it was due on {plain(today - DAY)}"),
        ("bob", f"'Today' {where} is due today"),
        ("bob", f"'Soon' {where} is due on {plain(day)}, in 7 days"),
    ]
    assert due() == []
    # Moved, it is another day; done, it is none.
    change_milestone(a, soon, due_on=today - 2 * DAY)
    tick_milestone(a, Milestone.objects.get(name="Today"))
    assert [title.split(" is ")[1][:4] for _, _, title in due()] == ["late"]
    Roadmap.objects.update(state=Roadmap.State.PAUSED)
    change_milestone(a, soon, due_on=today - 3 * DAY)
    assert due() == []


def test_a_gate_is_told_to_who_decides_and_who_prepares(due, gate, erin, choose, today):
    choose(erin, gate=["mail"])
    gate.gatekeeper, gate.due_on = erin, today + 31 * DAY
    gate.save()
    assert due() == []
    gate.due_on = today + 30 * DAY
    gate.save()
    assert sorted(person for person, kind, _ in due() if kind == "gate") == ["alice", "erin"]
    gate.due_on = today - DAY
    gate.save()
    assert {title for _, _, title in due()} == {
        f"The PoC gate of Contact centre is late: it was due on {plain(today - DAY)}"
    }


def test_a_reading_is_asked_for_once_until_there_is_another(due, poc, alice, asker):
    kpi = add_kpi(asker(alice), poc, name="Hours saved", direction="higher", window_days=7)
    assert due() == [("alice", "reading", "A reading of Hours saved in Contact centre is asked for")]
    assert due() == []
    record_reading(asker(alice), kpi, at=timezone.now() - 3 * DAY, value=Decimal(1))
    assert due() == []
    Kpi.objects.get(pk=kpi.pk).readings.update(at=timezone.now() - 9 * DAY)
    assert [kind for _, kind, _ in due()] == ["reading"]


def test_a_budget_is_told_when_it_is_passed_and_again_only_for_another(due, poc, alice, asker, today):
    a = asker(alice)
    change_phase(a, poc, budget_amount=Decimal(100), budget_currency="USD")
    assert due() == []
    add_cost_entry(a, poc, name="x", category="people", amount=Decimal(150), currency="USD", start_on=today - DAY)
    assert [(person, kind) for person, kind, _ in due()] == [("alice", "budget")]
    assert due() == []
    change_phase(a, poc, budget_amount=Decimal(120))
    assert [kind for _, kind, _ in due()] == ["budget"]


def test_a_source_that_stopped_is_told_to_admins_and_once_for_each_outage(due, adam):
    backend = Backend.objects.create(slug="vllm", name="vLLM", connector="prometheus_server", problem="Down.")
    backend.failures_in_a_row = 2
    backend.save()
    assert due() == []
    backend.failures_in_a_row = 3
    backend.save()
    assert due() == [("adam", "source", "vLLM does not answer")]
    assert due() == []
    backend.problem, backend.failures_in_a_row, backend.data_until = "", 0, timezone.now()
    backend.save()
    assert due() == []
    backend.problem, backend.is_problem_permanent = "The key is refused.", True
    backend.save()
    assert due() == [("adam", "source", "vLLM does not answer")]


def test_owners_of_roadmaps_are_told_of_sources_that_serve_them(due, plan, oscar, choose):
    choose(oscar, source=["mail"])
    backend = Backend.objects.create(slug="api", name="API", connector="openai", problem="Key refused.")
    wanted = identity.SeriesIdentity(
        SeriesKey(provider="openai", model="m1"), backend.pk, is_pushed=True, workload_id=plan.workload_id
    )
    identity.forget()
    identity.series_ids([wanted])
    identity.forget()
    Backend.objects.update(is_problem_permanent=True)
    assert due() == [("adam", "source", "API does not answer"), ("alice", "source", "API does not answer")]
    one = Delivery.objects.get(person__username="alice", kind="source")
    assert one.text == "Contact centre lacks what it would report. Key refused."
    assert one.notice.workload_id == plan.workload_id


@pytest.mark.parametrize(
    ("spent", "passes_on", "word"),
    [("150", None, "passed"), ("50", date(2026, 12, 24), "ends"), ("50", None, ""), (None, date(2026, 12, 24), "")],
    ids=str,
)
def test_a_budget_s_words(spent, passes_on, word):
    money = SimpleNamespace(
        budget=Decimal(100),
        spent=None if spent is None else Decimal(spent),
        currency="EUR",
        passed_on=None,
        forecast=SimpleNamespace(passes_on=passes_on, total=Decimal(180)),
    )
    assert _budget_state(money) == word
    phase, roadmap = SimpleNamespace(get_kind_display=lambda: "PoC"), SimpleNamespace(name="Claims")
    if word == "ends":
        text = " ".join(" ".join(_budget_words(money, phase, roadmap)).split())
        assert text == "PoC of Claims: the budget ends on 24 Dec 2026 Forecast 180.00 EUR of 100.00 EUR."
    if word == "passed":
        title, _ = _budget_words(money, phase, roadmap)
        assert title == "PoC of Claims: the budget is passed"


def test_what_became_due_is_told_in_the_language_of_each(due, poc, alice, bob, asker, today, settings):
    """It is noted before it is known who is told."""
    alice.language = "nl"
    alice.save()
    add_milestone(asker(alice), poc, name="Runbook", due_on=today - DAY)
    add_milestone(asker(alice), poc, name="Evaluatie", due_on=today - DAY, owner=bob)
    told = {person: title for person, _, title in due()}
    # A title has plain spaces alone.
    on = " ".join(wording.day(today - DAY).split())
    assert told["bob"] == f"'Evaluatie' of {poc.roadmap.name} is late: it was due on {on}"
    assert told["alice"].startswith(f"'Runbook' van {poc.roadmap.name} is te laat: uiterste dag was")


def test_what_was_told_is_forgotten_and_not_told_anew(due, poc, alice, asker, today):
    add_milestone(asker(alice), poc, name="Late", due_on=today - DAY)
    assert len(due()) == 1
    old = timezone.now() - 91 * DAY
    Delivery.objects.update(created_at=old, state=Delivery.State.SENT)
    Notice.objects.update(at=old)
    drop_old_notices(timezone.now())
    assert not Delivery.objects.exists()
    assert {notice.kind for notice in Notice.objects.all()} == {"milestone_late"}
    assert due() == []


SEOUL, NEW_YORK = ZoneInfo("Asia/Seoul"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        (datetime(2026, 11, 29, 22, tzinfo=UTC), SEOUL, "2026-W49"),
        (datetime(2026, 11, 29, 21, 59, tzinfo=UTC), SEOUL, None),
        (datetime(2026, 11, 30, 14, 59, tzinfo=UTC), SEOUL, "2026-W49"),
        (datetime(2026, 11, 30, 15, tzinfo=UTC), SEOUL, None),
        (datetime(2026, 11, 30, 11, 59, tzinfo=UTC), NEW_YORK, None),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), NEW_YORK, "2026-W49"),
        # The clock went forward on Sunday 8 March: 07:00 is an hour earlier in UTC.
        (datetime(2026, 3, 9, 11, tzinfo=UTC), NEW_YORK, "2026-W11"),
        # The first Monday of an ISO year that began in December.
        (datetime(2024, 12, 30, 7, tzinfo=UTC), ZoneInfo("UTC"), "2025-W01"),
    ],
    ids=str,
)
def test_monday_begins_where_the_person_is(now, zone, expected):
    assert monday_of(now, zone) == expected


def test_reminders_wait_for_the_morning():
    zone = ZoneInfo("Europe/Amsterdam")
    night = datetime(2026, 11, 26, 2, tzinfo=UTC)
    assert not_before(night, zone) == datetime(2026, 11, 26, 6, tzinfo=UTC)
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    assert not_before(noon, zone) == noon


def test_a_day_s_reminders_wait_until_it_begins_where_the_person_is():
    """00:12 UTC is 19:12 of the day before in New York, and past 07:00 in Seoul."""
    day, now = date(2026, 11, 27), datetime(2026, 11, 27, 0, 12, tzinfo=UTC)
    assert not_before(now, NEW_YORK, day) == datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert not_before(now, SEOUL, day) == now
    # What is of no day is told in the evening.
    assert not_before(now, NEW_YORK) == now
    # 03:00 in Seoul, where the organisation's day is over: in the morning.
    night = datetime(2026, 11, 27, 18, tzinfo=UTC)
    assert not_before(night, SEOUL, day) == datetime(2026, 11, 27, 22, tzinfo=UTC)


def test_what_is_due_today_is_told_on_that_day_in_new_york(due, poc, alice, bob, asker, today, choose):
    choose(bob, zone="America/New_York", milestone=["mail"], source=["mail"])
    add_milestone(asker(alice), poc, name="Today", due_on=today, owner=bob)
    Backend.objects.create(
        slug="api", name="API", connector="openai", problem="Key refused.", is_problem_permanent=True
    )
    bob.organisation_role = "admin"
    bob.save()
    Notice.objects.update(spread_at=timezone.now())
    now = datetime.combine(today, time(0, 12), tzinfo=UTC)
    note_occasions(now)
    spread(now)
    found = dict(Delivery.objects.filter(person=bob).values_list("kind", "due_at"))
    morning = datetime.combine(today, time(7), tzinfo=NEW_YORK)
    assert found == {"milestone": morning, "source": now}


def test_attempts_spread_over_a_day_and_end():
    waits = [wait_before_next(number, None) for number in range(1, MOST_ATTEMPTS)]
    assert waits == sorted(waits)
    assert timedelta(hours=20) < sum(waits, timedelta()) < timedelta(hours=36)
    assert wait_before_next(MOST_ATTEMPTS, None) is None
    assert wait_before_next(1, 600) == timedelta(minutes=10)
    assert wait_before_next(1, 10_000_000) == timedelta(days=1)


def test_what_nobody_chose_is_the_default():
    assert channels_for({}, "mention") == ("mail",)
    assert channels_for({}, "budget") == ()
    assert channels_for({"mention": []}, "mention") == ()
    assert channels_for({"mention": ["slack", "mail", "fax"]}, "mention") == ("mail", "slack")
