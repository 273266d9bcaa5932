"""How each roadmap of a portfolio stands: its money, its gate's criteria, its place on the plan, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils.translation import gettext

from metrics import series
from metrics.figures import DaySpend, SourceFreshness, WorkloadWindow
from metrics.money import Rates
from metrics.usage import HISTOGRAM_MEASURES
from metrics.windows import local_day
from roadmap.kpi import KpiValue
from roadmap.kpis.efficiency import THROUGHPUT
from roadmap.models import Kpi, Milestone, Phase, Roadmap, Update
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.gate_state import CriterionState, criterion_states, standings_of
from roadmap.queries.kpi_values import histograms_of, kpi_values, kpi_window, phase_window
from roadmap.queries.phase_money import RECENT_DAYS, PhaseMoney, phase_money
from roadmap.queries.portfolio_rows import ManyReadings, RoadmapRows, Window
from roadmap.rules import health
from roadmap.rules.gates import met_count
from web import wording
from web.pieces import GateMark, PhaseSpan

DAY = timedelta(days=1)
TONES = {"on_track": "green", "at_risk": "amber", "off_track": "red"}


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    """One roadmap as the table, the CSV file and the API show it. Money is the present phase's to date."""

    slug: str
    name: str
    url: str
    owner: str
    owner_username: str
    programme: str
    business_unit: str
    is_demo: bool
    state: str
    phase_kind: str
    phase_name: str
    phase_url: str
    status: str
    status_word: str
    tone: str
    who: str
    sentence: str
    spent: Decimal | None
    budget: Decimal | None
    forecast: Decimal | None
    over: Decimal | None
    start_on: date | None
    end_on: date | None
    milestone: str
    milestone_on: date | None
    milestone_first_on: date | None
    gate_url: str
    gate_on: date | None
    gate_first_on: date | None
    criteria_met: int
    criteria_total: int
    providers: frozenset[str]
    phases: Sequence[PhaseSpan]
    gates: Sequence[GateMark]
    plan_label: str
    today: date
    scale: tuple[Decimal, str] = (Decimal(1), "")

    @property
    def spent_text(self) -> str:
        return self._amount(self.spent)

    @property
    def budget_text(self) -> str:
        return self._amount(self.budget)

    def _amount(self, amount: Decimal | None) -> str:
        return wording.number(None if amount is None else amount / self.scale[0])

    @property
    def last_on(self) -> date | None:
        """The last day of the money's window."""
        return self.end_on - DAY if self.end_on else None

    @property
    def milestone_late(self) -> str:
        """'96 days late'."""
        late = (self.today - self.milestone_on).days if self.milestone_on else 0
        return wording.days_late(late) if late > 0 else ""

    @property
    def milestone_moved(self) -> bool:
        return self.milestone_on != self.milestone_first_on

    @property
    def gate_moved(self) -> bool:
        return self.gate_on != self.gate_first_on

    @property
    def money_label(self) -> str:
        """For the gauge: '498.3 k EUR of 820 k EUR spent, forecast 861 k EUR'."""
        currency = settings.REPORTING_CURRENCY
        text = gettext("%(spent)s of %(budget)s spent") % {
            "spent": wording.money(self.spent, currency),
            "budget": wording.money(self.budget, currency),
        }
        return (
            text
            if self.forecast is None
            else gettext("%(text)s, forecast %(forecast)s")
            % {"text": text, "forecast": wording.money(self.forecast, currency)}
        )

    @property
    def forecast_text(self) -> str:
        """'861, 5% over' where it is over, else 'forecast 374'."""
        if self.is_over and self.over is not None:
            amount = self.spent if self.is_passed else self.forecast
            return gettext("%(amount)s, %(over)s over") % {
                "amount": self._amount(amount),
                "over": wording.percent(self.over),
            }
        if self.forecast is None:
            return ""
        return gettext("forecast %(amount)s") % {"amount": self._amount(self.forecast)}

    @property
    def is_passed(self) -> bool:
        """The budget is spent already."""
        return self.spent is not None and self.budget is not None and self.spent > self.budget

    @property
    def is_over(self) -> bool:
        """The budget is spent, or will be by the forecast."""
        return self.over is not None and self.over > 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What was computed for one roadmap. `moves_with_clock`: a criterion is about the seconds of a running window."""

    rows: RoadmapRows
    window: Window | None
    money: PhaseMoney | None
    criteria: Sequence[CriterionState]
    providers: frozenset[str]
    moves_with_clock: bool


def standings_for(
    found: Sequence[RoadmapRows], freshness: Sequence[SourceFreshness], *, now: datetime, today: date
) -> list[Standing]:
    """Money and criteria of every roadmap: the present phase to date, and the windows of its criteria's KPIs."""
    asked = {item.workload_id: _Asked.of(item, today) for item in found}
    many = ManyReadings(now)
    many.load(
        [WorkloadWindow(workload, *window) for workload, one in asked.items() for window in one.windows],
        timed=[WorkloadWindow(workload, *window) for workload, one in asked.items() for window in one.timed],
        measures=[name for name in HISTOGRAM_MEASURES if any(name in one.histograms for one in asked.values())],
    )
    started = [workload for workload, one in asked.items() if one.windows]
    days = series.spend_days(started, today - (RECENT_DAYS + 1) * DAY, today + DAY)
    rates = _rates(found, today)
    return [_standing(item, asked[item.workload_id], many, days, freshness, rates, now, today) for item in found]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the row of one roadmap needs of usage. `windows`: the present phase to date and those of the KPIs that its
    gate asks for, none before it started; `timed`: those of them whose histograms are needed."""

    kpis: frozenset[int]
    windows: Sequence[Window]
    timed: Sequence[Window]
    histograms: frozenset[str]
    moves_with_clock: bool

    @classmethod
    def of(cls, item: RoadmapRows, today: date) -> _Asked:
        ids = frozenset(row.kpi_id for row in item.criteria if row.kpi_id is not None)
        window = phase_window(item.present, today) if item.present else None
        if window is None or item.present is None:
            return cls(ids, (), (), frozenset(), moves_with_clock=False)
        windows, timed, histograms, has_clock = [window], [], set(), False
        for kpi in item.kpis:
            own = kpi_window(kpi, item.present, today) if kpi.pk in ids else None
            if own is None:
                continue
            # A formula's operands are taken over the formula's window.
            parts = item.kpis if kpi.source == Kpi.Source.FORMULA else [kpi]
            windows.append(own)
            if needed := histograms_of(parts):
                timed.append(own)
                histograms |= set(needed)
            has_clock |= own[1] > today and any(part.measure == THROUGHPUT.name for part in parts)
        return cls(ids, windows, timed, frozenset(histograms), moves_with_clock=has_clock)


def _rates(found: Sequence[RoadmapRows], today: date) -> Rates:
    """The rates for every cost entry and budget, in one query or none."""
    currencies = {entry.currency for item in found for entry in item.costs}
    currencies |= {phase.budget_currency for item in found for phase in item.phases}
    starts = [phase.started_on for item in found for phase in item.phases if phase.started_on]
    starts += [entry.start_on for item in found for entry in item.costs]
    return rates_for(currencies, min(starts, default=today), today + DAY)


def _standing(
    item: RoadmapRows,
    asked: _Asked,
    many: ManyReadings,
    days: Mapping[int, list[DaySpend]],
    freshness: Sequence[SourceFreshness],
    rates: Rates,
    now: datetime,
    today: date,
) -> Standing:
    phase = item.present
    if not asked.windows or phase is None:
        states = criterion_states(item.criteria, values={}, today=today)
        return Standing(item, None, None, states, frozenset(), moves_with_clock=False)
    window = asked.windows[0]
    rows = many.rows(item.workload_id, window)
    entered = Entered(item.costs, rates, today)
    day_spends = [one for one in days[item.workload_id] if window[0] <= one.day < window[1]]
    money = phase_money(
        phase,
        window=window,
        rows=rows,
        day_spends=day_spends,
        entered=entered,
        freshness=freshness,
        today=today,
    )
    values: dict[int, KpiValue] = {}
    if asked.kpis:
        values = kpi_values(
            phase,
            kpis=item.kpis,
            wanted=asked.kpis,
            readings=item.readings,
            reader=many.of(item.workload_id),
            entered=entered,
            now=now,
        )
    return Standing(
        item,
        window,
        money,
        criterion_states(item.criteria, values=values, today=today),
        frozenset(row.key["provider"] for row in rows),
        moves_with_clock=asked.moves_with_clock,
    )


def row_of(standing: Standing, today: date) -> PortfolioRow:
    item = standing.rows
    roadmap, phase, update, gate, money = item.roadmap, item.present, item.update, item.gate, standing.money
    met, total = met_count(standings_of(standing.criteria))
    coming = [mark for mark in item.milestones if mark.state == Milestone.State.OPEN and _is_next(mark, phase)]
    milestone = coming[0] if coming else None
    tone, status, word = _status(roadmap, phase, update)
    is_open = gate is not None and phase is not None and phase.state != Phase.State.CLOSED
    return PortfolioRow(
        slug=roadmap.slug,
        name=roadmap.name,
        url=roadmap.get_absolute_url(),
        owner=roadmap.owner.display_name,
        owner_username=roadmap.owner.username,
        programme=roadmap.programme.name if roadmap.programme else "",
        business_unit=roadmap.business_unit,
        is_demo=roadmap.workload.is_demo,
        state=roadmap.state,
        phase_kind="live" if roadmap.state == Roadmap.State.LIVE else phase.kind if phase else "",
        phase_name=gettext("Live")
        if roadmap.state == Roadmap.State.LIVE
        else phase.get_kind_display()
        if phase
        else "",
        phase_url=phase.get_absolute_url() if phase else roadmap.get_absolute_url(),
        status=status,
        status_word=word,
        tone=tone,
        who=f"{update.author.display_name}, {wording.day_short(_local(update.created_at))}" if update else "",
        sentence=update.sentence if update else _measured_sentence(standing, today),
        spent=money.spent if money else None,
        budget=money.budget if money else None,
        forecast=money.forecast.total if money and money.forecast else None,
        over=money.over if money else None,
        start_on=standing.window[0] if standing.window else None,
        end_on=standing.window[1] if standing.window else None,
        milestone=milestone.name if milestone else "",
        milestone_on=milestone.due_on if milestone else None,
        milestone_first_on=milestone.baseline_due_on if milestone else None,
        gate_url=gate.get_absolute_url() if gate and is_open else "",
        gate_on=gate.due_on if gate and is_open else None,
        gate_first_on=gate.baseline_due_on if gate and is_open else None,
        criteria_met=met,
        criteria_total=total,
        providers=standing.providers,
        phases=[_span(row, roadmap) for row in item.phases],
        gates=[_mark(item, row, today) for row in item.phases if row.pk in item.gates],
        plan_label=_plan_label(item),
        today=today,
    )


def _local(at: datetime) -> date:
    return local_day(at, settings.REPORTING_ZONE)


def _is_next(mark: Milestone, phase: Phase | None) -> bool:
    return phase is None or phase.state == Phase.State.CLOSED or mark.phase_id == phase.pk


def _status(roadmap: Roadmap, phase: Phase | None, update: Update | None) -> tuple[str, str, str]:
    """Tone, value and word: the manager's own, unless the roadmap is not running."""
    if roadmap.state in (Roadmap.State.PAUSED, Roadmap.State.STOPPED):
        return "off", roadmap.state, str(roadmap.get_state_display())
    if phase is None or phase.state == Phase.State.PLANNED:
        return "none", "not_started", gettext("Not started")
    if update is not None:
        return TONES[update.status], update.status, str(update.get_status_display())
    return "none", "no_update", gettext("No update")


