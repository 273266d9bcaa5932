"""The tabs 'Unallocated' and 'Idle': money that nobody has taken, and capacity that nobody used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext

from accounts.access import Asker, can_allocate
from metrics.figures import UsageRow
from metrics.usage import KNOWN_BIT, SeriesKind
from roadmap.queries.spend import SpendView, not_priced_text, spend_view
from roadmap.queries.spend_lines import part_lines
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
    share,
)
from roadmap.rules import spending
from roadmap.rules.spending import Cell, Member
from web import wording

ZERO = Decimal(0)
MOST_SERIES = 200
_BILLED, _ESTIMATED = KNOWN_BIT["billed_cost"], KNOWN_BIT["estimated_cost"]
# Which label says best whose usage it is.
TELLING_LABELS = ("team", "project", "service.name", "workspace", "api_key_name", "environment")
Place = tuple[str, Member]


# --- Unallocated


def spend_unallocated(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendTab:
    """What belongs to no roadmap, by series and labels, each with the way to a rule."""
    view = spend_view(asker, {**_flat(parameters), "roadmap": spending.UNALLOCATED.id}, now=now)
    rows = view.reader.unallocated_rows(("provider", "backend", "model"), extra=("labels",))
    cells = [_cell_of(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: (-(cells[place].amount or ZERO), -cells[place].tokens, place))
    order = [place for place in order if cells[place].amount or cells[place].is_not_priced]
    shown, total = column_of([cells[place].amount for place in order])
    may_allocate = can_allocate(asker)
    lines = [
        _unallocated_line(view, rows[place], cells[place], amount, may_allocate=may_allocate)
        for place, amount in zip(order, shown, strict=True)
    ]
    no_rate, stale = rates_of(rows)
    filters = replace(view.filters, values={**view.filters.values, "roadmap": ""})
    sentence = gettext("Everything in this window belongs to a roadmap.")
    if lines:
        what = wording.plural(len(lines), "series", "series")
        sentence = gettext("%(amount)s of %(what)s belongs to no roadmap.") % {
            "amount": wording.money(total or ZERO, view.currency),
            "what": what,
        }
    return SpendTab(
        view=replace(view, filters=filters),
        name="spend_unallocated",
        title=gettext("Unallocated"),
        sentence=sentence,
        rest="",
        tables=[
            TabTable(
                id="unallocated",
                title=gettext("Of no roadmap"),
                note=f"{view.currency}, {view.filters.window_text}",
                columns=[
                    Column(gettext("Series")),
                    Column(gettext("Labels")),
                    number(gettext("Unallocated")),
                    number(gettext("Tokens")),
                    number(gettext("Not priced")),
                    Column(gettext("What to do")),
                ],
                rows=lines[:MOST_SERIES],
                foot=[gettext("All"), "", cents(total), "", not_priced_text(spending.totals_of(cells)), ""],
                empty=gettext("Every series is allocated, as far as it has usage in this window."),
                empty_is_good=True,
                more=gettext("%(shown)s of %(count)s; the largest first.")
                % {"shown": wording.count(MOST_SERIES), "count": wording.count(len(lines))}
                if len(lines) > MOST_SERIES
                else "",
            )
        ],
        method=[
            gettext(
                "A series is allocated to roadmaps in shares; what the shares leave is unallocated. A rule places "
                "every series that matches it, also those to come; one series alone is allocated on its backend's page."
            ),
        ],
        no_rate=no_rate,
        stale_rates=stale,
    )


def _flat(parameters: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(parameters.get(name) or "") for name in parameters}


def _cell_of(row: UsageRow) -> Cell:
    found = Cell()
    for part in row.sums.parts:
        for _, amount, tokens, requests in part_lines(part):
            found.add(amount, tokens, requests)
    return found


def _unallocated_line(
    view: SpendView, row: UsageRow, cell: Cell, amount: Decimal | None, *, may_allocate: bool
) -> list[Entry]:
    key = view.reader.members_of(row)
    labels: dict[str, str] = json.loads(row.key["labels"] or "{}")
    backend = reverse("backend", args=[key["backend"].id])
    tokens = (row.sums.total("input_tokens") or 0) + (row.sums.total("output_tokens") or 0)
    action = Entry(gettext("See the series"), f"{backend}#series")
    if may_allocate:
        action = Entry(gettext("Make a rule"), f"{reverse('rule_new')}?{rule_query(row, labels)}")
    return [
        Entry(
            key["model"].title,
            note=gettext("%(provider)s on %(backend)s")
            % {"provider": key["provider"].title, "backend": key["backend"].title},
        ),
        Entry(", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or wording.DASH),
        Entry(cents(amount)),
        Entry(wording.short(Decimal(tokens).quantize(Decimal(1))) if tokens else wording.DASH),
        Entry(not_priced_text(cell)),
        action,
    ]


def rule_query(row: UsageRow, labels: Mapping[str, str]) -> str:
    """The match of a rule for this series: by its most telling label, else by its model."""
    named = {"backend": row.key["backend_slug"]}
    telling = next((name for name in (*TELLING_LABELS, *sorted(labels)) if labels.get(name)), None)
    if telling and row.key["kind"] == SeriesKind.USAGE:
        named |= {"label": telling, "value": labels[telling]}
    elif row.key["model"]:
        named["model"] = row.key["model"]
    return urlencode(named)


# --- Idle


@dataclass(slots=True)
class Held:
    """A backend's month of capacity. Seconds are of GPUs; `seconds_unknown`: somewhere nobody measured."""

    backend: Member
    month: str
    month_name: str
    idle: Decimal | None = None
    unallocated: Decimal | None = None
    used: Decimal | None = None
    held_seconds: Decimal | None = None
    busy_seconds: Decimal | None = None
    idle_held_seconds: Decimal | None = None

    @property
    def utilisation(self) -> Decimal | None:
        if self.busy_seconds is None or not self.held_seconds:
            return None
        return self.busy_seconds / self.held_seconds


