"""The tab 'Anomalies': days on which a model's spend or cost per unit left its own recent band, with their drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import series
from metrics.figures import Part
from metrics.usage import SeriesKind
from metrics.windows import local_day
from roadmap.queries.spend import SpendView, query_of, spend_view
from roadmap.queries.spend_lines import part_lines
from roadmap.queries.spend_tab import Column, Entry, SpendTab, TabTable, cents, number
from roadmap.rules.anomalies import (
    BAND_DAYS,
    FEWEST_DAYS,
    FEWEST_WEEKS,
    NARROWEST,
    NORMAL,
    SPREADS,
    WEEKS,
    Unusual,
    unusual_days,
)
from roadmap.rules.spending import Member
from web import wording

DAY = timedelta(days=1)
ZERO = Decimal(0)
# The last days of the window that are looked at.
LOOKED_AT = 92
# Less than this a day, in the reporting currency, is no news.
LEAST_SPEND = Decimal(1)
# A cost per unit needs so many requests a day to be one.
LEAST_REQUESTS = 30
MOST_SHOWN = 60
What = Literal["spend", "unit"]
DEARER = "the price or the size of a request"


@dataclass(slots=True)
class Days:
    """What one model of one backend did by the day; idle capacity is one of them."""

    backend: Member
    model: Member
    spend: dict[date, Decimal] = field(default_factory=dict)
    requests: dict[date, Decimal] = field(default_factory=dict)

    def add(self, on: date, part: Part) -> None:
        """Add hours of a day."""
        amounts = [amount for _, amount, _, _ in part_lines(part) if amount is not None]
        if not amounts:
            return
        self.spend[on] = self.spend.get(on, ZERO) + sum(amounts, ZERO)
        requests = part.value("requests")
        if requests is not None and part.is_traffic:
            self.requests[on] = self.requests.get(on, ZERO) + Decimal(requests)

    @property
    def per_thousand(self) -> dict[date, Decimal]:
        """Cost per 1,000 requests of the days with enough of them."""
        return {
            on: self.spend[on] / requests * 1000
            for on, requests in self.requests.items()
            if requests >= LEAST_REQUESTS and on in self.spend
        }


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A day that left a band. `weight`: how much money it is about."""

    days: Days
    what: What
    found: Unusual
    weight: Decimal
    driver: str


def anomalies_of(view: SpendView) -> list[Anomaly]:
    """The unusual days among the last 92 of the window, the dearest first. Only complete days are judged."""
    until = min(view.filters.end_on, view.today)
    since = max(view.filters.start_on, until - DAY * LOOKED_AT)
    if since >= until:
        return []
    found: dict[tuple[str, str], Days] = {}
    rows = view.reader.usage_rows(
        ("backend", "model"),
        grain="day",
        measures=("requests",),
        start_on=since - 7 * DAY * WEEKS,
        end_on=until,
        tells_unallocated=False,
    )
    for row in rows:
        key = view.reader.members_of(row)
        if row.key["kind"] == SeriesKind.OTHER_CHARGES or row.period is None or not view.reader.keeps(key):
            continue
        one = found.setdefault((key["backend"].id, key["model"].id), Days(key["backend"], key["model"]))
        for part in row.sums.parts:
            one.add(row.period, part)
    complete = _complete_until(view, until)
    events = _events(view, since, until)
    anomalies = []
    for one in found.values():
        last = complete.get(one.backend.id, until)
        anomalies += _of_series(one, since, last, events)
    return sorted(anomalies, key=lambda item: (-item.weight, item.found.on, item.days.model))


def _of_series(one: Days, since: date, until: date, events: Mapping[date, list[str]]) -> list[Anomaly]:
    spend = unusual_days(one.spend, since=since, until=until, least=LEAST_SPEND)
    per_unit = one.per_thousand
    units = {item.on: item for item in unusual_days(per_unit, since=since, until=until)}
    found = []
    for item in spend:
        unit = units.pop(item.on, None)
        found.append(Anomaly(one, "spend", item, abs(item.excess), _driver(one, item, unit, events)))
    for on, item in units.items():
        weight = abs(item.excess) * one.requests[on] / 1000
        if weight >= LEAST_SPEND:
            found.append(Anomaly(one, "unit", item, weight, _events_text(events, one, on) or DEARER))
    return found


