"""Adding, testing, changing and removing backends. Secrets go in sealed and never come out."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from accounts.models import Workload
from metrics import sources
from metrics.actions.backfills import held, resume, set_backfill
from metrics.actions.permission import require_backend_admin
from metrics.connector import Connector, CounterConnector, StatementConnector, TestResult
from metrics.connectors import connector_for
from metrics.errors import ConnectorError, RuleViolation
from metrics.models import Backend, CounterState, Feed, LedgerEntry, Series
from metrics.parameter import ParameterKind
from metrics.secrets import open_sealed, seal
from metrics.spoken import spoken
from metrics.usage import MeasuredAt
from web import wording

logger = logging.getLogger(__name__)
T = TypeVar("T")

PULL_INTERVALS = (1, 5, 15, 60, 360, 1440)
# Counters that a restart sets back lose what was not read: they are read often. Statements change slowly.
DEFAULT_INTERVAL = {"counter": 5, "statement": 60}
# Bounds of what an admin may set for one backend, in hours; a window is a month at most.
LONGEST_TRAILING_HOURS = 31 * 24
LONGEST_SETTLING_HOURS = 45 * 24
READING_BOUNDS = (
    ("trailing_hours", 1, LONGEST_TRAILING_HOURS),
    ("daily_trailing_hours", 0, LONGEST_TRAILING_HOURS),
    ("settling_hours", 0, LONGEST_SETTLING_HOURS),
)


def pull_interval_of(connector: type[Connector]) -> int:
    """Return how many minutes lie between two pulls unless somebody says otherwise."""
    return DEFAULT_INTERVAL["counter" if issubclass(connector, CounterConnector) else "statement"]


def test_backend(asker: Asker, *, kind: str, values: Mapping[str, Any], backend: Backend | None) -> TestResult:
    """Say in words what works with these values. Secrets left empty are those already stored for `backend`.

    Raises RuleViolation for values that are wrong, PermissionDenied.
    """
    require_backend_admin(asker)
    connector = connector_for(kind)
    cleaned = connector.clean_parameters(_with_stored_secrets(connector, values, backend))
    if backend is not None:
        _refuse_secrets_elsewhere(connector, backend.parameters, values, cleaned)
    try:
        with sources.connector_with(kind, cleaned) as made:
            return _asked(made, made.test)
    except ConnectorError as error:
        result = TestResult()
        result.bad(str(error))
        return result


test_backend.__test__ = False  # type: ignore[attr-defined]


def discover(asker: Asker, *, kind: str, values: Mapping[str, Any]) -> list[Any]:
    """Return the candidates that a source offers. Raises ConnectorError, RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    connector = connector_for(kind)
    with sources.connector_with(kind, connector.clean_parameters(values)) as made:
        return _asked(made, lambda: list(made.discover()))


def _asked(made: Connector, ask: Callable[[], T]) -> T:
    """What the connector answers; a defect of its own is logged without secrets. Raises ConnectorError."""
    try:
        return ask()
    except (ConnectorError, RuleViolation):
        raise
    except Exception as error:  # noqa: BLE001 - its message may hold what was entered
        logger.error("Asking %s failed: %s", made.kind, made.http.redact(traceback.format_exc()))  # noqa: TRY400
        kind = type(error).__name__
    raise ConnectorError(
        gettext("It failed inside Phaseline (%(kind)s); the log says more.") % {"kind": kind}, permanent=False
    )