def held_capacity(view: SpendView) -> tuple[list[Held], list[UsageRow]]:
    """Every backend and month with idle capacity, the newest month first."""
    found: dict[tuple[str, str], Held] = {}
    with_idle = set()
    rows = view.reader.usage_rows(("backend",), grain="month", measures=("gpu_busy_seconds", "gpu_held_seconds"))
    for row in rows:
        key = view.reader.members_of(row)
        if not view.reader.keeps(key):
            continue
        place = (key["month"].id, key["backend"].id)
        one = found.setdefault(place, Held(key["backend"], key["month"].id, key["month"].name))
        is_idle = row.key["kind"] == SeriesKind.IDLE
        if is_idle:
            with_idle.add(place)
            one.idle = plus(one.idle, row.sums.spend)
            one.idle_held_seconds = plus(one.idle_held_seconds, row.sums.total("gpu_held_seconds"))
            if row.key.get("workload", 0) is None:
                one.unallocated = plus(one.unallocated, row.sums.spend)
        else:
            one.used = plus(one.used, row.sums.spend)
        one.held_seconds = plus(one.held_seconds, row.sums.total("gpu_held_seconds"))
        one.busy_seconds = plus(one.busy_seconds, row.sums.total("gpu_busy_seconds"))
    kept = [one for place, one in found.items() if place in with_idle]
    return sorted(kept, key=lambda one: ([-int(part) for part in one.month.split("-")], one.backend)), rows


def spend_idle(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendTab:
    """Capacity that was held and not used."""
    view = spend_view(asker, parameters, now=now)
    found, rows = held_capacity(view)
    idle, total = column_of([one.idle for one in found])
    used, used_total = column_of([one.used for one in found])
    left, left_total = column_of([one.unallocated for one in found])
    lines = []
    for place, one in enumerate(found):
        whole = (one.idle or ZERO) + (one.used or ZERO)
        lines.append(
            [
                Entry(one.backend.name, reverse("backend", args=[one.backend.id]), one.month_name),
                Entry(cents(idle[place])),
                Entry(share((one.idle or ZERO) / whole if whole else None)),
                Entry(cents(used[place])),
                Entry(_hours(one.idle_held_seconds)),
                Entry(wording.percent(one.utilisation, missing=gettext("not measured"))),
                Entry(cents(left[place])),
            ]
        )
    no_rate, stale = rates_of(rows)
    sentence = gettext("No capacity was held and not used in this window.")
    if total is not None:
        ratio = total / (total + (used_total or ZERO)) if total + (used_total or ZERO) else None
        sentence = gettext("%(amount)s paid for idle capacity, %(share)s of what it cost.") % {
            "amount": wording.money(total, view.currency),
            "share": share(ratio),
        }
    return SpendTab(
        view=view,
        name="spend_idle",
        title=gettext("Idle"),
        sentence=sentence,
        rest="",
        tables=[
            TabTable(
                id="idle",
                title=gettext("Held and not used"),
                note=f"{view.currency}, {view.filters.window_text}",
                columns=[
                    Column(gettext("Backend and month")),
                    number(gettext("Idle")),
                    number(gettext("Share of its cost")),
                    number(gettext("Used")),
                    number(gettext("Idle unit hours")),
                    number(gettext("Utilisation")),
                    number(gettext("Of it unallocated")),
                ],
                rows=lines,
                foot=[gettext("All"), cents(total), "", cents(used_total), "", "", cents(left_total)],
                empty=gettext(
                    "Capacity with a rate card shows here with what it did not use. Nothing was idle in this window."
                ),
            )
        ],
        method=[
            gettext(
                "An hour's cost is split into busy and idle by utilisation where it is measured; an hour with traffic "
                "and no measured utilisation is busy. Busy and idle are the whole. Behind a gateway the busy part "
                "stands at the gateway's series, so that 'used' is there."
            ),
        ],
        no_rate=no_rate,
        stale_rates=stale,
    )


def _hours(seconds: Decimal | None) -> str:
    return wording.DASH if seconds is None else wording.decimals(seconds / 3600, 1)
