"""What a pull has to show against a double of its source: inherit `PullSuite` or `CounterPullSuite`.

A double is a running program on loopback that answers as the source would, from a small ledger of its own, so that the
figures that a pull posts can be compared with a sum made by hand. docs/connectors/writing-a-connector.md says how.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.access import Asker
from accounts.models import OrganisationRole, User
from metrics import backends, backfill
from metrics import pull as pulling
from metrics.checking import check
from metrics.connectors import connector_for
from metrics.meter import Pace
from metrics.models import Backend, LedgerEntry, Series, UsageHour
from metrics.secrets import seal
from metrics.usage import ADDITIVE_MEASURES, SeriesKind
from metrics.windows import DAY

SECRET = "s3cret+/key-0123456789"
# Sums by what `by` names: usually {model: {measure: sum}}.
Sums = Mapping[Any, Mapping[str, int | Decimal]]
OTHER_CHARGES = "other charges"
ENCRYPTION_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def sums_of(backend: Backend, by: tuple[str, ...], *, without: frozenset[str] = frozenset()) -> dict[Any, dict]:
    """What the ledger's hours hold of this backend, by names of a series' fields or `label:<name>`.

    Money that belongs to no traffic stands under OTHER_CHARGES, or under its charge category. A currency other than USD
    stands after the measure: `billed_cost EUR`.
    """
    found: dict[Any, dict[str, int | Decimal]] = defaultdict(dict)
    rows = UsageHour.objects.filter(series__backend=backend).select_related("series").order_by("pk")
    for row in rows:
        for measure in ADDITIVE_MEASURES:
            value = getattr(row, measure)
            if value is None or measure in without:
                continue
            is_money = measure.endswith("_cost")
            name = f"{measure} {row.currency}" if is_money and row.currency != "USD" else measure
            sums = found[_key_of(row.series, by)]
            sums[name] = sums.get(name, 0) + value
    return dict(found)


def _key_of(series: Series, by: tuple[str, ...]) -> Any:
    if series.kind == SeriesKind.OTHER_CHARGES:
        return series.labels.get("charge_category", OTHER_CHARGES)
    values = tuple(_value_of(series, name) for name in by)
    return values[0] if len(values) == 1 else values


def _value_of(series: Series, name: str) -> str:
    if name == "labels":
        return " ".join(f"{label}={value}" for label, value in sorted(series.labels.items()))
    if name.startswith("label:"):
        return str(series.labels.get(name.removeprefix("label:"), ""))
    return str(getattr(series, name))


def difference(after: Sums, before: Sums) -> dict[Any, dict[str, int | Decimal]]:
    """What grew or shrank from `before` to `after`; what did not change is left out."""
    found: dict[Any, dict[str, int | Decimal]] = {}
    for key in {**after, **before}:
        now, then = after.get(key, {}), before.get(key, {})
        changes = {name: now.get(name, 0) - then.get(name, 0) for name in {**now, **then}}
        changes = {name: value for name, value in changes.items() if value}
        if changes:
            found[key] = changes
    return found


class _Pulling:
    """What both suites share: a double, a backend that reads it, and a clock that stands where the test puts it."""

    kind: str
    # When the first pull happens; a double's usage lies in the days before it.
    now: datetime = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    # What keys of the sums are made of: fields of a series, or `label:<name>`.
    by: tuple[str, ...] = ("model",)
    # Measures that are not compared: an estimate depends on the price list that is installed.
    without: frozenset[str] = frozenset({"estimated_cost"})

    def double(self) -> AbstractContextManager[Any]:
        """A running double with the usage that the test expects; it has a `url`."""
        raise NotImplementedError

    def parameters(self, url: str) -> dict[str, Any]:
        """The connector's parameters, with SECRET in its secret."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _installation(self, settings, db):
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        settings.ENCRYPTION_KEYS = [ENCRYPTION_KEY]

    @pytest.fixture
    def source(self) -> Iterator[Any]:
        with self.double() as running:
            yield running

    @pytest.fixture
    def backend(self, source) -> Backend:
        kind = connector_for(self.kind)
        return Backend.objects.create(
            slug="source",
            name="Source",
            connector=self.kind,
            provider=kind.provider or "unknown",
            measured_at=kind.measured_at,
            **self._stored(source.url),
        )

    def _stored(self, url: str) -> dict[str, Any]:
        kind = connector_for(self.kind)
        values = kind.clean_parameters(self.parameters(url))
        secret = {p.name for p in kind.parameters if p.is_secret}
        return {
            "parameters": {name: value for name, value in values.items() if name not in secret},
            "secrets": seal({name: value for name, value in values.items() if name in secret and value}),
        }

    def pull(self, backend: Backend, *, after: timedelta = timedelta(0)) -> pulling.Found:
        """Pull as the worker does, so long after the first pull. Fails where the pull does."""
        moment = self.now + after
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("metrics.sources.now", lambda: moment)
            patch.setattr(connector_for(self.kind), "pace", Pace())
            found = pulling.pull(backend.pk, clock=lambda: moment)
        backend.refresh_from_db()
        assert found is not None, backend.problem
        return found

    def sums(self, backend: Backend) -> dict[Any, dict[str, int | Decimal]]:
        return sums_of(backend, self.by, without=self.without)

    def assert_ledger_is_right(self) -> None:
        """The hours and days are the sums of the ledger's entries."""
        assert [(finding.what, finding.examples) for finding in check() if finding.count] == []


