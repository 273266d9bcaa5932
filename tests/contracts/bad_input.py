"""Bad input, pulled into the real ledger: each case leaves it right and a sentence on the backend's page.

`ConnectorSuite` brings these cases to every connector. A connector whose answers are JSON names the fields of its rows;
another one overrides `altered`, `repeated`, `emptied` and `endless`, or says in `not_applicable` why a case cannot be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any, ClassVar

import pytest

from accounts.models import OrganisationRole, User
from metrics import pull as pulling
from metrics.connectors import connector_for
from metrics.http import HttpClient, Limits
from metrics.meter import Pace
from metrics.models import Backend, LedgerEntry
from metrics.secrets import seal
from tests.contracts.pull_suite import ENCRYPTION_KEY, sums_of
from tests.doubles.source_server import Asked, Play, Reply, SourceServer

HTML = "<!doctype html><html><body>Sign in</body></html>"
SAID = '{"error": {"message": "said by the source"}}'
QUICK = Limits(connect_seconds=1, read_seconds=1, total_seconds=5, attempts=2, first_wait_seconds=0.01)


def dicts_of(document: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document."""
    if isinstance(document, dict):
        yield document
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from dicts_of(value)


@dataclass
class Pulled:
    """A backend that has been pulled once from a good source, and what its ledger then held."""

    backend: Backend
    source: SourceServer
    now: datetime
    client: Any
    secret: str
    before: Mapping[Any, Any] = None
    entries: int = 0

    def pull(self, *, after: timedelta = timedelta(0)) -> pulling.Found | None:
        moment = self.now + after
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("metrics.sources.now", lambda: moment)
            found = pulling.pull(self.backend.pk, clock=lambda: moment)
        self.backend.refresh_from_db()
        return found

    def sums(self) -> dict[Any, Any]:
        return sums_of(self.backend, ("model", "operation", "service_tier", "labels"))

    def remember(self) -> None:
        self.before, self.entries = self.sums(), LedgerEntry.objects.count()

    def assert_unchanged(self) -> None:
        assert self.sums() == self.before
        assert LedgerEntry.objects.count() == self.entries

    def assert_says_why(self) -> None:
        """A sentence on the backend's page and in the pull log, without the secret."""
        problem = self.backend.problem
        assert problem.endswith(".")
        assert len(problem) > 20
        assert "failed inside Phaseline" not in problem
        assert self.secret not in problem
        page = self.client.get(f"/backends/{self.backend.slug}/").text
        assert escape(problem) in page
        assert self.secret not in page
        assert self.backend.pulls.first().message == problem


