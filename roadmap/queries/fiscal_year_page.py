"""The fiscal year's page: what an address asks for, the finding in a sentence, figures, chart and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access import Asker
from metrics.windows import local_day
from roadmap.charts.year import YearBar, year_bars
from roadmap.queries.dashboard_filters import Problem
from roadmap.queries.fiscal_year import year_facts
from roadmap.queries.fiscal_year_reading import scope_of_plan
from roadmap.queries.spend_plan import Plan, plan_of
from roadmap.rules.fiscal_year import (
    FiscalYear,
    Held,
    MonthLine,
    Share,
    Spent,
    YearFacts,
    fiscal_year_from,
    fiscal_year_of,
)
from web import wording
from web.pieces import Bars

DAY = timedelta(days=1)
FIRST_YEAR, LAST_YEAR = 2000, 2098


@dataclass(frozen=True, slots=True)
class YearFilters:
    """What the address asks for. `problems`: what of it could not be applied, and why."""

    year: FiscalYear
    roadmap: str = ""
    programme: str = ""
    problems: Sequence[Problem] = ()

    @property
    def query(self) -> str:
        """'?year=2026&programme=...': what asks for exactly this."""
        found = {"year": self.year.start_on.year, "roadmap": self.roadmap, "programme": self.programme}
        return "?" + urlencode({name: value for name, value in found.items() if value})


@dataclass(frozen=True, slots=True)
class YearFigure:
    """One of the figures above: digits apart from their unit, what it is held against, what it rests on."""

    title: str
    figure: str
    unit: str
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class YearPage:
    """Everything that page, files and API show."""

    filters: YearFilters
    choices: Mapping[str, Sequence[tuple[str, str]]]
    facts: YearFacts
    currency: str
    zone: str
    sentence: str
    rest: str
    figures: Sequence[YearFigure]
    bars: Bars
    notes: Sequence[str]
    is_demo: bool
    has_nothing: bool

    @property
    def window(self) -> str:
        return wording.days(self.facts.year.start_on, self.facts.year.last_on)


def year_page(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> YearPage:
    """The page of what the asker sees. The number of queries does not grow with roadmaps or months."""
    today = local_day(now or timezone.now(), settings.REPORTING_ZONE)
    plan = plan_of(asker)
    filters = parse_year_filters(parameters, plan, today=today)
    scope = scope_of_plan(plan, roadmap=filters.roadmap, programme=filters.programme)
    facts = year_facts(scope, filters.year, until=today + DAY, today=today)
    sentence, rest = _sentences(facts)
    return YearPage(
        filters=filters,
        choices=_choices(plan, filters.year, today),
        facts=facts,
        currency=settings.REPORTING_CURRENCY,
        zone=settings.TIME_ZONE,
        sentence=sentence,
        rest=rest,
        figures=_figures(facts),
        bars=year_bars(
            [YearBar(line.month, line.held.spent.total, line.forecast, line.held.plan) for line in facts.months],
            " ".join(filter(None, (sentence, rest))),
        ),
        notes=_notes(facts),
        is_demo=plan.include_demo and plan.has_demo,
        has_nothing=facts.to_date.spent.total is None and facts.plan_of_year is None,
    )


def parse_year_filters(parameters: Mapping[str, Any], plan: Plan, *, today: date) -> YearFilters:
    """`year`: the calendar year in which the fiscal year begins; `roadmap`: a slug; `programme`: a name."""
    problems: list[Problem] = []
    start_month = settings.FISCAL_YEAR_START_MONTH
    year = fiscal_year_of(today, start_month)
    if told := str(parameters.get("year") or "").strip():
        if told.isascii() and told.isdigit() and FIRST_YEAR <= int(told[:5]) <= LAST_YEAR:
            year = fiscal_year_from(int(told), start_month)
        else:
            problems.append(Problem("year", _("'%(text)s' is not a year. Write it like 2026.") % {"text": told[:20]}))
    known = {
        "roadmap": {one.slug for one in plan.roadmaps.values()},
        "programme": {one.programme.name for one in plan.roadmaps.values() if one.programme},
    }
    values = {}
    for name, choices in known.items():
        told = str(parameters.get(name) or "").replace("\x00", "").strip()
        if told and told not in choices:
            # The same words for what there is and what the asker may not see.
            text = _("There is no roadmap '%(name)s'.") if name == "roadmap" else _("There is no programme '%(name)s'.")
            problems.append(Problem(name, text % {"name": told[:60]}))
            told = ""
        values[name] = told
    return YearFilters(year, values["roadmap"], values["programme"], tuple(problems))


def _choices(plan: Plan, asked: FiscalYear, today: date) -> dict[str, list[tuple[str, str]]]:
    start_month = settings.FISCAL_YEAR_START_MONTH
    days = [today, asked.start_on]
    for phase in plan.phases:
        days += [phase.planned_start_on, phase.planned_end_on]
    first, last = (fiscal_year_of(day, start_month).start_on.year for day in (min(days), max(days)))
    years = [fiscal_year_from(year, start_month) for year in range(max(first, FIRST_YEAR), min(last, LAST_YEAR) + 1)]
    roadmaps = sorted(((one.slug, one.name) for one in plan.roadmaps.values()), key=lambda pair: pair[1].lower())
    programmes = sorted({one.programme.name for one in plan.roadmaps.values() if one.programme}, key=str.lower)
    return {
        "year": [(str(year.start_on.year), year.name) for year in years],
        "programme": [(name, name) for name in programmes],
        "roadmap": roadmaps,
    }


# --- Words


def share_text(held: Held) -> str:
    """'80%', 'no plan', or why there is no share."""
    return plan_share_text(held.share, held.plan, held.spent.total)


def plan_share_text(share: Share, plan: Decimal | None, spent: Decimal | None) -> str:
    """The same from its parts."""
    if not plan:
        return _("no plan")
    if share.value is None:
        return str(wording.NO_DATA)
    return wording.percent(share.value)


def coverage_text(share: Share) -> str:
    """'91% of the spend has a plan', empty where all of it has."""
    if share.coverage is None or share.coverage >= 1:
        return ""
    return _("%(share)s of the spend has a plan") % {"share": wording.share(share.coverage)}


def basis_text(spent: Spent) -> str:
    """'61% billed, 39% estimated', with what was entered by hand; empty without spend."""
    parts = [
        (spent.billed, _("%(share)s billed")),
        (spent.estimated, _("%(share)s estimated")),
        (spent.entered, _("%(share)s entered by hand")),
    ]
    known = [(amount, text) for amount, text in parts if amount]
    total = sum((amount for amount, _text in known), Decimal(0))
    if total <= 0:
        return ""
    return ", ".join(text % {"share": wording.percent(amount / total)} for amount, text in known)


def not_priced_text(spent: Spent) -> str:
    """'1.2 M tokens not priced', empty where everything has a price."""
    if spent.not_priced_tokens:
        return _("%(count)s tokens not priced") % {"count": wording.short(spent.not_priced_tokens)}
    if spent.not_priced_requests:
        return _("%(count)s requests not priced") % {"count": wording.short(spent.not_priced_requests)}
    return ""


def _sentences(facts: YearFacts) -> tuple[str, str]:
    currency = settings.REPORTING_CURRENCY
    year = facts.year.name
    if not facts.has_begun:
        plan = wording.money(facts.plan_of_year, currency)
        text = _("%(plan)s are planned for fiscal year %(year)s, which has not begun.")
        if facts.plan_of_year is None:
            text = _("Nothing is planned for fiscal year %(year)s, which has not begun.")
        return text % {"plan": plan, "year": year}, ""
    told = {
        "spent": wording.money(facts.to_date.spent.total, currency),
        "day": wording.day(facts.until - DAY),
        "plan": wording.money(facts.to_date.plan, currency),
        "share": share_text(facts.to_date),
        "year": year,
    }
    if facts.to_date.spent.total is None:
        return _("No spend is known of fiscal year %(year)s.") % told, _outlook_sentence(facts)
    if facts.to_date.share.value is not None:
        text = _(
            "%(spent)s were spent in fiscal year %(year)s by %(day)s: %(share)s of the %(plan)s planned until then."
        )
        if not facts.to_date.share.is_whole:
            told["part"] = wording.money(facts.to_date.share.spent, currency)
            text = _(
                "%(spent)s were spent in fiscal year %(year)s by %(day)s; the roadmaps with a plan spent %(part)s "
                "of the %(plan)s planned until then, %(share)s."
            )
    elif facts.to_date.plan:
        text = _("%(spent)s were spent in fiscal year %(year)s by %(day)s; %(plan)s were planned until then.")
    else:
        text = _("%(spent)s were spent in fiscal year %(year)s by %(day)s; no plan says how much was to be.")
    return text % told, _outlook_sentence(facts)


def _outlook_sentence(facts: YearFacts) -> str:
    currency = settings.REPORTING_CURRENCY
    outlook = facts.outlook
    if outlook is None:
        return ""
    if outlook.total is None:
        return _("There is too little data for a forecast.")
    told = {"total": wording.money(outlook.total, currency), "plan": wording.money(facts.plan_of_year, currency)}
    if facts.plan_of_year and not outlook.share.is_whole and outlook.share.value is not None:
        told["part"] = wording.money(outlook.share.spent, currency)
        text = _("The year is forecast to end at %(total)s; the roadmaps with a plan at %(part)s of %(plan)s planned.")
        return text % told
    if facts.plan_of_year:
        return _("The year is forecast to end at %(total)s of %(plan)s planned.") % told
    return _("The year is forecast to end at %(total)s.") % told


def _figures(facts: YearFacts) -> list[YearFigure]:
    currency = settings.REPORTING_CURRENCY
    found = []
    if facts.has_begun:
        month = _("Spend of %(month)s") % {"month": wording.month(facts.month)}
        found = [
            _held_figure(month, facts.this_month),
            _held_figure(_("Fiscal year to date"), facts.to_date),
        ]
    if (outlook := facts.outlook) is not None:
        title = _("Forecast to %(day)s") % {"day": wording.day(facts.year.last_on)}
        notes = [_of_plan(outlook.share, facts.plan_of_year, outlook.total), coverage_text(outlook.share)]
        if band := wording.band(outlook.low, outlook.high, currency):
            notes.append(_("band %(low)s to %(high)s") % band)
        if outlook.total is None:
            notes = [_("7 complete days are needed")]
        else:
            text = ngettext("run rate of %(days)s day", "run rate of %(days)s days", outlook.days_used)
            notes.append(text % {"days": outlook.days_used})
        found.append(_figure(title, outlook.total, notes, missing=str(wording.TOO_LITTLE_DATA)))
    found.append(_figure(_("Plan of the year"), facts.plan_of_year, [], missing=_("no plan")))
    return found


def _held_figure(title: str, held: Held) -> YearFigure:
    notes = [_of_plan(held.share, held.plan, held.spent.total), coverage_text(held.share)]
    return _figure(title, held.spent.total, [*notes, basis_text(held.spent), not_priced_text(held.spent)])


def _of_plan(share: Share, plan: Decimal | None, spent: Decimal | None) -> str:
    if not plan:
        return _("no plan")
    amount = wording.money(plan, settings.REPORTING_CURRENCY)
    if share.value is None:
        return _("plan %(plan)s") % {"plan": amount}
    told = {"share": wording.percent(share.value), "plan": amount}
    if not share.is_whole:
        told["part"] = wording.money(share.spent, settings.REPORTING_CURRENCY)
        return _("%(part)s of %(plan)s planned, %(share)s") % told
    return _("%(share)s of the plan of %(plan)s") % told


def _figure(title: str, amount: Decimal | None, notes: Sequence[str], missing: str = "") -> YearFigure:
    kept = [note for note in notes if note]
    if amount is None:
        return YearFigure(title, missing or str(wording.NO_DATA), "", kept)
    digits, letter = wording.scaled_money(amount)
    return YearFigure(title, digits, f"{letter} {settings.REPORTING_CURRENCY}".strip(), kept)


def _notes(facts: YearFacts) -> list[str]:
    """What a reader has to know about the figures."""
    currency = settings.REPORTING_CURRENCY
    found = []
    if facts.without_plan:
        text = ngettext(
            "%(count)s roadmap spent without a budget in this year: %(names)s.",
            "%(count)s roadmaps spent without a budget in this year: %(names)s.",
            len(facts.without_plan),
        )
        shown = ", ".join(facts.without_plan[:5])
        found.append(
            text % {"count": len(facts.without_plan), "names": shown + (", …" if facts.without_plan[5:] else "")}
        )
    for one in facts.restated:
        found.append(
            _("%(month)s: the published reports say %(published)s, by now it is %(now)s.")
            % {
                "month": wording.month(one.month),
                "published": wording.money_exact(one.published, currency),
                "now": wording.money_exact(one.now, currency),
            }
        )
    found += [
        _("No exchange rate: %(currency)s is in no amount.") % {"currency": missing}
        for missing in sorted(facts.no_rate)
    ]
    found += [
        _("%(currency)s at the rate of %(day)s.") % {"currency": name, "day": wording.day(on)}
        for name, on in sorted(facts.stale_rates.items())
    ]
    if not_priced := not_priced_text(facts.to_date.spent):
        found.append(_("Fiscal year to date: %(what)s.") % {"what": not_priced})
    return found


def month_state(line: MonthLine, facts: YearFacts) -> str:
    """'over', 'running' or 'ahead'."""
    if line.month >= facts.until:
        return "ahead"
    return "over" if line.month < facts.month or facts.is_over else "running"