class PullSuite(_Pulling):
    """For a StatementConnector. Usage that is compared lies in days whose statements have settled by `now`."""

    # The hand-made sum of what `double()` holds.
    expected: Sums
    # What `restate` and `drop` change of it.
    restated: Sums
    dropped: Sums

    def restate(self, source: Any) -> None:
        """The source corrects what it said of a past day."""
        raise NotImplementedError

    def drop(self, source: Any) -> None:
        """The source no longer names something that it named before."""
        raise NotImplementedError

    def test_figures_are_those_of_the_hand_made_sum(self, backend):
        self.pull(backend)
        assert self.sums(backend) == self.expected
        self.assert_ledger_is_right()

    def test_pulled_again_there_is_no_new_entry(self, backend):
        self.pull(backend)
        entries = LedgerEntry.objects.count()
        again = self.pull(backend, after=timedelta(minutes=5))
        assert again.receipt is None
        assert LedgerEntry.objects.count() == entries
        assert backend.pulls.first().outcome == "nothing_new"
        self.pull(backend, after=timedelta(hours=1))
        assert self.sums(backend) == self.expected

    def test_restated_upstream_is_exactly_the_difference_and_is_listed(self, source, backend):
        self.pull(backend)
        self.restate(source)
        corrected = self.pull(backend, after=timedelta(minutes=5))
        assert corrected.receipt is not None
        assert difference(self.sums(backend), self.expected) == self.restated
        self.assert_listed(backend, corrected.receipt, self.restated)
        self.assert_ledger_is_right()

    def test_a_row_given_before_and_dropped_now_is_taken_back(self, source, backend):
        self.pull(backend)
        self.drop(source)
        corrected = self.pull(backend, after=timedelta(minutes=5))
        assert difference(self.sums(backend), self.expected) == self.dropped
        self.assert_listed(backend, corrected.receipt, self.dropped)
        self.assert_ledger_is_right()

    def test_an_older_answer_that_arrives_late_changes_nothing(self, source, backend):
        """A pull that was asked before the correction, and answers after a pull that has read it."""
        self.pull(backend)
        self.restate(source)
        self.pull(backend, after=timedelta(minutes=10))
        corrected = self.sums(backend)
        entries = LedgerEntry.objects.count()
        with self.double() as earlier:
            self._read_from(backend, earlier.url)
            self.pull(backend, after=timedelta(minutes=5))
        assert self.sums(backend) == corrected
        assert LedgerEntry.objects.count() == entries
        self._read_from(backend, source.url)
        assert self.pull(backend, after=timedelta(minutes=15)).receipt is None

    def test_reading_back_the_same_days_adds_nothing(self, backend):
        self.pull(backend)
        entries = LedgerEntry.objects.count()
        start = backend.pulls.first().window_start
        Backend.objects.filter(pk=backend.pk).update(
            backfill_from=start - DAY, backfill_cursor=self.now.replace(minute=0)
        )
        while backfill.step(backend.pk, clock=lambda: self.now + timedelta(minutes=20)):
            pass
        backend.refresh_from_db()
        assert backend.problem == ""
        assert backend.backfill_cursor is None
        assert self.sums(backend) == self.expected
        assert LedgerEntry.objects.count() == entries

    def assert_listed(self, backend: Backend, receipt: Any, changed: Sums) -> None:
        """The backend's page lists the correction, and it is the whole of what the receipt did to stated hours."""
        if not changed:
            return
        admin = User.objects.create_user(username="listing", organisation_role=OrganisationRole.ADMIN)
        page = backends.backend_page(Asker(user=admin), backend)
        listed = page.restatements[0]
        assert listed.at == receipt.created_at
        billed: dict[str, Decimal] = defaultdict(Decimal)
        tokens = 0
        for sums in changed.values():
            for name, value in sums.items():
                measure, _, currency = name.partition(" ")
                if measure == "billed_cost":
                    billed[currency or "USD"] += Decimal(value)
                elif measure in ("input_tokens", "output_tokens"):
                    tokens += int(value)
        assert {currency: amount for currency, amount in listed.billed.items() if amount} == {
            currency: amount for currency, amount in billed.items() if amount
        }
        assert (listed.tokens or 0) == tokens
        admin.delete()

    def _read_from(self, backend: Backend, url: str) -> None:
        for name, value in self._stored(url).items():
            setattr(backend, name, value)
        backend.save()


