"""The portfolio: one row per roadmap that the asker may see, totals, what needs a decision, filters and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from accounts.access import Asker, can_make_roadmaps
from accounts.models import User
from metrics import series
from metrics.figures import SourceFreshness
from metrics.source_facts import UsageStates
from metrics.windows import local_day
from roadmap.charts.frame import scale_of
from roadmap.models import Roadmap
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.plan_states import PlanState, plan_states
from roadmap.queries.portfolio_decisions import decisions_of
from roadmap.queries.portfolio_filters import PortfolioFilters, parse_portfolio_filters
from roadmap.queries.portfolio_memory import known_rows, known_totals
from roadmap.queries.portfolio_standing import PortfolioRow, Standing
from roadmap.queries.portfolio_totals import Total, Totals, totals_of
from web import wording
from web.drawings import Axis
from web.pieces import Decision

__all__ = [
    "Group",
    "Portfolio",
    "Step",
    "first_steps",
    "parse_portfolio_filters",
    "portfolio",
]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one head; an empty title: not grouped."""

    title: str
    rows: Sequence[PortfolioRow]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The whole page. `demo_is_in_totals`: there is nothing but the demo, so the totals are the demo's."""

    filters: PortfolioFilters
    choices: Mapping[str, Sequence[tuple[str, str]]]
    today: date
    currency: str
    sentence: str
    rest: str
    totals: Sequence[Total]
    decisions: Sequence[Decision]
    rows: Sequence[PortfolioRow]
    groups: Sequence[Group]
    axis: Axis | None
    count: int
    has_demo: bool
    demo_is_in_totals: bool

    @property
    def scale(self) -> str:
        """'thousands of EUR': how the table's amounts are written."""
        words = {
            "k": gettext("thousands of %(currency)s"),
            "M": gettext("millions of %(currency)s"),
            "G": gettext("billions of %(currency)s"),
        }
        letter = self.rows[0].scale[1] if self.rows else ""
        return words.get(letter, "%(currency)s") % {"currency": self.currency}


def portfolio(asker: Asker, filters: PortfolioFilters, *, now: datetime | None = None) -> Portfolio:
    """The portfolio of the asker. The number of queries does not grow with roadmaps, series or months."""
    now = now or timezone.now()
    today = local_day(now, settings.REPORTING_ZONE)
    plans = plan_states(asker, now=now)
    sees_all = asker.user.reads_all and (asker.token is None or asker.token.workload_id is None)
    if not plans:
        return _empty(filters, today)
    usage = series.usage_states([plan.workload_id for plan in plans])
    freshness = cache(lambda: series.freshness(None if sees_all else [plan.workload_id for plan in plans]))
    known = known_rows(plans, usage, now=now, today=today, freshness=freshness)
    rows = [item.row for item in known]
    choices = _choices(rows)
    filters = filters.checked(choices)
    chosen = [item for item in known if _is_kept(item.row, filters)]
    shown = _scaled([item.row for item in chosen])
    include_demo = not (usage.has_real_usage or any(not row.is_demo and row.spent is not None for row in rows))
    is_everything = sees_all and not filters.is_set
    workload_ids = [item.workload_id for item in chosen]
    totals = known_totals(
        _state_of_totals(plans, usage, workload_ids, today, is_everything=is_everything, include_demo=include_demo),
        lambda: _totals(
            [item.standing for item in chosen],
            freshness(),
            today=today,
            is_everything=is_everything,
            include_demo=include_demo,
        ),
    )
    return Portfolio(
        filters=filters,
        choices=choices,
        today=today,
        currency=settings.REPORTING_CURRENCY,
        sentence=_sentence(shown),
        rest=_year_sentence(totals),
        totals=totals.strip,
        decisions=decisions_of(
            asker,
            [decision for item in chosen for decision in item.decisions],
            workload_ids,
            usage=usage,
            sees_all=is_everything,
        ),
        rows=shown,
        groups=_groups(shown, filters.group),
        axis=_axis(shown, today),
        count=len(rows),
        has_demo=any(row.is_demo for row in rows),
        demo_is_in_totals=include_demo and any(row.is_demo for row in rows),
    )