@transaction.atomic
def add_backend(
    asker: Asker,
    *,
    kind: str,
    name: str,
    values: Mapping[str, Any],
    measured_at: str = "",
    hardware: str = "",
    default_workload: Workload | None = None,
    pull_every_minutes: int | None = None,
    backfill_from_on: date | None = None,
    is_example: bool = False,
    reading: Mapping[str, int | None] | None = None,
) -> Backend:
    """Add a backend, due at once. `values`: what its connector's parameters ask for.

    `reading`: `trailing_hours`, `daily_trailing_hours` and `settling_hours` where this one differs from its connector.
    Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    connector = connector_for(kind)
    cleaned = connector.clean_parameters(values)
    plain, secret = _apart(connector, cleaned)
    with sources.connector_with(kind, cleaned) as made:
        provider, seen_at = made.provider, made.measured_at
    backend = Backend(
        slug=free_slug(name),
        name=checked_name(name),
        connector=kind,
        provider=provider or "unknown",
        parameters=plain,
        secrets=seal(secret),
        measured_at=MeasuredAt(measured_at or seen_at),
        hardware=hardware.strip()[:100],
        default_workload=default_workload,
        pull_every_minutes=_checked_interval(pull_every_minutes or pull_interval_of(connector)),
        next_pull_at=sources.now(),
        is_demo=False,
        is_example=is_example,
        **_checked_reading(connector, reading),
    )
    if backfill_from_on is not None:
        set_backfill(backend, backfill_from_on, field="backfill_from_on")
    backend.save()
    record(asker, action="add_backend", subject=backend, after=_shown(backend, secret))
    return backend


@transaction.atomic
def change_backend(
    asker: Asker,
    backend: Backend,
    *,
    name: str,
    values: Mapping[str, Any],
    measured_at: str = "",
    hardware: str = "",
    default_workload: Workload | None = None,
    pull_every_minutes: int | None = None,
    clear_secrets: frozenset[str] = frozenset(),
    reading: Mapping[str, int | None] | None = None,
) -> Backend:
    """Change a backend; secrets left empty stay as they are. Due at once. Raises RuleViolation, PermissionDenied.

    `reading` as of `add_backend`; what it does not name stays.
    """
    require_backend_admin(asker)
    backend = held(backend)
    before = _shown(backend, _stored(backend))
    if backend.connector not in sources.NOT_PULLED:
        connector = connector_for(backend.connector)
        given = _with_stored_secrets(connector, values, backend, clear=clear_secrets)
        cleaned = connector.clean_parameters(given)
        _refuse_secrets_elsewhere(connector, backend.parameters, values, cleaned)
        plain, secret = _apart(connector, cleaned)
        backend.parameters, backend.secrets = plain, seal(secret)
        backend.next_pull_at = sources.now()
        backend.is_enabled = True
        for field, hours in _checked_reading(connector, reading).items():
            setattr(backend, field, hours)
        # What stopped for a failure goes on with the settings that were mended; what a person stopped does not.
        if backend.is_backfill_stopped and backend.backfill_problem:
            resume(backend)
    else:
        secret = {}
    backend.name = checked_name(name)
    backend.hardware = hardware.strip()[:100]
    backend.default_workload = default_workload
    if measured_at:
        backend.measured_at = MeasuredAt(measured_at)
    if pull_every_minutes:
        backend.pull_every_minutes = _checked_interval(pull_every_minutes)
    backend.failures_in_a_row, backend.problem, backend.is_problem_permanent = 0, "", False
    backend.save()
    record(asker, action="change_backend", subject=backend, before=before, after=_shown(backend, secret))
    return backend


@transaction.atomic
def remove_backend(asker: Asker, backend: Backend) -> bool:
    """Stop pulling and forget the secrets; return whether it is gone altogether.

    What it has counted stays in the ledger, and with it the backend's page. Raises PermissionDenied.
    """
    require_backend_admin(asker)
    backend = held(backend)
    before = _shown(backend, _stored(backend))
    CounterState.objects.filter(backend=backend).delete()
    # A bill's money, and a statement's behind a gateway, lies on series of others.
    posted = LedgerEntry.objects.filter(feed__backend=backend)
    has_figures = Series.objects.filter(backend=backend).exists() or posted.exists()
    record(asker, action="remove_backend", subject=backend, before=before)
    if has_figures:
        backend.is_enabled, backend.secrets, backend.next_pull_at = False, None, None
        backend.backfill_from = backend.backfill_cursor = backend.backfill_until = None
        backend.is_backfill_stopped, backend.backfill_problem = False, ""
        backend.problem, backend.is_problem_permanent = "", False
        backend.save()
        return False
    Feed.objects.filter(backend=backend).delete()
    backend.delete()
    return True


def _apart(connector: type[Connector], cleaned: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    secret = {p.name: cleaned[p.name] for p in connector.parameters if p.is_secret and cleaned.get(p.name)}
    plain = {p.name: cleaned[p.name] for p in connector.parameters if not p.is_secret and cleaned[p.name] is not None}
    return plain, secret


def _stored(backend: Backend) -> dict[str, Any]:
    try:
        return open_sealed(backend.secrets)
    except ConnectorError:
        return {}


def _with_stored_secrets(
    connector: type[Connector],
    values: Mapping[str, Any],
    backend: Backend | None,
    *,
    clear: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    given = dict(values)
    if backend is None:
        return given
    stored = _stored(backend)
    for parameter in connector.parameters:
        if parameter.is_secret and not given.get(parameter.name) and parameter.name not in clear:
            given[parameter.name] = stored.get(parameter.name)
    return given


def _calls_elsewhere(connector: type[Connector], before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an address of another host or port was added."""

    def hosts(values: Mapping[str, Any]) -> set[tuple[str, str]]:
        found = set()
        for parameter in connector.parameters:
            value = values.get(parameter.name)
            if parameter.kind not in (ParameterKind.URL, ParameterKind.URLS) or not value:
                continue
            for text in [value] if isinstance(value, str) else value:
                parts = urlsplit(text)
                found.add((parts.scheme, parts.netloc.lower()))
        return found

    return bool(hosts(after) - hosts(before))


