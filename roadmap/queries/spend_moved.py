"""The tab 'What moved': the change of spend between two periods and what it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, gettext_lazy, pgettext

from accounts.access import Asker
from metrics import series
from metrics.figures import Part
from metrics.money import Rates
from metrics.usage import SeriesKind
from roadmap.charts.moved import MovedData, moved_chart
from roadmap.labels import CAUSES, label_of
from roadmap.models import Roadmap
from roadmap.queries.dashboard_filters import Problem
from roadmap.queries.spend import SpendView, spend_view
from roadmap.queries.spend_filters import parse_spend_filters
from roadmap.queries.spend_lines import MEASURES, Reading, SpendReader, part_lines
from roadmap.queries.spend_plan import choices_of, plan_of_roadmap
from roadmap.queries.spend_tab import Column, Entry, SpendTab, TabTable, number, signed_cents
from roadmap.rules import spending
from roadmap.rules.moved import Change, Key, Moved, Period, Traffic, moved
from roadmap.rules.phases import FIRST_DAY, LAST_DAY, months_after
from web import wording

DAY = timedelta(days=1)
ZERO = Decimal(0)
STATED = ("stated_billed_cost", "stated_unsettled_cost")
Window = tuple[date, date]
Measure = Any
# Filters that restatements cannot be narrowed by; with one set they stay within price and volume.
UNSEEN_BY_RESTATEMENTS = ("provider", "team", "phase", "category", "basis")
# With their article: what a roadmap's efficiency is measured in, where that is neither token nor request.
UNIT_WORDS: Mapping[str, wording.Words] = {
    Roadmap.UnitOfWork.IMAGE: gettext_lazy("the image"),
    Roadmap.UnitOfWork.AUDIO_SECOND: gettext_lazy("the second of audio"),
    Roadmap.UnitOfWork.VIDEO_SECOND: gettext_lazy("the second of video"),
    Roadmap.UnitOfWork.JOB: gettext_lazy("the job"),
}


@dataclass(frozen=True, slots=True)
class MovedPage:
    """The tab, with the two windows for its fields."""

    tab: SpendTab
    before: Window
    now: Window
    change: Change

    @property
    def before_last_on(self) -> date:
        return self.before[1] - DAY


def windows_of(view: SpendView, parameters: Mapping[str, Any]) -> tuple[SpendView, Window]:
    """The view with its later window, and the earlier one.

    Without a window: the last complete month against the one before. Else against as many months, or days, before.
    """
    filters = view.filters
    if filters.is_default_window:
        month = view.today.replace(day=1)
        filters = replace(filters, start_on=months_after(month, -1), end_on=month)
    start, end = filters.start_on, filters.end_on
    months = (end.year - start.year) * 12 + end.month - start.month
    is_whole = start.day == 1 and end.day == 1 and months > 0
    before = (months_after(start, -months), start) if is_whole else (start - (end - start), start)
    first, last = _day(parameters, "before_from"), _day(parameters, "before_to")
    problems = list(filters.problems)
    if first is not None and last is not None and first <= last:
        before = (first, last + DAY)
    elif parameters.get("before_from") or parameters.get("before_to"):
        problems.append(
            Problem(
                "before_from",
                gettext("Give two days like 2026-10-01, the first not after the last, to compare with."),
            )
        )
    filters = replace(filters, problems=tuple(problems))
    return replace(view, filters=filters, reader=replace(view.reader, filters=filters)), before


def _day(parameters: Mapping[str, Any], name: str) -> date | None:
    try:
        found = date.fromisoformat(str(parameters.get(name) or ""))
    except ValueError:
        return None
    return found if FIRST_DAY <= found <= LAST_DAY else None


def spend_moved(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> MovedPage:
    """The tab's page. Queries do not grow with models, backends or days."""
    view, before = windows_of(spend_view(asker, parameters, now=now), parameters)
    window = (view.filters.start_on, view.filters.end_on)
    reading = Reading()
    change = change_between(view.reader, before, window, reading)
    tab = SpendTab(
        view=view,
        name="spend_moved",
        title=gettext("What moved"),
        sentence=_sentence(change, view.currency),
        rest=gettext("%(now)s against %(before)s.") % {"now": _span(window), "before": _span(before)},
        tables=[_table(change, view.currency, before, window)],
        chart=moved_chart(MovedData(change=change, currency=view.currency, before=_span(before), now=_span(window))),
        method=(
            gettext(
                "Each step takes its new value with the others held, in this order: exchange rate, price, mix of "
                "models and providers, volume, tokens per unit, idle capacity, cost entries, restatements, other "
                "charges."
            ),
            gettext(
                "The unit of work is %(unit)s. One-off is what comes from cost entries, corrections, other charges or "
                "a price that has ended since; the rest continues."
            )
            % {"unit": _unit_word(view)},
        ),
        no_rate=sorted(reading.no_rate),
        stale_rates=sorted(reading.stale_rates.items()),
    )
    return MovedPage(tab, before, window, change)


