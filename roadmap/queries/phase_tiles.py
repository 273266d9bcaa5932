"""The four figures of a phase: each with unit, window, change, target, trend, coverage and what would fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from django.utils.translation import gettext, gettext_lazy

from metrics.figures import SourceFreshness, UsageRow
from roadmap.charts.latency import PLACES
from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, text_of
from roadmap.kpis import BY_NAME
from roadmap.models import Kpi, Roadmap
from roadmap.queries.phase_money import PhaseMoney
from roadmap.sayings import say
from web import wording
from web.pieces import Gauge, Tile, Tone

DAY = timedelta(days=1)
# Less than this is no change worth a word.
UNCHANGED = Decimal("0.005")
# A comparison with fewer days before says little.
MINIMUM_BEFORE = 7
TREND_POINTS = 26

# What fills a measure, in the words of a connector's list of what it does not offer.
NEEDS = {
    "duration_p95": ("duration", gettext_lazy("Latency")),
    "cost_per_million_tokens": ("estimated_cost", gettext_lazy("Cost")),
    "cost_per_1000_requests": ("estimated_cost", gettext_lazy("Cost")),
    "cost_per_1000_units": ("units", gettext_lazy("Units of work")),
    "tokens_per_second_per_dollar": ("output_tokens", gettext_lazy("Output tokens")),
    "requests_per_second_per_dollar": ("requests", gettext_lazy("Requests")),
    "utilisation": ("gpu_busy_seconds", gettext_lazy("GPU use")),
    "energy_per_1000_tokens": ("energy_wh", gettext_lazy("Energy")),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure over a window, with what it was before: what a tile shows and the API gives.

    `change`: relative, None where it cannot be compared. `trend`: the values of the chart's periods, oldest first.
    """

    name: str
    title: str
    direction: str
    value: KpiValue
    before: KpiValue | None = None
    change: Decimal | None = None
    target: Decimal | None = None
    trend: Sequence[Decimal | None] = ()
    window: str = ""
    missing: str = ""
    details: str = ""

    @property
    def is_better(self) -> bool | None:
        """Whether the change is for the better; None without one."""
        if self.change is None or abs(self.change) < UNCHANGED:
            return None
        return (self.change > 0) == (self.direction == "higher")


def measures_for(roadmap: Roadmap) -> tuple[str, str, str]:
    """The names of the three measured tiles: those of the roadmap's unit of work."""
    unit = roadmap.unit_of_work
    if unit == Roadmap.UnitOfWork.TOKEN:
        return "cost_per_million_tokens", "duration_p95", "tokens_per_second_per_dollar"
    if unit == Roadmap.UnitOfWork.REQUEST:
        return "cost_per_1000_requests", "duration_p95", "requests_per_second_per_dollar"
    return "cost_per_1000_units", "duration_p95", "requests_per_second_per_dollar"


def targets_of(kpis: Sequence[Kpi]) -> dict[str, Decimal]:
    """The targets of computed KPIs by measure; the first of each."""
    found: dict[str, Decimal] = {}
    for kpi in kpis:
        if kpi.measure and kpi.target is not None and kpi.source == Kpi.Source.COMPUTED:
            found.setdefault(kpi.measure, kpi.target)
    return found


def figure_of(
    name: str,
    *,
    now: PhaseFigures,
    before: PhaseFigures | None,
    targets: Mapping[str, Decimal],
    trend: Sequence[PhaseFigures],
    window: str,
    freshness: Sequence[SourceFreshness],
) -> Figure:
    """One measure now and before."""
    measure = BY_NAME[name]
    value = measure.of(now)
    earlier = measure.of(before) if before is not None else None
    change = None
    if value.value is not None and earlier is not None and earlier.value and not value.low and not earlier.low:
        change = value.value / earlier.value - 1
    return Figure(
        name=name,
        title=measure.title_in(now.currency),
        direction=measure.direction,
        value=value,
        before=earlier if earlier is not None and earlier.value is not None else None,
        change=change,
        target=targets.get(name),
        trend=[measure.of(figures).value for figures in trend],
        window=window,
        missing="" if value.value is not None else missing_text(measure, value, freshness),
        details=_details(name, now, value),
    )


