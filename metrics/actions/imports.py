"""Bringing a billing file in: upload, mapping, confirming, discarding, and saying what a bill pays for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from accounts.models import Workload
from metrics import billed_elsewhere, importing, sources, uploads
from metrics.actions.backends import free_slug
from metrics.actions.backfills import BACKFILL_FIELDS, read_again
from metrics.actions.permission import require_backend_admin
from metrics.billed_elsewhere import standing_periods
from metrics.deadlocks import done_again, one_transaction
from metrics.errors import RuleViolation
from metrics.importer import BrokenRow, Layout, RowRejected, Table
from metrics.imports import open_table
from metrics.imports.focus_layout import FocusLayout
from metrics.imports.mapped_layout import ColumnMapping, guess
from metrics.models import Backend, BillingImport, BillingSource, ImportPeriod
from metrics.usage import MeasuredAt

State = BillingImport.State
SAMPLE_ROWS = 20
SAMPLE_COLUMNS = 60
SAMPLE_CHARACTERS = 2_000
COSTS = ("billed", "effective")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The import of a file. `is_repeat`: it was here already, and nothing was added."""

    one: BillingImport
    is_repeat: bool


@dataclass(slots=True)
class Choices:
    """What may be said with a file. None: as the last time, else what fits most.

    `services`: the services whose charges count, ['*'] for all. `pays_for`: the backends whose traffic the bill pays
    for, empty for none that is known here.
    """

    mapping: Mapping[str, Any] | None = None
    services: Sequence[str] | None = None
    mode: str | None = None
    cost: str | None = None
    pays_for: Sequence[Backend] | None = None


def upload(
    asker: Asker,
    *,
    pieces: Iterable[bytes],
    name: str,
    source: BillingSource | None = None,
    source_name: str = "",
    workload: Workload | None = None,
    choices: Choices | None = None,
    is_confirmed: bool = False,
) -> Uploaded:
    """Take a file in and look at it; a file whose bytes are here already is not taken again.

    Without `source` it goes to the one that the file's account had before, else to a new one. The caller starts
    `read_import` where the import's state says so. Raises RuleViolation (Unreadable among them), PermissionDenied.
    """
    require_backend_admin(asker)
    choices = choices or Choices()
    with uploads.received(pieces) as (path, digest, size):
        there = _live(digest)
        if there is not None:
            return Uploaded(there, is_repeat=True)
        table = open_table(path, importing.limits_at(sources.now()))
        try:
            seen = _look_at(table, choices)
        finally:
            table.close()

        def keep() -> BillingImport:
            with transaction.atomic():
                found = (
                    source or _source_of(seen) or _new_source(source_name or seen.called or _stem(name), seen, workload)
                )
                one = _keep(asker, found, name, digest, size, path, seen)
                _apply(asker, one, choices)
                one.is_confirmed = is_confirmed
                if is_confirmed and one.state == State.MAPPING:
                    raise RuleViolation(
                        "mapping_needed",
                        gettext("This is not FOCUS (%(seen)s): send a mapping.") % {"seen": _shown(seen)},
                        "mapping",
                    )
                one.save()
                record(asker, action="upload_billing_file", subject=found.backend, after={"file": one.name})
                return one

        try:
            one = done_again(keep)
        except IntegrityError:
            # The same file, sent twice at once.
            there = _live(digest)
            if there is None:
                raise
            return Uploaded(there, is_repeat=True)
    return Uploaded(one, is_repeat=False)


@one_transaction
def map_columns(asker: Asker, one: BillingImport, mapping: Mapping[str, Any]) -> BillingImport:
    """Say what the columns mean; reading begins. Raises RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    one = _held(one, State.MAPPING, State.READY)
    if one.focus_version:
        raise RuleViolation("is_focus", gettext("A FOCUS file says itself what its columns mean."))
    one.mapping = ColumnMapping.of(mapping, one.columns).as_json()
    one.source.mapping = one.mapping
    one.source.save(update_fields=["mapping"])
    if one.state == State.READY:
        raise RuleViolation("read_already", gettext("It was read already: discard it and choose the file again."))
    one.state = State.READING
    one.save()
    record(
        asker,
        action="map_billing_columns",
        subject=one.source.backend,
        after={
            "file": one.name,
            "columns": ", ".join(f"{name}: {column}" for name, column in one.mapping["columns"].items()),
        },
    )
    return one


@one_transaction
def confirm(asker: Asker, one: BillingImport, choices: Choices) -> BillingImport:
    """Let a file that was read count; the caller starts `post_import`. Raises RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    one = _held(one, State.READY)
    _apply(asker, one, choices)
    if one.services == importing.ALL:
        one.services = None
    seen = set(importing.charges_of(one).values_list("service", flat=True).distinct().order_by())
    chosen = seen if one.services is None else seen & set(one.services)
    if not chosen:
        raise RuleViolation(
            "no_service", gettext("Tick at least one service: none of the file's money would count."), "services"
        )
    if choices.services is not None:
        told = one.source.services or {}
        one.source.services = {
            "chosen": sorted((set(told.get("chosen", ())) - seen) | chosen),
            "refused": sorted((set(told.get("refused", ())) - chosen) | (seen - chosen)),
        }
        one.source.save(update_fields=["services"])
    one.state, one.is_confirmed = State.POSTING, True
    one.save()
    record(
        asker,
        action="confirm_billing_file",
        subject=one.source.backend,
        after={"file": one.name, "mode": one.mode, "cost": one.cost, "services": one.services},
    )
    return one


