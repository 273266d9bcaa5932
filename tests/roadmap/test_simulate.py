"""`manage.py simulate`: figures that add up, the same for the same seed, marked as demo, and cleanly taken away."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from accounts.models import AuditEvent, User, Workload
from metrics import checking, identity, simulation
from metrics.models import Backend, HistogramHour, LedgerEntry, Receipt, Series, UsageDay, UsageHour
from roadmap.models import Roadmap

SMALL = {"months": 2, "series": 6, "requests": 54_321, "roadmaps": 2, "hours_a_day": 3, "until": date(2026, 3, 9)}


@pytest.fixture(autouse=True)
def _no_remembered_ids():
    identity.forget()
    yield
    identity.forget()


def simulate(**changes):
    out = StringIO()
    call_command("simulate", **{**SMALL, **changes}, stdout=out)
    return out.getvalue()


def hours():
    names = ("series__model", "hour", "requests", "input_tokens", "output_tokens", "estimated_cost", "duration_sum_ms")
    return list(UsageHour.objects.order_by("series__model", "hour").values_list(*names))


def test_every_request_is_there_and_timed_and_the_ledger_agrees(db):
    told = simulate(check=True)
    assert "The ledger and its sums agree." in told
    assert UsageHour.objects.aggregate(n=Sum("requests"))["n"] == 54_321
    assert sum(sum(row.window[1:]) for row in HistogramHour.objects.all()) == 54_321
    assert Receipt.objects.aggregate(n=Sum("accepted"))["n"] == 54_321
    assert UsageDay.objects.aggregate(n=Sum("requests"))["n"] == 54_321
    first, last = UsageHour.objects.earliest("hour").hour, UsageHour.objects.latest("hour").hour
    assert (first.date(), last.date()) == (date(2026, 2, 1), date(2026, 3, 8))
    assert len({row.hour.hour for row in UsageHour.objects.all()}) == 3


def test_it_is_marked_as_demo_and_shared_out_to_roadmaps(db):
    simulate()
    assert set(Backend.objects.values_list("is_demo", flat=True)) == {True}
    assert set(Series.objects.values_list("is_demo", flat=True)) == {True}
    assert set(Receipt.objects.values_list("is_demo", flat=True)) == {True}
    assert set(Workload.objects.values_list("name", "is_demo")) == {("Simulated 1", True), ("Simulated 2", True)}
    assert set(Series.objects.values_list("allocations__workload__name", flat=True)) == {"Simulated 1", "Simulated 2"}
    assert not User.objects.get(username="simulated").is_active


def test_the_same_seed_gives_the_same_and_another_one_other_figures(db):
    simulate()
    first = hours()
    simulate(remove=True)
    simulate()
    assert hours() == first
    simulate(remove=True)
    simulate(seed=2)
    assert hours() != first


def test_one_that_was_killed_goes_on_at_its_month(db, monkeypatch):
    simulate()
    whole = hours()
    simulate(remove=True)
    real, posted = simulation.ledger.post_many, []

    def dies(receipt, feed, cells):
        if len(posted) == 3:
            raise KeyboardInterrupt
        posted.append(receipt)
        return real(receipt, feed, cells)

    monkeypatch.setattr(simulation.ledger, "post_many", dies)
    with pytest.raises(KeyboardInterrupt):
        simulate()
    assert Receipt.objects.count() == 3
    monkeypatch.setattr(simulation.ledger, "post_many", real)
    with pytest.raises(CommandError, match="There is other simulated usage.*seed 1.*--remove"):
        simulate(seed=2)
    simulate()
    assert hours() == whole
    assert checking.check() == []


def test_removal_takes_all_of_it_and_nothing_else(db):
    real = Workload.objects.create(slug="support", name="Support")
    backend = Backend.objects.create(slug="mine", name="Mine", connector="push_only", provider="openai")
    simulate()
    assert "6 simulated series are gone" in simulate(remove=True)
    assert list(Workload.objects.all()) == [real]
    assert list(Backend.objects.all()) == [backend]
    for model in (Series, Receipt, LedgerEntry, UsageHour, UsageDay, Roadmap, User):
        assert not model.objects.exists(), model
    assert not AuditEvent.objects.filter(is_demo=True).exists()
    assert "0 simulated series are gone" in simulate(remove=True)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("months", 0, "--months is from 1 to 60"),
        ("series", -1, "--series is from 1"),
        ("hours_a_day", 25, "--hours-a-day is from 1 to 24"),
        ("requests", 0, "--requests is from 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(db, name, value, told):
    with pytest.raises(CommandError, match=told):
        simulate(**{name: value})
    assert not Backend.objects.exists()


def test_requests_may_be_written_short_and_words_are_refused(db):
    out = StringIO()
    call_command("simulate", "--months=1", "--series=1", "--requests=1e3", "--hours-a-day=1", stdout=out)
    assert UsageHour.objects.aggregate(n=Sum("requests"))["n"] == 1000
    with pytest.raises(CommandError, match="requests"):
        call_command("simulate", "--requests=many", stdout=out)


def test_a_histogram_holds_its_count_in_one_bell():
    for count in (1, 2, 7, 1_000, 10**6):
        first, *counts = simulation.window_of(count, 230)
        assert sum(counts) == count
        assert min(counts) >= 0
        assert 180 < first <= 230