class BadInput:
    """The cases; see the module. `secret` is what `parameters` puts where the key goes."""

    kind: str
    style: ClassVar[str]
    secret: ClassVar[str]
    pulled_at: ClassVar[datetime]
    # case -> why it cannot happen to this connector, a sentence.
    not_applicable: ClassVar[Mapping[str, str]] = {}
    # Names of fields in the rows of `good`'s JSON.
    rows: ClassVar[str] = "results"
    count: ClassVar[str] = ""
    amount: ClassVar[str] = ""
    currency: ClassVar[str] = ""
    more: ClassVar[str] = "has_more"
    cursor: ClassVar[str] = "next_page"
    # How the source writes an amount.
    amount_is_text: ClassVar[bool] = False

    def good(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def parameters(self, url: str) -> dict[str, Any]:
        raise NotImplementedError

    # --- What a connector may override

    def altered(self, field: str, value: Any) -> Play:
        """`good` with `value` in every `field` that its rows have; `field` is one of the names above."""

        def change(row: dict[str, Any]) -> None:
            if row.get(field) is not None:
                row[field] = value

        assert field, "name the field of the rows, or say in not_applicable why the case cannot be"
        return self._with(change)

    def repeated(self) -> Play:
        """`good` with every row twice."""

        def change(bucket: dict[str, Any]) -> None:
            if isinstance(bucket.get(self.rows), list):
                bucket[self.rows] = bucket[self.rows] * 2

        return self._with(change)

    def emptied(self) -> Play:
        """`good` without any row."""

        def change(bucket: dict[str, Any]) -> None:
            if isinstance(bucket.get(self.rows), list):
                bucket[self.rows] = []

        return self._with(change)

    def endless(self, cursor: Callable[[], Any]) -> Play:
        """`good` whose every page says that there is more, at `cursor()`."""

        def change(document: dict[str, Any]) -> None:
            if self.more in document:
                document[self.more] = True
                document[self.cursor] = cursor()

        return self._with(change)

    def limit_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the cap on pages small, so that a test reaches it."""
        monkeypatch.setattr("metrics.answers.MOST_PAGES", 5)

    def skewed(self, by: timedelta) -> Play:
        """`good` from a source whose clock is `by` ahead of ours."""
        date = format_datetime(datetime.now(UTC) + by, usegmt=True)
        return lambda asked: replace(self.usual(asked), headers={"Date": date})

    def _with(self, change: Callable[[dict[str, Any]], None]) -> Play:
        def play(asked: Asked) -> Reply:
            reply = self.usual(asked)
            document = json.loads(reply.body)
            for one in list(dicts_of(document)):
                change(one)
            # NaN and Infinity are written as such, which is no JSON, as many programs do.
            return replace(reply, body=json.dumps(document))

        return play

    # --- The cases

    @pytest.fixture
    def pulled(self, case, source, settings, monkeypatch, client, db, record_property) -> Pulled:
        # For the table of kinds x cases.
        record_property("conformance", f"{self.kind}|{case}")
        if case in self.not_applicable:
            pytest.skip(self.not_applicable[case])
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        settings.ENCRYPTION_KEYS = [ENCRYPTION_KEY]
        monkeypatch.setattr("metrics.sources.HttpClient", lambda policy: HttpClient(policy, limits=QUICK))
        kind = connector_for(self.kind)
        monkeypatch.setattr(kind, "pace", Pace())
        values = kind.clean_parameters(self.parameters(source.url))
        secret = {parameter.name for parameter in kind.parameters if parameter.is_secret}
        backend = Backend.objects.create(
            slug="source",
            name="Source",
            connector=self.kind,
            provider=kind.provider or "unknown",
            measured_at=kind.measured_at,
            parameters={name: value for name, value in values.items() if name not in secret},
            secrets=seal({name: value for name, value in values.items() if name in secret and value}),
        )
        admin = User.objects.create_user(username="looks-on", organisation_role=OrganisationRole.ADMIN)
        client.force_login(admin)
        pulled = Pulled(backend, source, self.pulled_at, client, self.secret)
        self.begin(pulled)
        pulled.remember()
        return pulled

    def usual(self, asked: Asked) -> Reply:
        """What the source says when all is well and nothing has happened since it was pulled."""
        return self.good(asked)

    def begin(self, pulled: Pulled) -> None:
        """Pull what is good, so that there is something to get wrong."""
        assert pulled.pull() is not None, pulled.backend.problem
        assert pulled.sums()

    def run_case(self, case: str, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        name = "_" + case.lower().replace(" ", "_").replace("-", "_")
        getattr(self, name)(pulled, monkeypatch)

    def fails(self, pulled: Pulled, play: Play, *, permanent: bool | None = None) -> None:
        """The pull fails in words and changes nothing; the next good one adds nothing either."""
        pulled.source.play = play
        assert pulled.pull(after=timedelta(minutes=5)) is None
        pulled.assert_unchanged()
        pulled.assert_says_why()
        if permanent is not None:
            assert pulled.backend.is_problem_permanent is permanent
        self.recovers(pulled)

    def recovers(self, pulled: Pulled) -> None:
        pulled.source.play = self.usual
        assert pulled.pull(after=timedelta(minutes=10)) is not None, pulled.backend.problem
        assert pulled.backend.problem == ""
        pulled.assert_unchanged()

    def is_right(self, pulled: Pulled, play: Play) -> None:
        """The pull fails in words, or is not taken in: either way the ledger is as it was."""
        pulled.source.play = play
        found = pulled.pull(after=timedelta(minutes=5))
        if found is None or found.problems:
            pulled.assert_says_why()
        pulled.assert_unchanged()
        self.recovers(pulled)

    def _wrong_key(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(SAID, status=401), permanent=True)

    def _no_right(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(SAID, status=403), permanent=True)

    def _revoked_half_way(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        asked_before = len(pulled.source.asked)
        pulled.source.play = self.usual
        assert pulled.pull(after=timedelta(minutes=1)) is not None
        requests = len(pulled.source.asked) - asked_before
        pulled.remember()
        pulled.source.asked.clear()
        self.fails(
            pulled,
            lambda asked: self.usual(asked) if len(pulled.source.asked) <= requests // 2 else Reply(SAID, status=401),
            permanent=True,
        )

    def _clock_ahead(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.skewed(timedelta(hours=5)))
        self.assert_clocks_are_told_apart(pulled, "behind")

    def _clock_behind(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.skewed(timedelta(hours=-5)))
        self.assert_clocks_are_told_apart(pulled, "ahead of")

    def assert_clocks_are_told_apart(self, pulled: Pulled, which: str) -> None:
        """The pull log says by how much; nothing is moved by it."""
        said = pulled.backend.pulls.all()[1].message
        assert re.search(f"clock is (299|300) minutes {which} the source's", said), said

    def _429_storm(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(SAID, status=429), permanent=False)

    def _429_for_an_hour(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = len(pulled.source.asked)
        pulled.source.play = lambda _: Reply(SAID, status=429, headers={"Retry-After": "3600"})
        assert pulled.pull(after=timedelta(minutes=5)) is None
        assert pulled.backend.next_pull_at >= pulled.now + timedelta(minutes=65)
        assert not pulled.backend.is_problem_permanent
        pulled.assert_unchanged()
        pulled.assert_says_why()
        pulled.source.play = self.usual
        # It is not asked again meanwhile.
        assert pulled.pull(after=timedelta(minutes=10)) is None
        assert len(pulled.source.asked) == asked + 1
        assert pulled.pull(after=timedelta(minutes=70)) is not None, pulled.backend.problem

    def _5xx(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(
            pulled, lambda asked: Reply(SAID, status=500 if len(pulled.source.asked) % 2 else 503), permanent=False
        )

    def _time_out(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(wait_seconds=1.5), permanent=False)

    def _truncated(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        def play(asked: Asked) -> Reply:
            reply = self.usual(asked)
            return replace(reply, body=reply.body[: len(reply.body) // 2])

        self.fails(pulled, play)

    def _cut_short(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: replace(self.usual(asked), cut_after=12), permanent=False)

    def _html(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(HTML, headers={"Content-Type": "text/html"}))

    def _empty(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, lambda asked: Reply(""))

    def _cursor_repeats(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = len(pulled.source.asked)
        self.fails(pulled, self.endless(lambda: "again"))
        assert len(pulled.source.asked) - asked < 40

    def _more_for_ever(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limit_pages(monkeypatch)
        self.fails(pulled, self.endless(lambda: f"page_{len(pulled.source.asked)}"))

    def _more_but_not_where(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, self.endless(lambda: None))

    def _negative_count(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, self.altered(self.count, -5))

    def _nan(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.altered(self.count, float("nan")))

    def _infinity(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.altered(self.count, float("inf")))

    def _another_type(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, self.altered(self.count, "many"))

    def _too_large(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.altered(self.count, 10**30))

    def _negative_amount(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        pulled.source.play = self.altered(self.amount, "-1.5" if self.amount_is_text else -1.5)
        assert pulled.pull(after=timedelta(minutes=5)) is not None, pulled.backend.problem
        credits = {key: sums["billed_cost"] for key, sums in pulled.sums().items() if sums.get("billed_cost")}
        assert credits
        assert set(credits) == {"Credit"}
        assert credits["Credit"] < 0

    def _amount_nan(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, self.altered(self.amount, "NaN" if self.amount_is_text else float("nan")))

    def _duplicate_rows(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_right(pulled, self.repeated())

    def _currency_never_seen(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        pulled.source.play = self.altered(self.currency, "XTS")
        assert pulled.pull(after=timedelta(minutes=5)) is not None, pulled.backend.problem
        total = lambda sums, name: sum(one.get(name, 0) for one in sums.values())  # noqa: E731
        assert total(pulled.sums(), "billed_cost XTS") == total(pulled.before, "billed_cost")
        assert total(pulled.sums(), "billed_cost") == 0
        assert pulled.client.get(f"/backends/{pulled.backend.slug}/").status_code == 200

    def _currency_that_is_none(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails(pulled, self.altered(self.currency, "credits"))

    def _rows_dropped(self, pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
        pulled.source.play = self.emptied()
        assert pulled.pull(after=timedelta(minutes=5)) is not None, pulled.backend.problem
        assert all(not value for sums in pulled.sums().values() for value in sums.values())