@transaction.atomic
def discard(asker: Asker, one: BillingImport) -> None:
    """Drop a file that does not count yet, and its source where it has nothing else. Raises RuleViolation."""
    require_backend_admin(asker)
    one = _held(one, State.MAPPING, State.READING, State.READY, State.FAILED)
    importing.forget(one)
    source, name = one.source, one.name
    one.delete()
    record(asker, action="discard_billing_file", subject=source.backend, after={"file": name})
    if not source.imports.exists() and not source.backend.series.exists():
        source.backend.feeds.all().delete()
        source.backend.delete()


@one_transaction
def set_pays_for(asker: Asker, source: BillingSource, backends: Sequence[Backend]) -> BillingSource:
    """Say which backends' traffic a bill pays for; none: an account of its own. What it brought is spread again.

    Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    source = BillingSource.objects.select_for_update(of=("self",)).select_related("backend").get(pk=source.pk)
    before = list(source.pays_for.order_by("pk"))
    _link(source, backends)
    now = sources.now()
    importing.settle_again(source, note=f"What {source.backend} pays for was changed", now=now)
    start = _first_day(standing_periods(source))
    for backend in before:
        if backend not in backends:
            # Its own statements count again: they have to be asked for.
            billed_elsewhere.forget_unpaid(backend)
            _read_again(backend, start)
    record(
        asker,
        action="set_pays_for",
        subject=source.backend,
        before={"pays_for": [one.slug for one in before]},
        after={"pays_for": [one.slug for one in backends]},
    )
    return source


def after_reversal(one: BillingImport) -> None:
    """Ask the backends that a taken-back bill paid for again: their own statements count from now on."""
    start = _first_day(list(ImportPeriod.objects.filter(billing_import=one)))
    for backend in one.source.pays_for.all():
        _read_again(backend, start)


# --- Looking at a file


@dataclass(slots=True)
class _Seen:
    """What a look at the head of a file found. `called`: what its source could be called."""

    container: str
    columns: list[str]
    layout: Layout | None
    sample: dict[str, Any]
    called: str = ""
    account: str = ""
    provider: str = ""


def _look_at(table: Table, choices: Choices) -> _Seen:
    limits = importing.limits_at(sources.now())
    columns = list(table.columns)
    layout: Layout | None = None
    if not choices.mapping:
        layout = FocusLayout.of(columns, limits, importing.kept_tags)
    names = list(layout.names) if layout else columns[:SAMPLE_COLUMNS]
    rows: list[tuple[Any, ...]] = []
    for row in table.rows(names):
        if not isinstance(row, BrokenRow):
            rows.append(row)
        if len(rows) >= SAMPLE_ROWS:
            break
    seen = _Seen(
        container=table.description,
        columns=columns,
        layout=layout,
        sample={"names": names, "rows": [[_told(cell) for cell in row] for row in rows]},
    )
    if layout is not None:
        _name_it(seen, layout, rows)
    return seen


def _name_it(seen: _Seen, layout: Layout, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        try:
            key = layout.charge(row).key
        except RowRejected:
            continue
        seen.account, seen.provider = key.account, key.provider
        seen.called = " ".join(word for word in (key.provider, key.account_name or key.account) if word)[:120]
        break
    layout.notes.clear()


def _told(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    if isinstance(cell, list | dict):
        # Parquet's maps and structures, as FOCUS's CSV writes them.
        pairs = cell.items() if isinstance(cell, dict) else [pair for pair in cell if isinstance(pair, tuple)]
        return json.dumps({str(name): value for name, value in pairs}, default=str)
    text = format(cell, "f") if isinstance(cell, Decimal) else str(cell)
    return text.replace("\0", "")[:SAMPLE_CHARACTERS]


def _shown(seen: _Seen) -> str:
    return f"{seen.container}, columns {', '.join(seen.columns[:8])}{' ...' if len(seen.columns) > 8 else ''}"


def _stem(name: str) -> str:
    return Path(name).name.split(".")[0][:120] or "Billing file"


# --- Rows


def _live(digest: bytes) -> BillingImport | None:
    return BillingImport.objects.filter(digest=digest, state__in=BillingImport.LIVE).select_related("source").first()


def _source_of(seen: _Seen) -> BillingSource | None:
    """The source that this account's files went to before."""
    if not seen.account:
        return None
    return (
        BillingSource.objects.filter(imports__state=State.DONE, imports__periods__account=seen.account)
        .order_by("-imports__posted_at")
        .first()
    )