def change_of(roadmap: Roadmap, before: Window, now: Window, *, today: date) -> Change:
    """The change of one roadmap's spend, for whoever may see it."""
    plan = plan_of_roadmap(roadmap)
    names = series.names((roadmap.workload_id,), include_demo=plan.include_demo)
    filters = parse_spend_filters({"roadmap": roadmap.slug}, today=today).checked(choices_of(plan, names))
    return change_between(SpendReader(plan, filters, names, today), before, now, Reading())


def change_between(reader: SpendReader, before: Window, now: Window, reading: Reading) -> Change:
    """The change of what the reader's filters let through."""
    facts = [_Facts(reader, window, reading) for window in (before, now)]
    for one in facts:
        one.read()
    new_rates = facts[1].average_rates
    ended = frozenset(
        (price.provider, price.model)
        for price in series.own_prices()
        if price.valid_from_on is not None and now[1] <= price.valid_from_on <= reader.today
    )
    return moved(facts[0].period(new_rates), facts[1].period(None), ended_prices=ended)


@dataclass(slots=True)
class _Sums:
    """Of one model and currency: converted and stated money, and quantities, None where unknown."""

    money: Decimal = ZERO
    stated: dict[str, Decimal] = field(default_factory=dict)
    tokens: Decimal | None = None
    requests: Decimal | None = None
    units: Decimal | None = None


class _Facts:
    """What one window's usage and cost entries are, as the rule wants them."""

    def __init__(self, reader: SpendReader, window: Window, reading: Reading) -> None:
        self.reader, self.window, self.reading = reader, window, reading
        self.traffic: dict[Key, _Sums] = {}
        self.idle, self.other, self.restated = _Sums(), ZERO, ZERO
        self.entered = ZERO
        self._stated: dict[str, Decimal] = {}
        self._converted: dict[str, Decimal] = {}

    def read(self) -> None:
        """Read the window: usage, cost entries, restatements."""
        reader = self.reader
        start, end = self.window
        rows = reader.usage_rows(
            ("provider", "model"),
            grain=None,
            extra=("currency",),
            measures=(*MEASURES, "units"),
            start_on=start,
            end_on=end,
            tells_unallocated=False,
        )
        for row in rows:
            key = reader.members_of(row)
            if reader.keeps(key):
                self.reading.no_rate |= row.sums.no_rate
                for part in row.sums.parts:
                    self._add(row.key, part)
        for _, amount, _ in reader.entered_lines(
            self.reading, by_month=False, by_phase=True, start_on=start, end_on=end
        ):
            self.entered += amount
        if not any(self.reader.filters.value(name) for name in UNSEEN_BY_RESTATEMENTS):
            self._take_out_restated(series.restated(reader.scope(start, end)))

    @property
    def average_rates(self) -> dict[str, Decimal]:
        """What one unit of each currency was worth on average of the window's money."""
        return {currency: self._converted[currency] / stated for currency, stated in self._stated.items() if stated > 0}

    def _add(self, key: Mapping[str, Any], part: Part) -> None:
        wanted = self.reader.filters.value("basis")
        # Counts and money of an hour may stand in rows of different currencies; the mask is that of the hour.
        kept = [
            amount
            for basis, amount, _, _ in part_lines(part)
            if basis is not spending.NOT_PRICED and (not wanted or basis.id == wanted)
        ]
        if not kept:
            # Not priced: in no ratio, since it is not free.
            return
        money = sum((amount for amount in kept if amount is not None), ZERO)
        kind, currency = key["kind"], key["currency"]
        if kind == SeriesKind.OTHER_CHARGES:
            self.other += money
            return
        sums = self.idle
        if kind == SeriesKind.USAGE:
            sums = self.traffic.setdefault((key["provider"], key["model"]), _Sums())
            known = [value for name in ("input_tokens", "output_tokens") if (value := part.value(name)) is not None]
            sums.tokens = _plus(sums.tokens, sum(known) if known else None)
            sums.requests = _plus(sums.requests, part.value("requests"))
            sums.units = _plus(sums.units, part.value("units"))
        stated = sum((Decimal(part.values.get(name) or 0) for name in STATED), ZERO)
        sums.money += money
        sums.stated[currency] = sums.stated.get(currency, ZERO) + stated
        self._stated[currency] = self._stated.get(currency, ZERO) + stated
        self._converted[currency] = self._converted.get(currency, ZERO) + money

    def _take_out_restated(self, found: Iterable[Any]) -> None:
        rows = list(found)
        if not rows:
            return
        rates: Rates = series.exchange_rates(*self.window)
        for row in rows:
            amount = rates.convert(row.amount, row.currency, row.day)
            if amount is None:
                continue
            if row.kind == SeriesKind.OTHER_CHARGES:
                self.other -= amount
            else:
                sums = self.idle if row.kind == SeriesKind.IDLE else self.traffic.get((row.provider, row.model))
                if sums is None:
                    continue
                sums.money -= amount
                sums.stated[row.currency] = sums.stated.get(row.currency, ZERO) - row.amount
            self.restated += amount

    def period(self, new_rates: Mapping[str, Decimal] | None) -> Period:
        """The window as the rule wants it; `new_rates` None: it is the later one, whose own rates hold."""
        own = self.average_rates

        def at_new(sums: _Sums) -> Decimal:
            if new_rates is None:
                return sums.money
            # What a currency did to the average; a day's own rate stays in the price.
            shifts = (
                stated * (new_rates[currency] - own[currency])
                for currency, stated in sums.stated.items()
                if currency in new_rates and currency in own
            )
            return sums.money + sum(shifts, ZERO)

        traffic = {}
        units: Decimal | None = None
        unit = _unit_of(self.reader)
        for key, sums in self.traffic.items():
            units = _plus(units, getattr(sums, unit))
            quantity, measure = _quantity(sums)
            if sums.money or quantity:
                traffic[key] = Traffic(sums.money, at_new(sums), quantity, measure)
        return Period(
            traffic=traffic,
            units=units,
            idle=self.idle.money,
            idle_at_new_rates=at_new(self.idle),
            cost_entries=self.entered,
            restatements=self.restated,
            other_charges=self.other,
        )