def _driver(one: Days, item: Unusual, unit: Unusual | None, events: Mapping[date, list[str]]) -> str:
    """Whether there was more to do, or each was dearer; and what is known to have changed that day."""
    said = []
    usual = [one.requests[day] for back in range(1, BAND_DAYS + 1) if (day := item.on - DAY * back) in one.requests]
    if usual and one.requests.get(item.on) is not None and (middle := sorted(usual)[len(usual) // 2]):
        times = wording.decimals(one.requests[item.on] / middle, 1)
        said.append(gettext("requests %(times)s times the usual") % {"times": times})
    if unit is not None and unit.times is not None:
        said.append(gettext("cost per request %(times)s times the usual") % {"times": wording.decimals(unit.times, 1)})
    if one.model.is_special:
        said.append(gettext("capacity held and not used"))
    known = _events_text(events, one, item.on)
    return "; ".join([*said, *([known] if known else [])]) or gettext("no requests known")


def _events(view: SpendView, since: date, until: date) -> dict[date, list[str]]:
    found: dict[date, list[str]] = {}
    for change in series.changes(view.reader.scope(since, until)):
        found.setdefault(change.on, []).append(change.text)
    return found


def _events_text(events: Mapping[date, list[str]], one: Days, on: date) -> str:
    """What is known to have changed that day about this model or backend."""
    about = (one.model.name, one.backend.name)
    return "; ".join(text for text in events.get(on, []) if any(name in text for name in about))


def _complete_until(view: SpendView, until: date) -> dict[str, date]:
    """Of each backend that is pulled the first day that its data does not cover whole."""
    ids = None if view.plan.sees_all else tuple(view.plan.roadmaps)
    return {
        item.slug: min(until, local_day(item.data_until, settings.REPORTING_ZONE))
        for item in series.freshness(ids)
        if item.reports is not None and item.data_until is not None
    }


def spend_anomalies(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendTab:
    """The tab's page."""
    view = spend_view(asker, parameters, now=now)
    found = anomalies_of(view)
    sentence = gettext("No day left its band.")
    if found:
        days = len({item.found.on for item in found})
        sentence = gettext("%(figures)s on %(days)s.") % {
            "figures": wording.plural(len(found), "unusual figure"),
            "days": wording.plural(days, "day"),
        }
    return SpendTab(
        view=view,
        name="spend_anomalies",
        title=gettext("Anomalies"),
        sentence=sentence,
        rest=gettext("Among the last %(count)s complete days of the window.") % {"count": LOOKED_AT},
        tables=[
            TabTable(
                id="anomalies",
                title=gettext("Outside the usual"),
                note=gettext("%(currency)s; the dearest first") % {"currency": view.currency},
                columns=[
                    Column(gettext("Day")),
                    Column(gettext("Model")),
                    Column(gettext("Figure")),
                    number(gettext("That day")),
                    number(gettext("Usual")),
                    number(gettext("Band")),
                    Column(gettext("Driver")),
                ],
                rows=[_line(view, item) for item in found[:MOST_SHOWN]],
                empty=gettext(
                    "Every complete day was as the days before it. A series needs two weeks of days to be judged."
                ),
                empty_is_good=True,
                more=gettext("%(shown)s of %(total)s.")
                % {"shown": wording.count(MOST_SHOWN), "total": wording.count(len(found))}
                if len(found) > MOST_SHOWN
                else "",
            )
        ],
        method=[
            gettext(
                "Usual is the median of the %(days)s days before (at least %(fewest)s with a value). The band reaches "
                "%(spreads)s x %(factor)s x the median absolute deviation to either side, at least %(narrowest)s of "
                "the median, and for spend at least %(spend)s %(currency)s a day. A day within the same band of its "
                "weekday of the last %(weeks)s weeks (at least %(fewest_weeks)s) is usual. A cost per %(thousand)s "
                "requests is judged on days with at least %(requests)s requests. Days that are not complete are not "
                "judged; a change that lasts becomes usual after two weeks."
            )
            % {
                "days": wording.count(BAND_DAYS),
                "fewest": wording.count(FEWEST_DAYS),
                "spreads": wording.count(SPREADS),
                "factor": wording.decimals(NORMAL, 4),
                "narrowest": wording.percent(NARROWEST),
                "spend": wording.count(LEAST_SPEND),
                "currency": view.currency,
                "weeks": wording.count(WEEKS),
                "fewest_weeks": wording.count(FEWEST_WEEKS),
                "thousand": wording.count(1000),
                "requests": wording.count(LEAST_REQUESTS),
            },
        ],
    )


def _line(view: SpendView, item: Anomaly) -> list[Entry]:
    on, band = item.found.on, item.found.band
    query = query_of(
        {
            "from": (on - DAY * BAND_DAYS).isoformat(),
            "to": on.isoformat(),
            "by": "month,team",
            "backend": item.days.backend.id,
            **({} if item.days.model.is_special else {"model": item.days.model.id}),
        }
    )
    is_up = item.found.excess > 0
    if item.what == "spend":
        word = gettext("Spend up") if is_up else gettext("Spend down")
    else:
        word = gettext("Per 1,000 requests up") if is_up else gettext("Per 1,000 requests down")
    return [
        Entry(wording.day(on)),
        Entry(
            item.days.model.title, reverse("spend") + query, gettext("on %(name)s") % {"name": item.days.backend.name}
        ),
        Entry(word, tone="amber" if is_up else "none"),
        Entry(cents(item.found.value)),
        Entry(cents(band.median)),
        Entry(gettext("%(low)s to %(high)s") % {"low": cents(band.low), "high": cents(band.high)}),
        Entry(item.driver),
    ]
