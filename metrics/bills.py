"""What pages and the API show of billing files: plain values, for those who read all spend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils.translation import gettext

from accounts.access import Asker, can_change_backends
from metrics import billed_elsewhere, importing, sources
from metrics.bill_questions import BillQuestion, counted_providers, root_of, undecided
from metrics.errors import RuleViolation
from metrics.focus import AI_CATEGORY
from metrics.importer import Charge, Layout, RowRejected
from metrics.imports.focus_layout import FocusLayout
from metrics.imports.mapped_layout import ColumnMapping, MappedLayout
from metrics.models import Backend, BillingImport, BillingSource, ImportedCharge
from web import wording

State = BillingImport.State
SERVICES_SHOWN = 100
PREVIEW_ROWS = 8


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """What a file charges for a service, by currency."""

    service: str
    category: str
    amounts: tuple[tuple[Decimal, str], ...]
    rows: int
    is_chosen: bool

    @property
    def is_ai(self) -> bool:
        return self.category == AI_CATEGORY


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month's money of this file, and what the source's bills add up to without and with it."""

    month: date
    currency: str
    amount: Decimal
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row of the file as understood; with `problem`, why it would not count. `charge` None then."""

    number: int
    charge: Charge | None
    problem: str = ""

    @property
    def project(self) -> str:
        return dict(self.charge.key.labels).get("project", "") if self.charge else ""

    @property
    def tokens(self) -> str:
        """'1,000 in, 20 out' of what is known."""
        if self.charge is None or self.charge.counts is None:
            return ""
        given, _, _, out, requests = self.charge.counts
        told = [
            (given, gettext("%(count)s in")),
            (out, gettext("%(count)s out")),
            (requests, gettext("%(count)s requests")),
        ]
        return ", ".join(words % {"count": wording.count(count)} for count, words in told if count is not None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend that a bill may pay for. `is_likely`: of the same provider."""

    backend: Backend
    is_likely: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class BillCheck:
    """A month of a bill beside what a backend states itself, which does not count."""

    month: date
    currency: str
    billed: Decimal
    own: Decimal
    names: str

    @property
    def gap(self) -> Decimal | None:
        return self.own / self.billed - 1 if self.billed else None


@dataclass(slots=True)
class ImportPage:
    """Everything on the page of one file."""

    one: BillingImport
    may_change: bool
    can_take_back: bool
    totals: list[tuple[Decimal, str]] = field(default_factory=list)
    months: list[MonthRow] = field(default_factory=list)
    services: list[ServiceRow] = field(default_factory=list)
    preview: list[PreviewRow] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    checks: list[BillCheck] = field(default_factory=list)
    replaces: list[BillingImport] = field(default_factory=list)

    @property
    def has_likely(self) -> bool:
        return any(one.is_likely for one in self.candidates)


def can_see_imports(asker: Asker) -> bool:
    """Admins and executives: a bill shows the whole organisation's spend."""
    return asker.user.reads_all and (asker.token is None or asker.token.workload_id is None)


def visible_imports(asker: Asker) -> QuerySet[BillingImport]:
    """The files that the asker may see."""
    found = BillingImport.objects.select_related("source__backend", "user", "receipt")
    return found if can_see_imports(asker) else found.none()


def import_page(asker: Asker, one: BillingImport) -> ImportPage:
    """The page of a file, which the asker may see."""
    may_change = can_change_backends(asker)
    page = ImportPage(
        one, may_change, can_take_back=may_change and one.state == State.DONE and one.receipt_id is not None
    )
    if one.state in (State.MAPPING, State.READY):
        page.preview = preview_of(one)
    if one.state in (State.READY, State.POSTING, State.DONE):
        page.services = _services(one)
        page.months = _months(one)
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for row in page.months:
            totals[row.currency] += row.amount
        page.totals = [(amount, currency) for currency, amount in sorted(totals.items())]
    if one.state == State.READY:
        page.candidates = candidates(one.source, charges=importing.charges_of(one))
        page.replaces = _replaced(one)
    if one.state == State.DONE:
        page.checks = checks_of(one.source)
    return page


def preview_of(one: BillingImport, mapping: dict[str, Any] | None = None) -> list[PreviewRow]:
    """The first rows as understood with this mapping, or with what the file or its source says."""
    names = one.sample.get("names", [])
    limits = importing.limits_at(sources.now())
    layout: Layout | None
    if one.focus_version:
        layout = FocusLayout.of(list(one.columns), limits, importing.kept_tags)
    else:
        told = mapping or one.mapping
        try:
            layout = MappedLayout.of(ColumnMapping.of(told, one.columns), limits, importing.kept_tags) if told else None
        except RuleViolation:
            layout = None
    if layout is None or not set(layout.names) <= set(names):
        return []
    places = [names.index(name) for name in layout.names]
    found = []
    for number, row in enumerate(one.sample.get("rows", [])[:PREVIEW_ROWS], start=importing.FIRST_ROW):
        try:
            found.append(PreviewRow(number, layout.charge(tuple(row[place] for place in places))))
        except RowRejected as problem:
            found.append(PreviewRow(number, None, problem.detail))
    return found


def _column(one: BillingImport) -> str:
    return "effective" if one.cost == "effective" else "billed"