def _measured_sentence(standing: Standing, today: date) -> str:
    """What the figures say where the manager has not said anything."""
    phase, money = standing.rows.present, standing.money
    if phase is None or money is None:
        return gettext("Planned for %(day)s.") % {"day": wording.day(phase.planned_start_on)} if phase else ""
    gate = standing.rows.gate
    schedule = health.Schedule(
        today=today,
        state=phase.state,
        start_on=phase.started_on or phase.planned_start_on,
        end_on=phase.ended_on or phase.planned_end_on,
        gate_due_on=gate.due_on if gate else None,
    )
    return health.budget_finding(_health_money(money), schedule).text


def _health_money(money: PhaseMoney) -> health.Money:
    return health.Money(money.currency, money.spent, money.budget, money.forecast, money.passed_on)


def _span(phase: Phase, roadmap: Roadmap) -> PhaseSpan:
    start = phase.started_on or phase.planned_start_on
    end = (phase.ended_on or max(phase.planned_end_on, start)) + DAY
    is_stopped = roadmap.state == Roadmap.State.STOPPED and phase.state != Phase.State.CLOSED
    state = "stopped" if is_stopped else phase.state
    return PhaseSpan(
        name=str(phase.get_kind_display()),
        state=state,  # type: ignore[arg-type]
        start=start,
        end=end,
        promised_start=phase.baseline_start_on,
        promised_end=phase.baseline_end_on + DAY,
    )


def _mark(item: RoadmapRows, phase: Phase, today: date) -> GateMark:
    gate = item.gates[phase.pk]
    if phase.state == Phase.State.CLOSED:
        return GateMark(
            (phase.ended_on or gate.due_on) + DAY,
            "passed",
            gettext("%(kind)s gate") % {"kind": phase.get_kind_display()},
        )
    is_late = phase.state == Phase.State.ACTIVE and gate.due_on < today
    return GateMark(
        gate.due_on, "late" if is_late else "open", gettext("%(kind)s gate") % {"kind": phase.get_kind_display()}
    )


def _plan_label(item: RoadmapRows) -> str:
    parts = [
        f"{phase.get_kind_display()} {phase.get_state_display().lower()}, "
        f"{wording.days(phase.started_on or phase.planned_start_on, phase.ended_on or phase.planned_end_on)}"
        for phase in item.phases
        if (phase.ended_on or phase.planned_end_on) >= (phase.started_on or phase.planned_start_on)
    ]
    return f"{item.roadmap.name}: {'; '.join(parts)}"
