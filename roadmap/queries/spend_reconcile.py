"""The tab 'Reconcile': what was billed beside what was estimated, per backend and month, with the bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import series
from metrics.figures import Part, UsageRow
from metrics.source_facts import Invoice
from metrics.usage import KNOWN_BIT, SeriesKind
from roadmap.queries.spend import SpendView, spend_view
from roadmap.queries.spend_lines import month_member
from roadmap.queries.spend_tab import (
    Column,
    Entry,
    SpendTab,
    TabTable,
    cents,
    column_of,
    number,
    plus,
    rates_of,
    signed_cents,
    signed_share,
)
from roadmap.rules.spending import Member
from web import wording

ZERO = Decimal(0)
MOST_SERIES = 200
_BILLED, _ESTIMATED = KNOWN_BIT["billed_cost"], KNOWN_BIT["estimated_cost"]
# Which label says best whose usage it is.
TELLING_LABELS = ("team", "project", "service.name", "workspace", "api_key_name", "environment")
Place = tuple[str, Member]


@dataclass(slots=True)
class Statement:
    """One backend's month: what was billed and estimated. `beside_*`: over hours that have both."""

    backend: Member
    month: str
    month_name: str
    billed: Decimal | None = None
    other: Decimal | None = None
    estimated: Decimal | None = None
    beside_billed: Decimal | None = None
    beside_estimated: Decimal | None = None
    unsettled: Decimal | None = None

    def add(self, part: Part) -> None:
        """Add hours of the backend."""
        mask = part.known_mask
        billed = part.values.get("billed_cost") if mask & _BILLED else None
        estimated = part.values.get("estimated_cost") if mask & _ESTIMATED else None
        self.billed = plus(self.billed, billed)
        self.estimated = plus(self.estimated, estimated)
        if mask & _ESTIMATED:
            self.unsettled = plus(self.unsettled, part.values.get("unsettled_cost"))
        if part.kind == SeriesKind.OTHER_CHARGES:
            self.other = plus(self.other, billed)
        elif billed is not None and estimated is not None:
            self.beside_billed = plus(self.beside_billed, billed)
            self.beside_estimated = plus(self.beside_estimated, estimated)

    @property
    def gap(self) -> Decimal | None:
        if self.beside_billed is None or self.beside_estimated is None:
            return None
        return self.beside_billed - self.beside_estimated

    @property
    def gap_ratio(self) -> Decimal | None:
        return self.gap / self.beside_estimated if self.gap is not None and self.beside_estimated else None


def statements_of(view: SpendView) -> tuple[list[Statement], list[UsageRow]]:
    """A statement per backend and month with any money, the newest month first."""
    found: dict[tuple[str, str], Statement] = {}
    rows = view.reader.usage_rows(("backend",), grain="month", measures=(), tells_unallocated=False)
    for row in rows:
        key = view.reader.members_of(row)
        if not view.reader.keeps(key):
            continue
        place = (key["month"].id, key["backend"].id)
        one = found.setdefault(place, Statement(key["backend"], key["month"].id, key["month"].name))
        for part in row.sums.parts:
            one.add(part)
    known = [one for one in found.values() if one.billed is not None or one.estimated is not None]
    return sorted(known, key=lambda one: ([-int(part) for part in one.month.split("-")], one.backend)), rows