def _refuse_secrets_elsewhere(
    connector: type[Connector], before: Mapping[str, Any], values: Mapping[str, Any], secret: Mapping[str, Any]
) -> None:
    """A stored secret is not sent to an address that it was not entered for."""
    if not _calls_elsewhere(connector, before, secret):
        return
    for parameter in connector.parameters:
        if parameter.is_secret and secret.get(parameter.name) and not values.get(parameter.name):
            raise RuleViolation(
                "secret_again",
                gettext("The address has changed: enter the %(what)s again, or remove it.")
                % {"what": spoken(parameter.label).lower()},
                parameter.name,
            )


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise RuleViolation("required", gettext("A backend needs a name."), "name")
    if len(name) > 200:
        raise RuleViolation("too_long", gettext("A name has at most 200 characters."), "name")
    return name


def _checked_interval(minutes: int) -> int:
    if minutes not in PULL_INTERVALS:
        allowed = ", ".join(map(str, PULL_INTERVALS))
        raise RuleViolation(
            "unknown_choice", gettext("Pull every %(allowed)s minutes.") % {"allowed": allowed}, "pull_every_minutes"
        )
    return minutes


def _checked_reading(connector: type[Connector], reading: Mapping[str, int | None] | None) -> dict[str, int | None]:
    """How much is read again, and when a statement is final. None: as the connector says."""
    given = dict(reading or {})
    if not issubclass(connector, StatementConnector) and any(hours is not None for hours in given.values()):
        raise RuleViolation(
            "counts_only", gettext("Counters are read as they are now; nothing is read again."), "trailing_hours"
        )
    for name, lowest, highest in READING_BOUNDS:
        hours = given.get(name)
        if hours is not None and not lowest <= hours <= highest:
            raise RuleViolation(
                "out_of_bounds",
                gettext("Give %(lowest)s to %(highest)s hours, or leave it empty.")
                % {"lowest": lowest, "highest": wording.count(highest)},
                name,
            )
    return given


def free_slug(name: str) -> str:
    """A slug that no backend has, made of a name."""
    stem = slugify(name)[:60].strip("-") or "backend"
    if stem == "new":
        stem = "new-backend"
    taken = set(Backend.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    if stem not in taken:
        return stem
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def _shown(backend: Backend, secret: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit trail keeps: of secrets only that they are set."""
    return {
        "name": backend.name,
        "connector": backend.connector,
        "measured_at": backend.measured_at,
        "hardware": backend.hardware,
        "default_workload": backend.default_workload.slug if backend.default_workload else None,
        "pull_every_minutes": backend.pull_every_minutes,
        **{name: getattr(backend, name) for name, *_ in READING_BOUNDS if getattr(backend, name) is not None},
        **backend.parameters,
        **dict.fromkeys(secret, "set"),
    }