def missing_text(measure: ComputedKpi, value: KpiValue, freshness: Sequence[SourceFreshness]) -> str:
    """What would fill the measure: a connected source that cannot offer it is named first."""
    needed, what = NEEDS.get(measure.name, ("", ""))
    for source in freshness:
        if needed in source.not_offered:
            hint = source.not_offered[needed]
            text = gettext("%(what)s: not offered by %(source)s.") % {"what": what, "source": source.name}
            return f"{text} {hint}".strip()
    if value.reason and value.reason != measure.source:
        return f"{value.reason[:1].upper()}{value.reason[1:]}. {measure.source}"
    return measure.source


def _details(name: str, figures: PhaseFigures, value: KpiValue) -> str:
    if value.value is None:
        return ""
    if name == "cost_per_million_tokens":
        return _mix(figures)
    if name == "duration_p95":
        found = figures.latency["duration"]
        place, count = PLACES.get(found.measured_at, ""), wording.short(found.count)
        if not place:
            return gettext("duration, %(count)s requests") % {"count": count}
        return gettext("duration %(place)s, %(count)s requests") % {"place": place, "count": count}
    if name == "tokens_per_second_per_dollar" and figures.idle_spend is not None:
        return gettext("reserved basis, idle included")
    return ""


def _mix(figures: PhaseFigures) -> str:
    """'input 84, output 16, cached 22 of 100', in tokens."""
    tokens = figures.usage.total("tokens")
    parts = []
    for measure, word in (("input_tokens", "input"), ("output_tokens", "output"), ("cached_input_tokens", "cached")):
        amount = figures.usage.total(measure)
        if amount is not None and tokens:
            parts.append(f"{word} {wording.decimals(Decimal(amount) * 100 / Decimal(tokens))}")
    return f"{', '.join(parts)} of 100" if parts else ""


def spend_figure(money: PhaseMoney, *, window: str, trend: Sequence[Decimal | None], title: str) -> Figure:
    """Spend of the phase to date; before any is known, what would fill it."""
    reason = "" if money.spent is not None else BY_NAME["spend"].source
    value = KpiValue(
        value=money.spent,
        unit=money.currency,
        basis=money.basis,
        coverage=money.usage.coverage("spend", "tokens") or money.usage.coverage("spend"),
        coverage_of="usage",
        start_on=money.start_on,
        end_on=money.end_on,
        reason=reason,
    )
    return Figure(
        name="spend",
        title=title,
        direction="lower",
        value=value,
        target=money.budget,
        trend=trend,
        window=window,
        missing=reason,
        details=money.basis,
    )


def spend_tile(figure: Figure, money: PhaseMoney, *, is_narrowed: bool) -> Tile:
    """Spend against the budget with the forecast's tick. Narrowed by a filter there is no budget to hold it against."""
    amount = figure.value.value
    if amount is None:
        return Tile(title=figure.title, figure="", missing=figure.missing, note=figure.window)
    digits, letter = wording.scaled(amount)
    budget = None if is_narrowed else money.budget
    unit = " ".join(part for part in (letter, money.currency) if part)
    delta, rest = "", ""
    tone: Tone | Literal[""] = ""
    if budget:
        of_digits, of_letter = wording.scaled(budget)
        if of_letter == letter:
            unit = gettext("of %(budget)s") % {"budget": f"{of_digits} {unit}"}
        else:
            of = gettext("of %(budget)s") % {"budget": f"{wording.short(budget)} {money.currency}"}
            unit = f"{unit} {of}"
        delta, rest, tone = _budget_delta(money)
    elif not is_narrowed:
        rest = gettext("no budget is set")
    total = money.forecast.total if money.forecast and not is_narrowed else None
    return Tile(
        title=figure.title,
        figure=digits,
        unit=unit,
        delta=delta,
        delta_rest=rest,
        delta_tone=tone,
        note=_joined(figure.window, figure.details, _coverage(figure.value)),
        trend=figure.trend,
        gauge=Gauge(
            amount,
            budget,
            _spent_text(amount, budget, total, money.currency),
            forecast=total,
        )
        if budget
        else None,
    )