def spend_reconcile(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendTab:
    """Billed beside estimated per backend and month, with the gap and the bill."""
    view = spend_view(asker, parameters, now=now)
    found, rows = statements_of(view)
    # Bills are the organisation's; a roadmap's share of one is no bill.
    is_whole = view.plan.sees_all and view.reader.workload_ids is None
    bills = _bills(series.invoices(view.filters.start_on, view.filters.end_on)) if is_whole else {}
    columns = [
        column_of([one.billed for one in found]),
        column_of([one.other for one in found]),
        column_of([one.beside_estimated for one in found]),
        column_of([one.gap for one in found]),
        column_of([one.unsettled for one in found]),
    ]
    lines = []
    for place, one in enumerate(found):
        billed, other, estimated, gap, unsettled = (column[0][place] for column in columns)
        lines.append(
            [
                Entry(one.backend.name, reverse("backend", args=[one.backend.id]), one.month_name),
                Entry(cents(billed) if billed is not None else "no statement"),
                Entry(cents(other)),
                Entry(cents(estimated)),
                Entry(signed_cents(gap), note=signed_share(one.gap_ratio) if gap is not None else ""),
                Entry(cents(unsettled)),
                _bill_entry(bills.get((one.month, one.backend.id), []), is_whole=is_whole),
            ]
        )
    lines += _bills_alone(view, bills, {(one.month, one.backend.id) for one in found})
    total_gap, total_beside = columns[3][1], columns[2][1]
    no_rate, stale = rates_of(rows)
    table = TabTable(
        id="reconcile",
        title=gettext("Billed and estimated"),
        note=f"{view.currency}, {view.filters.window_text}",
        columns=[
            Column(gettext("Backend and month")),
            number(gettext("Billed")),
            number(gettext("Of it charges and credits")),
            number(gettext("Estimated of the same hours")),
            number(gettext("Gap")),
            number(gettext("Still estimated")),
            number(gettext("Invoice")),
        ],
        rows=lines,
        foot=[
            gettext("All"),
            *(cents(columns[index][1]) for index in (0, 1, 2)),
            signed_cents(total_gap),
            cents(columns[4][1]),
            "",
        ],
        empty=gettext("No backend has money in this window."),
    )
    return SpendTab(
        view=view,
        name="spend_reconcile",
        title=gettext("Reconcile"),
        sentence=_gap_sentence(total_gap, total_beside, view.currency),
        rest=""
        if is_whole
        else gettext("Of your roadmaps' share; bills are shown to those who see the whole organisation."),
        tables=[table],
        method=[
            gettext(
                "The gap is billed minus estimated over the hours that have both, other charges and credits aside. An "
                "estimate counts until the statement of its period has settled. Where a gateway counts for a provider, "
                "the provider's statement stands at the gateway's series, so that its row is the gateway's."
            ),
        ],
        no_rate=no_rate,
        stale_rates=stale,
    )


def _bills_alone(
    view: SpendView, bills: Mapping[tuple[str, str], Sequence[Invoice]], there: set[tuple[str, str]]
) -> list[list[Entry]]:
    """Bills of backends that have no money of their own in the month: what they billed is counted elsewhere."""
    names = {name.backend_slug: name.backend_name for name in view.reader.names}
    chosen = view.filters.value("backend")
    return [
        [
            Entry(
                names.get(slug, slug),
                reverse("backend", args=[slug]),
                month_member(date.fromisoformat(f"{month}-01")).name,
            ),
            Entry(gettext("at its gateway"), note=gettext("or in other charges")),
            *(Entry(wording.DASH) for _ in range(4)),
            _bill_entry(found, is_whole=True),
        ]
        for (month, slug), found in sorted(bills.items(), reverse=True)
        if (month, slug) not in there and chosen in ("", slug)
    ]


def _gap_sentence(gap: Decimal | None, beside: Decimal | None, currency: str) -> str:
    if gap is None:
        return gettext("No hour has both a statement and an estimate.")
    if not gap:
        return gettext("What was billed is what was estimated, to the cent.")
    said = {"amount": wording.money(abs(gap), currency)}
    if not beside:
        text = (
            gettext("%(amount)s more was billed than estimated.")
            if gap > 0
            else gettext("%(amount)s less was billed than estimated.")
        )
        return text % said
    text = (
        gettext("%(amount)s more was billed than estimated, %(share)s of the estimate.")
        if gap > 0
        else gettext("%(amount)s less was billed than estimated, %(share)s of the estimate.")
    )
    return text % (said | {"share": wording.percent(abs(gap / beside))})


def _bills(invoices: Sequence[Invoice]) -> dict[tuple[str, str], list[Invoice]]:
    """By month and backend; a bill for several backends stands at each, and says so."""
    found: dict[tuple[str, str], list[Invoice]] = {}
    for one in invoices:
        for slug in one.backend_slugs:
            found.setdefault((f"{one.month:%Y-%m}", slug), []).append(one)
    return found


def _bill_entry(bills: Sequence[Invoice], *, is_whole: bool) -> Entry:
    if not bills:
        return Entry(gettext("none imported") if is_whole else wording.DASH)
    counting = [one for one in bills if one.counts]
    amounts = " + ".join(wording.money_exact(one.amount, one.currency) for one in counting or bills)
    notes = []
    for one in bills:
        if one.counts:
            shared = len(one.backend_slugs)
            notes.append(
                gettext("%(source)s, for %(count)s backends") % {"source": one.source, "count": wording.count(shared)}
                if shared > 1
                else one.source
            )
        elif counting:
            notes.append(f"{one.source}: {wording.money_exact(one.amount, one.currency)}")
    return Entry(amounts, note="; ".join(dict.fromkeys(notes)))