def _plus(held: Decimal | None, more: Any) -> Decimal | None:
    if more is None:
        return held
    return Decimal(more) if held is None else held + Decimal(more)


def _quantity(sums: _Sums) -> tuple[Decimal | None, Measure]:
    """Tokens, else requests, else units: the first that is known and not zero."""
    for measure in ("tokens", "requests", "units"):
        quantity = getattr(sums, measure)
        if quantity:
            return quantity, measure
    return None, None


def _unit_of(reader: SpendReader) -> str:
    """The unit of work: of a single roadmap its own, where that is neither token nor request; else requests."""
    chosen = reader.filters.value("roadmap")
    for roadmap in reader.plan.roadmaps.values():
        if roadmap.slug == chosen and roadmap.unit_of_work not in (
            Roadmap.UnitOfWork.TOKEN,
            Roadmap.UnitOfWork.REQUEST,
        ):
            return "units"
    return "requests"


def _unit_word(view: SpendView) -> str:
    if _unit_of(view.reader) == "requests":
        return gettext("the request")
    chosen = view.filters.value("roadmap")
    unit = next(roadmap.unit_of_work for roadmap in view.plan.roadmaps.values() if roadmap.slug == chosen)
    return str(UNIT_WORDS[unit])


# --- Words


def _span(window: Window) -> str:
    start, end = window
    if start.day == 1 and end == months_after(start, 1):
        return wording.month(start)
    return wording.days(start, end - DAY)


def _sentence(change: Change, currency: str) -> str:
    if not change.before and not change.now:
        return gettext("Nothing was spent in either period.")
    if not change.amount:
        return gettext("Spend stayed at %(amount)s.") % {"amount": wording.money(change.now, currency)}
    largest = max(change.parts, key=lambda part: abs(part.amount))
    text = (
        gettext("Spend rose by %(change)s to %(now)s; %(cause)s moved most.")
        if change.amount > 0
        else gettext("Spend fell by %(change)s to %(now)s; %(cause)s moved most.")
    )
    return text % {
        "change": wording.money(abs(change.amount), currency),
        "now": wording.money(change.now, currency),
        "cause": _cause(largest),
    }


def _cause(part: Moved) -> str:
    name = label_of(CAUSES, part.cause)
    return name[:1].lower() + name[1:]


def _table(change: Change, currency: str, before: Window, now: Window) -> TabTable:
    rows = [
        [
            Entry(label_of(CAUSES, part.cause)),
            Entry(signed_cents(part.amount)),
            Entry(signed_cents(part.one_off) if part.one_off else wording.DASH),
            Entry(signed_cents(part.continuing) if part.continuing else wording.DASH),
            Entry(_drivers(part, currency)),
        ]
        for part in change.parts
    ]
    one_off = sum((part.one_off for part in change.parts), ZERO)
    return TabTable(
        id="moved",
        title=gettext("From %(before)s to %(now)s")
        % {
            "before": wording.money_exact(change.before, currency),
            "now": wording.money_exact(change.now, currency),
        },
        note=gettext("%(currency)s, %(before)s to %(now)s")
        % {"currency": currency, "before": _span(before), "now": _span(now)},
        columns=[
            Column(gettext("Part")),
            number(pgettext("from one month to the next", "Change")),
            number(gettext("One-off")),
            number(gettext("Continuing")),
            Column(gettext("Largest")),
        ],
        rows=rows,
        foot=[
            pgettext("from one month to the next", "Change"),
            signed_cents(change.amount),
            signed_cents(one_off),
            signed_cents(change.amount - one_off),
            "",
        ],
    )


def _drivers(part: Moved, currency: str) -> str:
    told = []
    for (provider, model), amount in part.drivers:
        name = model or spending.NO_MODEL.title.lower()
        sign = "+" if amount > 0 else ""
        told.append(f"{name} ({provider}) {sign}{wording.money(amount, currency)}")
    return ", ".join(told) or wording.DASH