class CounterPullSuite(_Pulling):
    """For a CounterConnector. `double()` shows its first totals; `grow` and `restart` move them."""

    # What `grow` adds, and what the counters show after `restart`.
    grown: Sums
    after_restart: Sums

    def grow(self, source: Any) -> None:
        raise NotImplementedError

    def restart(self, source: Any) -> None:
        """The process starts again from zero and has counted `after_restart` since."""
        raise NotImplementedError

    def test_the_first_reading_is_a_baseline(self, backend):
        self.pull(backend)
        assert self.sums(backend) == {}

    def test_growth_is_the_hand_made_sum_and_the_same_reading_adds_nothing(self, source, backend):
        self.pull(backend)
        self.grow(source)
        self.pull(backend, after=timedelta(minutes=5))
        assert _without_zeros(self.sums(backend)) == self.grown
        self.pull(backend, after=timedelta(minutes=10))
        assert _without_zeros(self.sums(backend)) == self.grown
        self.assert_ledger_is_right()

    def test_a_counter_that_resets_counts_from_zero(self, source, backend):
        self.pull(backend)
        self.grow(source)
        self.pull(backend, after=timedelta(minutes=5))
        self.restart(source)
        self.pull(backend, after=timedelta(minutes=10))
        assert difference(self.sums(backend), self.grown) == self.after_restart
        assert "restarted" in backend.pulls.first().message

    def test_an_older_reading_that_arrives_late_changes_nothing(self, source, backend):
        if not hasattr(source, "play"):
            pytest.skip("A real program cannot say again what it said before.")
        earlier = source.play
        self.pull(backend)
        self.grow(source)
        self.pull(backend, after=timedelta(minutes=10))
        entries = LedgerEntry.objects.count()
        source.play = earlier
        self.pull(backend, after=timedelta(minutes=5))
        assert LedgerEntry.objects.count() == entries


def _without_zeros(sums: Sums) -> dict[Any, dict[str, int | Decimal]]:
    return difference(sums, {})


@contextmanager
def running(double: Any) -> Iterator[Any]:
    """A double with `close`, closed at the end."""
    try:
        yield double
    finally:
        double.close()


__all__ = ["OTHER_CHARGES", "SECRET", "CounterPullSuite", "PullSuite", "Sums", "difference", "running", "sums_of"]