def _state_of_totals(
    plans: Sequence[PlanState],
    usage: UsageStates,
    workload_ids: Sequence[int],
    today: date,
    *,
    is_everything: bool,
    include_demo: bool,
) -> str | None:
    """What the totals of these workloads rest on; None where that is not known just now."""
    of_usage = usage.of_all(None if is_everything else workload_ids)
    if of_usage is None:
        return None
    chosen = set(workload_ids)
    told = [f"{today} {settings.FISCAL_YEAR_START_MONTH} {is_everything} {include_demo}", of_usage]
    told += [f"{plan.roadmap_id} {plan.state}" for plan in plans if plan.workload_id in chosen]
    return "; ".join(told)


def _empty(filters: PortfolioFilters, today: date) -> Portfolio:
    return Portfolio(
        filters=filters,
        choices={},
        today=today,
        currency=settings.REPORTING_CURRENCY,
        sentence=gettext("There is no roadmap yet."),
        rest="",
        totals=(),
        decisions=(),
        rows=(),
        groups=(),
        axis=None,
        count=0,
        has_demo=False,
        demo_is_in_totals=False,
    )


def _choices(rows: Sequence[PortfolioRow]) -> dict[str, list[tuple[str, str]]]:
    def of(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted((pair for pair in pairs if pair[0]), key=lambda pair: pair[1].lower())

    return {
        "programme": of({(row.programme, row.programme) for row in rows}),
        "unit": of({(row.business_unit, row.business_unit) for row in rows}),
        "owner": of({(row.owner_username, row.owner) for row in rows}),
        "phase": of({(row.phase_kind, row.phase_name) for row in rows}),
        "status": of({(row.status, row.status_word) for row in rows}),
        "provider": of({(provider, provider) for row in rows for provider in row.providers}),
    }


def _scaled(rows: Sequence[PortfolioRow]) -> list[PortfolioRow]:
    """The rows with one scale for their amounts, so that they can be compared down the column."""
    amounts = [amount for row in rows for amount in (row.spent, row.budget, row.forecast) if amount is not None]
    scale = scale_of(max(amounts, default=Decimal(0)))
    return [replace(row, scale=scale) for row in rows]


def _is_kept(row: PortfolioRow, filters: PortfolioFilters) -> bool:
    own = {
        "programme": row.programme,
        "unit": row.business_unit,
        "owner": row.owner_username,
        "phase": row.phase_kind,
        "status": row.status,
    }
    if any(filters.value(name) and filters.value(name) != value for name, value in own.items()):
        return False
    provider = filters.value("provider")
    return not provider or provider in row.providers


def _groups(rows: Sequence[PortfolioRow], group: str) -> list[Group]:
    if group == "none":
        return [Group("", rows)]
    none = {
        "programme": gettext("No programme"),
        "phase": gettext("No phase"),
        "owner": gettext("No owner"),
        "unit": gettext("No business unit"),
    }.get(group, "")
    heads = {
        "programme": lambda row: row.programme or none,
        "phase": lambda row: row.phase_name or none,
        "owner": lambda row: row.owner or none,
        "unit": lambda row: row.business_unit or none,
        "status": lambda row: row.status_word,
    }
    found: dict[str, list[PortfolioRow]] = {}
    for row in rows:
        found.setdefault(heads[group](row), []).append(row)
    return [Group(title, found[title]) for title in sorted(found, key=lambda title: (title == none, title.lower()))]


def _axis(rows: Sequence[PortfolioRow], today: date) -> Axis | None:
    days = [day for row in rows for span in row.phases for day in (span.start, span.end - DAY)]
    return Axis.of_years([*days, today]) if days else None


def _totals(
    standings: Sequence[Standing],
    freshness: Sequence[SourceFreshness],
    *,
    today: date,
    is_everything: bool,
    include_demo: bool,
) -> Totals:
    """The totals of what is shown; unfiltered, and for who sees all, of the whole organisation."""
    kept = [item for item in standings if include_demo or not item.rows.roadmap.workload.is_demo]
    entries = [entry for item in kept for entry in item.rows.costs]
    phases = [phase for item in kept for phase in item.rows.phases if item.rows.roadmap.state != Roadmap.State.STOPPED]
    currencies = [entry.currency for entry in entries] + [phase.budget_currency for phase in phases]
    first = date(today.year - 1, 1, 1)
    return totals_of(
        workload_ids=None if is_everything else [item.rows.workload_id for item in kept],
        phases=phases,
        entered=Entered(entries, rates_for(currencies, first, today + DAY), today),
        freshness=freshness,
        today=today,
        include_demo=include_demo,
    )


def _sentence(rows: Sequence[PortfolioRow]) -> str:
    """'7 of 12 roadmaps are on track, 3 at risk, 1 off track, 1 not started.'"""
    total = len(rows)
    if not total:
        return gettext("No roadmap fits these filters.")
    counts = {word: sum(1 for row in rows if row.status == word) for word in ("on_track", "at_risk", "off_track")}
    words = {
        "at_risk": gettext("at risk"),
        "off_track": gettext("off track"),
        "not_started": gettext("not started"),
        "no_update": gettext("without update"),
        Roadmap.State.PAUSED: gettext("paused"),
        Roadmap.State.STOPPED: gettext("stopped"),
    }
    others = [(name, sum(1 for row in rows if row.status == name)) for name in words]
    if total == 1 and rows[0].status != "on_track":
        alone = {
            "not_started": gettext("The roadmap has not started."),
            "no_update": gettext("The roadmap has no update yet."),
        }
        status = rows[0].status
        return alone.get(status) or gettext("The roadmap is %(status)s.") % {"status": words.get(status, str(status))}
    text = ngettext("%(count)s of %(total)s is on track", "%(count)s of %(total)s are on track", counts["on_track"])
    first = text % {"count": counts["on_track"], "total": wording.plural(total, "roadmap")}
    if not counts["on_track"]:
        first = gettext("No roadmap is on track")
    rest = [f"{count} {words.get(name, str(name))}" for name, count in others if count]
    return ", ".join([first, *rest]) + "."


def _year_sentence(totals: Totals) -> str:
    outlook = totals.forecast
    if outlook.total is None:
        return ""
    currency = settings.REPORTING_CURRENCY
    if totals.plan:
        return gettext("The year is forecast to end at %(total)s of %(plan)s planned.") % {
            "total": wording.money(outlook.total, currency),
            "plan": wording.money(totals.plan, currency),
        }
    return gettext("The year is forecast to end at %(total)s.") % {"total": wording.money(outlook.total, currency)}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first four steps: what to do, why, and whether it is done."""

    what: str
    why: str
    action: str
    url: str
    is_done: bool


def first_steps(asker: Asker, *, has_backends: bool) -> list[Step]:
    """The four steps to a dashboard, for an organisation without a roadmap; only those that the asker may take."""
    can_make = can_make_roadmaps(asker)
    has_usage = has_backends and series.first_and_last_day(None) is not None
    steps = [
        Step(
            gettext("Make a roadmap from a template"),
            gettext("Three phases with milestones, KPIs, checklists and gates, dated from one day.")
            if can_make
            else gettext("An admin makes it, or gives you a role in one that is there."),
            gettext("New roadmap") if can_make else "",
            reverse("roadmap_new") if can_make else "",
            is_done=False,
        )
    ]
    if has_backends:
        connected = [item for item in series.freshness(None) if item.reports is not None]
        steps += [
            Step(
                gettext("Send a figure"),
                gettext("One curl with a token shows up on the dashboard at the next reload."),
                gettext("Send data"),
                reverse("send_data"),
                is_done=has_usage,
            ),
            Step(
                gettext("Connect a backend"),
                gettext("A GPU server, a gateway or a provider's admin key is read every hour."),
                gettext("Add a backend"),
                reverse("backends"),
                is_done=bool(connected),
            ),
        ]
    if asker.user.is_admin:
        steps.append(
            Step(
                gettext("Invite a colleague"),
                gettext("People see the roadmaps that they belong to."),
                gettext("People"),
                reverse("people"),
                is_done=User.objects.filter(is_active=True, is_demo=False).count() > 1,
            )
        )
    return steps