def _services(one: BillingImport) -> list[ServiceRow]:
    rows = (
        importing.charges_of(one)
        .exclude(category="Tax")
        .values("service", "service_category", "currency")
        .annotate(amount=Sum(_column(one)), rows=Sum("rows"))
        .order_by("service", "currency")
    )
    found: dict[str, ServiceRow] = {}
    for row in rows:
        there = found.get(row["service"])
        amount = ((row["amount"] or Decimal(0), row["currency"]),)
        found[row["service"]] = ServiceRow(
            row["service"],
            row["service_category"],
            amount if there is None else _added(there.amounts, amount[0]),
            row["rows"] + (there.rows if there else 0),
            one.services is None or row["service"] in one.services,
        )
    ordered = sorted(found.values(), key=lambda one: (not one.is_ai, -max(abs(a) for a, _ in one.amounts), one.service))
    return ordered[:SERVICES_SHOWN]


def _added(amounts: tuple[tuple[Decimal, str], ...], more: tuple[Decimal, str]) -> tuple[tuple[Decimal, str], ...]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for amount, currency in (*amounts, more):
        sums[currency] += amount
    return tuple((amount, currency) for currency, amount in sorted(sums.items()))


def _month_sums(charges: QuerySet[ImportedCharge], column: str) -> dict[tuple[date, str], Decimal]:
    rows = (
        charges.exclude(category="Tax")
        .annotate(month=TruncMonth("start", tzinfo=UTC))
        .values("month", "currency")
        .annotate(amount=Sum(column))
        .order_by()
    )
    return {(row["month"].date(), row["currency"]): row["amount"] or Decimal(0) for row in rows}


def _standing_sums(periods: Iterable[Any]) -> dict[tuple[date, str], Decimal]:
    by_column: dict[str, list[int]] = defaultdict(list)
    for row in periods:
        by_column[_column(row.billing_import)].append(row.pk)
    sums: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for column, ids in by_column.items():
        for key, amount in _month_sums(ImportedCharge.objects.filter(period__in=ids), column).items():
            sums[key] += amount
    return sums


def _months(one: BillingImport) -> list[MonthRow]:
    charges = importing.charges_of(one)
    if one.services is not None:
        charges = charges.filter(service__in=one.services)
    mine = _month_sums(charges, _column(one))
    if one.state == State.DONE:
        return [MonthRow(month, currency, amount, amount, amount) for (month, currency), amount in sorted(mine.items())]
    there = billed_elsewhere.standing_periods(one.source)
    before = _standing_sums(there)
    own = list(one.periods.select_related("billing_import"))
    kept = [row for row in billed_elsewhere.standing([*own, *there]) if row.billing_import_id != one.pk]
    after = _standing_sums(kept)
    rows = []
    for key in sorted(set(mine) | {key for key in before if before[key] != after.get(key, Decimal(0))}):
        amount = mine.get(key, Decimal(0))
        rows.append(MonthRow(key[0], key[1], amount, before.get(key, Decimal(0)), after.get(key, Decimal(0)) + amount))
    return rows


def _replaced(one: BillingImport) -> list[BillingImport]:
    """Earlier files that this one replaces, at least in part."""
    if one.mode != BillingImport.Mode.REPLACE:
        return []
    there = billed_elsewhere.standing_periods(one.source)
    own = list(one.periods.select_related("billing_import"))
    kept = {row.pk for row in billed_elsewhere.standing([*own, *there])}
    return list({row.billing_import_id: row.billing_import for row in there if row.pk not in kept}.values())


# --- What a bill pays for


def candidates(source: BillingSource, *, charges: QuerySet[ImportedCharge] | None = None) -> list[Candidate]:
    """The backends that this bill may pay for, those of the same provider first."""
    if charges is None:
        charges = ImportedCharge.objects.filter(period__billing_import__source=source)
    providers = {root_of(name) for name in charges.values_list("provider", flat=True).distinct().order_by()}
    chosen = set(source.pays_for.values_list("pk", flat=True))
    found = [Candidate(one, bool(theirs & providers), one.pk in chosen) for one, theirs in counted_providers()]
    return sorted(found, key=lambda one: not one.is_likely)


def open_questions(asker: Asker) -> list[BillQuestion]:
    """The bills of which nobody has said what they pay for, though it may be counted already."""
    if not can_see_imports(asker):
        return []
    return undecided()


def checks_of(source: BillingSource) -> list[BillCheck]:
    """By month: what the bill states, and what the backends that it pays for state themselves of the same days."""
    backends = list(source.pays_for.order_by("name"))
    if not backends:
        return []
    own: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    days = set()
    for row in billed_elsewhere.uncounted(backends):
        own[row.day.replace(day=1), row.currency] += row.amount
        days.add(row.day)
    if not own:
        return []
    periods = billed_elsewhere.standing_periods(source)
    first, last = min(days), max(days)
    billed: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for column in ("billed", "effective"):
        ids = [row.pk for row in periods if _column(row.billing_import) == column]
        charges = ImportedCharge.objects.filter(
            period__in=ids,
            start__gte=datetime(first.year, first.month, first.day, tzinfo=UTC),
            start__lt=datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=UTC),
        )
        for key, amount in _month_sums(charges, column).items():
            billed[key] += amount
    names = ", ".join(one.name for one in backends)
    return [
        BillCheck(month, currency, billed.get((month, currency), Decimal(0)), amount, names)
        for (month, currency), amount in sorted(own.items(), reverse=True)
    ]


def latest_import(source: BillingSource) -> BillingImport | None:
    """The source's newest file."""
    return source.imports.order_by("-created_at", "-pk").first()


def names_of(backends: Sequence[Backend]) -> str:
    """'A, B and C'."""
    names = [one.name for one in backends]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
