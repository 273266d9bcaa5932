"""Reading back: whose turn it is, what a failure does, how far it is in words, how far back it can go."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import OperationalError
from psycopg.errors import DiskFull

from metrics import backfill, pull_log, sources
from metrics import pull as pulling
from metrics.actions import backfills
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import AnswerTooLarge, StatusError
from metrics.meter import History, Pace
from metrics.models import Backend, Pull, UsageHour
from metrics.reading_back import reading_of
from tests.metrics.pulling import HOUR, NOW, Provider, at, backend_of, connector_of, registered

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
FROM = NOW.replace(hour=0, minute=0) - 3 * 365 * DAY


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        yield told


@pytest.fixture
def source(provider) -> Backend:
    return _reading("source")


def _reading(slug: str, **fields) -> Backend:
    cursor = NOW.replace(minute=0)
    given = {"backfill_from": FROM, "backfill_cursor": cursor, "backfill_until": cursor, **fields}
    return backend_of("double", slug=slug, name=slug, parameters={"address": "https://example.org"}, **given)


def _throttled(seconds: float | None = None) -> StatusError:
    return StatusError("It asks to slow down.", status=429, permanent=False, hint="", retry_after=seconds)


# --- Whose turn it is


def test_one_step_is_in_hand_at_a_time_and_who_waited_longest_is_next(provider, settings):
    first, second, third = (_reading(name) for name in ("a", "b", "c"))
    assert backfill.hand_out(NOW) == [first.pk]
    assert backfill.hand_out(NOW) == []
    backfill.step(first.pk, clock=at(NOW))
    backfill.release(first.pk)
    assert backfill.hand_out(NOW + DAY) == [second.pk]
    backfill.release(second.pk)
    settings.BACKFILLS_AT_ONCE = 3
    assert backfill.hand_out(NOW + DAY) == [second.pk, third.pk, first.pk]


def test_a_step_that_no_worker_ended_is_handed_out_again(source):
    assert backfill.hand_out(NOW) == [source.pk]
    assert backfill.hand_out(NOW + backfill.CLAIMED_FOR - timedelta(seconds=1)) == []
    assert backfill.hand_out(NOW + backfill.CLAIMED_FOR) == [source.pk]


@pytest.mark.parametrize(
    "fields",
    [
        {"is_enabled": False},
        {"is_backfill_stopped": True},
        {"is_problem_permanent": True},
        {"backfill_next_at": NOW + DAY},
        {"resting_until": NOW + DAY},
    ],
)
def test_who_may_not_read_is_not_handed_out(provider, fields):
    _reading("source", **fields)
    assert backfill.hand_out(NOW) == []


# --- Pull and backfill of one backend


def test_a_source_that_slows_the_pull_down_is_not_read_back_meanwhile(provider, source):
    provider.error = _throttled(1800)
    pulling.pull(source.pk, clock=at(NOW))
    provider.error = None
    assert backfill.hand_out(NOW + timedelta(minutes=29)) == []
    assert not backfill.step(source.pk, clock=at(NOW + timedelta(minutes=29)))
    assert len(provider.windows) == 1
    assert backfill.hand_out(NOW + timedelta(minutes=31)) == [source.pk]


def test_a_source_that_slows_the_backfill_down_is_not_pulled_meanwhile(provider, source):
    provider.error = _throttled(1800)
    backfill.step(source.pk, clock=at(NOW))
    provider.error = None
    assert pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=29))) is None
    assert len(provider.windows) == 1
    assert pulling.pull(source.pk, clock=at(NOW + timedelta(minutes=31))) is not None
    source.refresh_from_db()
    assert (source.problem, source.failures_in_a_row) == ("", 0)


def test_429_without_retry_after_rests_as_well(provider, source):
    provider.error = _throttled()
    pulling.pull(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert timedelta(seconds=50) < source.resting_until - NOW < timedelta(seconds=70)


def test_a_step_that_fails_leaves_the_pull_alone_and_is_tried_again(provider, source):
    Backend.objects.update(next_pull_at=NOW)
    provider.error = ConnectorError("It broke off.", permanent=False)
    backfill.step(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert (source.problem, source.failures_in_a_row, source.next_pull_at) == ("", 0, NOW)
    assert source.backfill_problem == "It broke off."
    assert source.backfill_next_at > NOW
    assert "It broke off. It goes on in " in reading_of(source, NOW).note
    provider.error = None
    assert backfill.step(source.pk, clock=at(NOW + DAY))
    source.refresh_from_db()
    assert (source.backfill_problem, source.backfill_failures) == ("", 0)


def test_a_failure_that_needs_somebody_stops_it_in_words_and_it_goes_on_from_there(provider, source, adam, asker):
    assert backfill.step(source.pk, clock=at(NOW))
    provider.error = ConnectorError("Nothing is known before October.", permanent=True)
    assert not backfill.step(source.pk, clock=at(NOW))
    source.refresh_from_db()
    cursor = source.backfill_cursor
    assert reading_of(source, NOW).note == "Stopped: Nothing is known before October."
    assert source.problem == ""
    assert backfill.hand_out(NOW + DAY) == []
    provider.error = None
    backfills.resume_backfill(asker(adam), source)
    assert backfill.step(source.pk, clock=at(NOW))
    assert provider.windows[-1].end == cursor


@pytest.mark.parametrize(
    "error", [AnswerTooLarge("It is more than 16 MiB.", permanent=True), pull_log.TooSlow("Too slow.", permanent=False)]
)
def test_a_step_that_is_too_much_is_halved(provider, source, error):
    provider.error = error
    backfill.step(source.pk, clock=at(NOW))
    provider.error = None
    backfill.step(source.pk, clock=at(NOW))
    assert [round((w.end - w.start) / DAY) for w in provider.windows] == [7, 3]


def test_a_day_that_is_too_much_stops_it(provider, source):
    Backend.objects.update(backfill_step_days=1)
    provider.error = AnswerTooLarge("It is more than 16 MiB.", permanent=True)
    backfill.step(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.is_backfill_stopped


def test_a_days_allowance_is_kept_and_half_of_it_for_the_newest_hours(monkeypatch):
    """Ten requests a day: a backfill may make five of them, pulls the rest; the next day begins anew."""

    class Asking(Provider):
        pass

    told = Asking()
    double = connector_of(told)
    double.pace = Pace(requests_a_day=10)
    fetch = double.fetch

    def asking(self, window):
        for _ in range(4):
            self.http.meter.on_request()
        yield from fetch(self, window)

    double.fetch = asking
    monkeypatch.setattr("metrics.sources.connector_for", lambda kind: double)
    source = _reading("source")
    assert backfill.step(source.pk)
    assert not backfill.step(source.pk)  # the 6th request is more than half
    source.refresh_from_db()
    assert source.requests_made == 5
    assert source.resting_until is None
    assert source.backfill_next_at > sources.now()
    assert "allows a day are used up" in reading_of(source, sources.now()).note
    assert pulling.pull(source.pk) is not None  # 9
    assert pulling.pull(source.pk) is None  # 10
    source.refresh_from_db()
    assert source.requests_made == 10
    tomorrow = sources.now().replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    assert abs(source.resting_until - tomorrow) < timedelta(seconds=5)
    Backend.objects.update(requests_on=sources.now().date() - DAY, resting_until=None)
    assert pulling.pull(source.pk) is not None


# --- In words


def test_progress_is_said_in_months_with_the_time_that_is_left(source):
    assert reading_of(source, NOW).text == "Read back to 22\xa0Nov\xa02026, 0 of 36 months"
    cursor = source.backfill_cursor
    for number in range(2):
        begun = NOW + number * timedelta(minutes=1)
        Pull.objects.create(
            backend=source, is_backfill=True, outcome="nothing_new", ended_at=begun + timedelta(minutes=1),
            window_start=cursor - (number + 1) * 7 * DAY, window_end=cursor - number * 7 * DAY,
        )  # fmt: skip
        Pull.objects.filter(ended_at=begun + timedelta(minutes=1)).update(started_at=begun)
    Backend.objects.update(backfill_cursor=FROM + 70 * DAY)
    source.refresh_from_db()
    # A week a minute, ten weeks to go; 2.3 months of 36.
    assert reading_of(source, NOW).text == "Read back to 1\xa0Feb\xa02024, 33 of 36 months, about 10 minutes left"


def test_short_ones_are_said_in_days(provider):
    source = _reading("source", backfill_from=NOW.replace(hour=0) - 20 * DAY, backfill_cursor=NOW - 7 * DAY)
    assert reading_of(source, NOW).text.endswith("6 of 20 days")


def test_what_was_read_back_is_remembered(provider):
    source = _reading("source", backfill_from=NOW.replace(hour=0, minute=0) - 5 * DAY)
    assert not backfill.step(source.pk, clock=at(NOW))
    source.refresh_from_db()
    assert source.history_from == NOW.replace(hour=0, minute=0) - 5 * DAY
    assert reading_of(source, NOW) is None


# --- How far


@pytest.fixture
def today(monkeypatch):
    monkeypatch.setattr(sources, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("from_on", "says"),
    [
        (date(2023, 1, 1), "Reading back goes three years at most. The earliest day is 20\xa0Nov\xa02023."),
        (date(2026, 11, 23), "Reading back begins on a day that has been."),
    ],
)
def test_a_day_that_cannot_be_is_refused_with_words(today, source, adam, asker, from_on, says):
    with pytest.raises(RuleViolation) as caught:
        backfills.start_backfill(asker(adam), source, from_on=from_on)
    assert caught.value.message == says
    assert caught.value.field == "from_on"


def test_usage_older_than_is_kept_is_refused(today, source, adam, asker, settings):
    settings.USAGE_RETENTION_MONTHS = 14
    with pytest.raises(RuleViolation, match="Usage is kept for 14 months"):
        backfills.start_backfill(asker(adam), source, from_on=date(2025, 8, 31))
    backfills.start_backfill(asker(adam), source, from_on=date(2025, 9, 1))


def test_more_than_the_source_knows_is_refused(today, provider, source, adam, asker, monkeypatch):
    double = connector_of(provider)
    double.history = classmethod(lambda cls, values: History(days=30, says="It answers for a month."))
    monkeypatch.setattr("metrics.sources.connector_for", lambda kind: double)
    with pytest.raises(RuleViolation, match=r"last 30 days\. The earliest day is 24\sOct\s2026"):
        backfills.start_backfill(asker(adam), source, from_on=date(2026, 10, 23))
    backfills.start_backfill(asker(adam), source, from_on=date(2026, 10, 24))


def test_a_link_that_asks_for_days_to_be_read_again_keeps_what_is_still_to_be_read(today, source):
    assert backfills.read_again(source, date(2026, 11, 1))
    assert source.backfill_from == FROM


def test_a_connector_says_how_long_its_steps_are(provider, source, monkeypatch):
    double = connector_of(provider)
    double.backfill_step_days = 90
    monkeypatch.setattr("metrics.sources.connector_for", lambda kind: double)
    backfill.step(source.pk, clock=at(NOW))
    assert (provider.windows[-1].end - provider.windows[-1].start).days == 31


# --- What is read again


def test_more_is_read_again_once_a_day(provider, source, monkeypatch):
    double = connector_of(provider)
    double.daily_trailing_hours = 20 * 24
    monkeypatch.setattr("metrics.sources.connector_for", lambda kind: double)
    for hours in (0, 1, 2, 24):
        pulling.pull(source.pk, clock=at(NOW + timedelta(hours=hours)))
    assert [(w.end - w.start).days for w in provider.windows] == [20, 3, 3, 21]


def test_an_admin_says_how_much_is_read_again(provider, source):
    Backend.objects.update(trailing_hours=24 * 10, settling_hours=24 * 30)
    day = HOUR - 5 * DAY
    provider.usage(day, requests=1, input_tokens=10)
    provider.cost(day, "7")
    pulling.pull(source.pk, clock=at(NOW))
    assert (provider.windows[-1].end - provider.windows[-1].start).days == 10
    # A bill that is final after a month is not posted after five days.
    assert not UsageHour.objects.exclude(billed_cost=None).exists()
    Backend.objects.update(settling_hours=24)
    pulling.pull(source.pk, clock=at(NOW))
    assert UsageHour.objects.get(billed_cost=7)


# --- When something dies


def test_a_worker_that_dies_between_reading_and_posting_leaves_nothing(provider, source, monkeypatch):
    provider.usage(HOUR, requests=3)

    class Killed(BaseException):
        pass

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("metrics.ledger.post_statement", die)
        with pytest.raises(Killed):
            pulling.pull(source.pk, clock=at(NOW))
    assert source.pulls.get().outcome == Pull.Outcome.RUNNING
    assert UsageHour.objects.count() == 0
    Pull.objects.update(started_at=NOW)
    later = NOW + timedelta(minutes=11)
    assert pull_log.close_stopped(later) == 1
    assert source.pulls.get().message == pull_log.STOPPED
    pulling.pull(source.pk, clock=at(later))
    assert UsageHour.objects.get().requests == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("cause", "says"), [(DiskFull("no space"), "no room left on its disk"), (None, "The database did not answer")]
)
def test_a_database_that_fails_is_named_and_nothing_is_counted(provider, source, monkeypatch, cause, says):
    provider.usage(HOUR, requests=3)

    def fail(*args, **kwargs):
        raise OperationalError("server closed the connection") from cause

    with monkeypatch.context() as patch:
        patch.setattr("metrics.ledger.post_statement", fail)
        assert pulling.pull(source.pk, clock=at(NOW)) is None
    source.refresh_from_db()
    assert says in source.problem
    assert says in source.pulls.get().message
    assert UsageHour.objects.count() == 0
    pulling.pull(source.pk, clock=at(NOW))
    assert UsageHour.objects.get().requests == 3


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_even_take_the_note_counts_nothing_twice(provider, source, monkeypatch):
    provider.usage(HOUR, requests=3)

    def fail(self, *args, **kwargs):
        raise OperationalError("could not extend file") from DiskFull("no space")

    with monkeypatch.context() as patch:
        patch.setattr(Pull, "save", fail)
        Pull.objects.bulk_create([Pull(backend=source)])
        patch.setattr(pull_log, "begin", lambda *args, **kwargs: Pull.objects.first())
        assert pulling.pull(source.pk, clock=at(NOW)) is None
    pulling.pull(source.pk, clock=at(NOW))
    assert UsageHour.objects.get().requests == 3


def test_clocks_that_differ_are_said(provider, source, monkeypatch):
    double = connector_of(provider)
    fetch = double.fetch

    def ahead(self, window):
        self.http.meter.ahead_seconds = 720
        yield from fetch(self, window)

    double.fetch = ahead
    monkeypatch.setattr("metrics.sources.connector_for", lambda kind: double)
    pulling.pull(source.pk, clock=at(NOW))
    assert "clock is 12 minutes ahead of the source's" in source.pulls.get().message


# --- The log


def test_the_log_keeps_failures_and_each_days_last_row_longer(source):
    def row(days_ago, outcome="ok", minutes=0):
        pull = Pull.objects.create(backend=source, outcome=outcome, ended_at=NOW)
        Pull.objects.filter(pk=pull.pk).update(started_at=NOW - days_ago * DAY + timedelta(minutes=minutes))
        return pull.pk

    kept = [row(13), row(13, minutes=5)]
    gone = [row(15), row(15, minutes=1)]
    kept += [row(15, "permanent", minutes=2), row(15, minutes=3)]
    gone += [row(95, "transient"), row(401), row(401, "permanent", minutes=1)]
    kept += [row(95, minutes=1), row(399)]
    assert pull_log.drop_old(NOW) == len(gone)
    assert set(Pull.objects.values_list("pk", flat=True)) == set(kept)