def _spent_text(amount: Decimal, budget: Decimal, total: Decimal | None, currency: str) -> str:
    said = {"amount": wording.money(amount, currency), "budget": wording.money(budget, currency)}
    if total is None:
        return gettext("%(amount)s of %(budget)s spent") % said
    forecast = {"forecast": wording.money(total, currency)}
    return gettext("%(amount)s of %(budget)s spent, forecast %(forecast)s") % (said | forecast)


def _budget_delta(money: PhaseMoney) -> tuple[str, str, Tone | Literal[""]]:
    over = money.over
    if over is None or money.spent is None or money.budget is None:
        return "", "", ""
    size = {"share": wording.percent(abs(over))}
    over_text, under_text = gettext("%(share)s over") % size, gettext("%(share)s under") % size
    if money.spent > money.budget:
        return over_text, gettext("the budget already"), "red"
    if money.forecast is None:
        return under_text, gettext("at the end of the phase"), ""
    if money.forecast.total is None:
        return "", gettext("too little data for a forecast"), ""
    at = gettext("at the forecast, %(total)s") % {"total": wording.short(money.forecast.total)}
    if over > 0:
        return over_text, at, "amber"
    return under_text, at, "green"


def tile_of(figure: Figure) -> Tile:
    """A measured tile."""
    value = figure.value
    if value.value is None:
        return Tile(title=figure.title, figure="", missing=figure.missing, note=figure.window)
    delta, rest, tone = _change(figure)
    target = "" if figure.target is None else gettext("target %(target)s") % {"target": wording.number(figure.target)}
    return Tile(
        title=figure.title,
        figure=text_of(value),
        unit=value.unit,
        delta=delta,
        delta_rest=rest,
        delta_tone=tone,
        note=_joined(figure.window, figure.details, _coverage(value), target),
        trend=figure.trend,
        trend_target=figure.target,
        gauge=_gauge(figure),
    )


def _change(figure: Figure) -> tuple[str, str, Tone | Literal[""]]:
    """'12% lower, better'."""
    if figure.change is None:
        if figure.value.low is not None or figure.value.high is not None:
            return "", gettext("only the source's buckets are known"), ""
        return "", gettext("nothing before to compare with") if figure.before is None else "", ""
    if figure.is_better is None:
        return "", gettext("unchanged"), ""
    size = {"share": wording.percent(abs(figure.change))}
    if figure.is_better:
        text = gettext("%(share)s higher, better") if figure.change > 0 else gettext("%(share)s lower, better")
        return text % size, "", "green"
    text = gettext("%(share)s higher, worse") if figure.change > 0 else gettext("%(share)s lower, worse")
    return text % size, "", "amber"


def _gauge(figure: Figure) -> Gauge | None:
    value, target = figure.value.value, figure.target
    if value is None or target is None or target <= 0:
        return None
    is_higher = figure.direction == "higher"
    text = (
        gettext("%(value)s, target at least %(target)s")
        if is_higher
        else gettext("%(value)s, target at most %(target)s")
    )
    label = text % {"value": f"{text_of(figure.value)} {figure.value.unit}", "target": wording.number(target)}
    return Gauge(value, target, label, higher_is_better=is_higher)


def _coverage(value: KpiValue) -> str:
    if value.coverage is None or value.coverage >= 1:
        return ""
    return say("covered", share=value.coverage, of=value.coverage_of)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def trend_figures(
    rows: Sequence[UsageRow], build: Callable[[date, Sequence[UsageRow]], PhaseFigures]
) -> list[PhaseFigures]:
    """The figures of the last periods, as many as a trend shows, oldest first."""
    by_period: dict[date, list[UsageRow]] = {}
    for row in rows:
        if row.period is not None:
            by_period.setdefault(row.period, []).append(row)
    return [build(period, by_period[period]) for period in sorted(by_period)[-TREND_POINTS:]]