def _new_source(name: str, seen: _Seen, workload: Workload | None) -> BillingSource:
    name = " ".join(name.replace("\0", "").split())[:200]
    backend = Backend.objects.create(
        slug=free_slug(name),
        name=name,
        connector=sources.BILLING_FILE,
        provider=seen.provider or "unknown",
        measured_at=MeasuredAt.SERVER,
        default_workload=workload,
    )
    return BillingSource.objects.create(backend=backend)


def _keep(
    asker: Asker, source: BillingSource, name: str, digest: bytes, size: int, path: Path, seen: _Seen
) -> BillingImport:
    layout = seen.layout
    is_focus = isinstance(layout, FocusLayout)
    one = BillingImport(
        source=source,
        user=asker.user,
        token=asker.token,
        name=" ".join(Path(name.replace("\0", "")).name.split())[:200] or "Billing file",
        size=size,
        digest=digest,
        state=State.READING if is_focus else State.MAPPING,
        container=seen.container,
        columns=seen.columns,
        sample=seen.sample,
        cost=source.cost,
    )
    if isinstance(layout, FocusLayout) and layout.header is not None:
        one.layout, one.focus_version, one.has_effective = layout.title, layout.header.version, layout.has_effective
    one.save()
    uploads.keep(one, path)
    return one


def _apply(asker: Asker, one: BillingImport, choices: Choices) -> None:
    """Put what was said onto the row. Raises RuleViolation."""
    if choices.mapping and one.state == State.MAPPING:
        one.mapping = ColumnMapping.of(choices.mapping, one.columns).as_json()
        one.source.mapping = one.mapping
        one.source.save(update_fields=["mapping"])
        one.state = State.READING
    if choices.services is not None:
        one.services = importing.ALL if "*" in choices.services else sorted(set(choices.services))
    if choices.mode is not None:
        if choices.mode not in BillingImport.Mode.values:
            raise RuleViolation("unknown_choice", gettext("mode: 'replace' or 'add'."), "mode")
        one.mode = choices.mode
    if choices.cost is not None:
        if choices.cost not in COSTS:
            raise RuleViolation("unknown_choice", gettext("cost: 'billed' or 'effective'."), "cost")
        if choices.cost == "effective" and not one.has_effective:
            raise RuleViolation("no_effective_cost", gettext("This file has no column EffectiveCost."), "cost")
        one.cost = one.source.cost = choices.cost
        one.source.save(update_fields=["cost"])
    if choices.pays_for is not None:
        before = {backend.pk for backend in one.source.pays_for.all()}
        if before != {backend.pk for backend in choices.pays_for} and one.source.imports.filter(state=State.DONE):
            # It holds for the files before, too.
            set_pays_for(asker, one.source, choices.pays_for)
        else:
            _link(one.source, choices.pays_for)


def _link(source: BillingSource, backends: Sequence[Backend]) -> None:
    for backend in backends:
        if backend.connector == sources.BILLING_FILE:
            raise RuleViolation(
                "is_a_bill", gettext("%(backend)s is a bill itself.") % {"backend": backend}, "pays_for"
            )
        if backend.is_demo:
            raise RuleViolation("is_demo", gettext("%(backend)s is demo data.") % {"backend": backend}, "pays_for")
    source.pays_for.set(backends)
    source.is_decided = True
    source.save(update_fields=["is_decided"])


def _held(one: BillingImport, *states: str) -> BillingImport:
    found = (
        BillingImport.objects.select_for_update(of=("self",))
        .select_related("source__backend")
        .filter(pk=one.pk)
        .first()
    )
    if found is None:
        raise RuleViolation("gone", gettext("This file was discarded."))
    if found.state not in states:
        raise RuleViolation(
            "wrong_state",
            gettext("This file is further by now: %(state)s.") % {"state": found.get_state_display().lower()},
        )
    return found


def _first_day(periods: Sequence[ImportPeriod]) -> date | None:
    return min((row.start.astimezone(settings.REPORTING_ZONE).date() for row in periods), default=None)


def _read_again(backend: Backend, start: date | None) -> None:
    held = Backend.objects.select_for_update().get(pk=backend.pk)
    if read_again(held, start):
        held.save(update_fields=BACKFILL_FIELDS)


def first_guess(one: BillingImport) -> dict[str, Any]:
    """A mapping to begin with: as the source's last file, else what the columns' names suggest."""
    return guess(one.columns[:SAMPLE_COLUMNS], one.sample.get("rows", []), before=one.source.mapping or None)


__all__ = ["Choices", "Uploaded", "confirm", "discard", "first_guess", "map_columns", "set_pays_for", "upload"]
