"""A roadmap's page: its timeline, tabs, updates and risks; and its settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.models import Gate, GateDecision, Milestone, Phase, Risk, Roadmap, Update
from roadmap.queries.comments import addresses, risk_counts
from roadmap.queries.phase_plan import Rights, gate_word, rights_of
from roadmap.queries.schedule import dependencies_of
from roadmap.queries.slips import months_of_plan
from roadmap.rules.slips import MonthOfPlan, months_back
from web import wording
from web.drawings import Axis
from web.pieces import GateMark, Lane, MilestoneMark, PhaseSpan

DAY = timedelta(days=1)
TONES = {"on_track": "green", "at_risk": "amber", "off_track": "red"}
STATE_TONES = {"proposed": "none", "active": "green", "paused": "amber", "stopped": "off", "live": "green"}
GATE_MARKS: Mapping[str, Literal["passed", "conditional", "held", "stopped"]] = {
    "go": "passed",
    "conditional": "conditional",
    "hold": "held",
    "stop": "stopped",
}
STATE_BUTTONS = {
    "proposed": [("stopped", gettext_lazy("Stop it before it starts"))],
    "active": [("paused", gettext_lazy("Pause it"))],
    "paused": [("active", gettext_lazy("Go on with it"))],
}
# An update list longer than this is read on the page of all updates.
SHOWN_UPDATES = 5


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate as the roadmap's page lists it."""

    gate: Gate
    phase: Phase
    tone: str
    word: str
    decision: GateDecision | None


@dataclass(frozen=True, slots=True)
class MilestoneLine:
    """A mark of the timeline in words."""

    milestone: Milestone
    phase: Phase
    tone: str
    word: str
    waits_for: str

    @property
    def slip_days(self) -> int:
        """Days later than first promised; negative: earlier."""
        day = self.milestone.done_on or self.milestone.due_on
        return (day - self.milestone.baseline_due_on).days


@dataclass(frozen=True, slots=True)
class RiskRow:
    """A risk, how many comments there are on it, and where they are read or the first one is written."""

    risk: Risk
    comment_count: int
    talk_url: str


@dataclass(frozen=True, slots=True)
class Steering:
    """Updates, newest first, and risks, the heaviest first."""

    roadmap: Roadmap
    rights: Rights
    updates: Sequence[Update]
    update_count: int
    risks: Sequence[Risk]
    closed_risks: Sequence[Risk]
    # Comments on each risk, by its id.
    risk_comments: Mapping[int, int]

    @property
    def risk_rows(self) -> list[RiskRow]:
        """The open risks, each with where it is commented on."""
        rows = []
        for risk in self.risks:
            count = self.risk_comments.get(risk.pk, 0)
            read, write = addresses(self.roadmap, risk)
            rows.append(RiskRow(risk, count, read if count else write))
        return rows

    @property
    def latest(self) -> Update | None:
        return self.updates[0] if self.updates else None

    @property
    def latest_tone(self) -> str:
        return TONES[self.latest.status] if self.latest else "none"

    @property
    def has_more(self) -> bool:
        return self.update_count > len(self.updates)


@dataclass(frozen=True, slots=True)
class RoadmapPage:
    """Everything of the page except updates and risks, which change in place."""

    roadmap: Roadmap
    rights: Rights
    today: date
    state_tone: str
    phases: Sequence[Phase]
    current: Phase | None
    milestones: Sequence[MilestoneLine]
    lanes: Sequence[Lane]
    axis: Axis
    label: str
    tabs: Sequence[Mapping[str, Any]]
    gates: Sequence[GateLine]
    next_gate: GateLine | None
    next_milestone: Milestone | None
    late_count: int
    months: Sequence[MonthOfPlan]
    member_count: int


@dataclass(frozen=True, slots=True)
class RoadmapSetup:
    """People and phases of a roadmap's settings."""

    roadmap: Roadmap
    rights: Rights
    members: Sequence[Membership]
    phases: Sequence[Phase]
    startable: Phase | None

    @property
    def roles(self) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in Role.choices]

    @property
    def state_buttons(self) -> list[tuple[str, str]]:
        """State and button of what can be done with the roadmap as a whole."""
        return [(state, str(label)) for state, label in STATE_BUTTONS.get(self.roadmap.state, [])]


def roadmap_page(asker: Asker, roadmap: Roadmap, *, today: date) -> RoadmapPage:
    """The page of a roadmap that the asker may see, in eight queries."""
    phases = list(roadmap.phases.select_related("owner").order_by("position"))
    for phase in phases:
        phase.roadmap = roadmap
    gates = {gate.phase_id: gate for gate in Gate.objects.filter(phase__in=phases).select_related("gatekeeper")}
    decisions: dict[int, GateDecision] = {}
    for decision in GateDecision.objects.filter(gate__phase__in=phases).select_related("decided_by").order_by("pk"):
        decisions[decision.gate_id] = decision
    milestones = list(Milestone.objects.filter(phase__in=phases).select_related("owner").order_by("due_on", "pk"))
    lines = [_gate_line(phase, gates[phase.pk], decisions, today) for phase in phases if phase.pk in gates]
    open_ones = [item for item in milestones if item.state == Milestone.State.OPEN]
    current = next((phase for phase in phases if phase.state == Phase.State.ACTIVE), None)
    coming = [item for item in open_ones if item.due_on >= today]
    rights, waits_for = rights_of(asker, roadmap), dependencies_of(roadmap)
    marks: dict[int, list[MilestoneMark]] = {}
    for item in milestones:
        if item.state != Milestone.State.DROPPED:
            mark = _mark(item, today, waits_for=waits_for.get(item.pk, set()), can_manage=rights.can_manage)
            marks.setdefault(item.phase_id, []).append(mark)
    lanes = [_lane(phase, gates.get(phase.pk), decisions, marks.get(phase.pk, []), today) for phase in phases]
    return RoadmapPage(
        roadmap=roadmap,
        rights=rights,
        today=today,
        state_tone=STATE_TONES[roadmap.state],
        phases=phases,
        current=current,
        milestones=_milestone_lines(phases, milestones, waits_for, today),
        lanes=lanes,
        axis=_axis(lanes, today),
        label=_label(roadmap, phases),
        tabs=phase_tabs(roadmap, phases, current=None),
        gates=lines,
        next_gate=next((line for line in lines if line.phase.state == Phase.State.ACTIVE), None),
        next_milestone=coming[0] if coming else None,
        months=[month for month in months_of_plan(roadmap, months_back(today, 6), today=today) if not month.is_quiet],
        late_count=sum(1 for item in open_ones if item.due_on < today and item.phase_id == (current and current.pk)),
        member_count=Membership.objects.filter(workload=roadmap.workload).count(),
    )


def phase_tabs(roadmap: Roadmap, phases: Sequence[Phase], *, current: Phase | None) -> list[dict[str, Any]]:
    """The roadmap and its phases as tabs; `current` None: the roadmap itself."""
    items: list[dict[str, Any]] = [
        {"text": gettext("Roadmap"), "url": roadmap.get_absolute_url(), "note": "", "is_current": current is None}
    ]
    for phase in phases:
        items.append(
            {
                "text": phase.get_kind_display(),
                "url": f"{roadmap.get_absolute_url()}{phase.kind}/",
                "note": phase.get_state_display().lower(),
                "is_current": current is not None and phase.pk == current.pk,
            }
        )
    return items


def steering(asker: Asker, roadmap: Roadmap, *, every_update: bool = False, rights: Rights | None = None) -> Steering:
    """Updates and risks of a roadmap, in four queries; in three where the asker's `rights` on it are known."""
    updates = roadmap.updates.select_related("author")
    shown = list(updates if every_update else updates[: SHOWN_UPDATES + 1])
    count = len(shown)
    risks = sorted(roadmap.risks.select_related("owner"), key=lambda risk: (-risk.score, -risk.impact, risk.pk))
    return Steering(
        roadmap=roadmap,
        rights=rights or rights_of(asker, roadmap),
        updates=shown if every_update else shown[:SHOWN_UPDATES],
        update_count=count,
        risks=[risk for risk in risks if risk.state == Risk.State.OPEN],
        closed_risks=[risk for risk in risks if risk.state == Risk.State.CLOSED],
        risk_comments=risk_counts(roadmap),
    )


def roadmap_setup(asker: Asker, roadmap: Roadmap) -> RoadmapSetup:
    """People and phases, in three queries."""
    phases = list(roadmap.phases.select_related("owner", "budget_owner").order_by("position"))
    for phase in phases:
        phase.roadmap = roadmap
    members = roadmap.workload.memberships.select_related("user").order_by("role", "user__first_name", "user__username")
    return RoadmapSetup(
        roadmap=roadmap,
        rights=rights_of(asker, roadmap),
        members=list(members),
        phases=phases,
        startable=_startable(roadmap, phases),
    )


def _startable(roadmap: Roadmap, phases: Sequence[Phase]) -> Phase | None:
    """The planned phase that could be started: every phase before it is closed."""
    if roadmap.state in (Roadmap.State.STOPPED, Roadmap.State.LIVE):
        return None
    for phase in phases:
        if phase.state == Phase.State.PLANNED:
            return phase
        if phase.state == Phase.State.ACTIVE:
            return None
    return None


def _gate_line(phase: Phase, gate: Gate, decisions: Mapping[int, GateDecision], today: date) -> GateLine:
    decision = decisions.get(gate.pk)
    tone, word = gate_word(phase, gate, decision, today)
    return GateLine(gate, phase, tone, word, decision)


def _lane(
    phase: Phase,
    gate: Gate | None,
    decisions: Mapping[int, GateDecision],
    marks: Sequence[MilestoneMark],
    today: date,
) -> Lane:
    start = phase.started_on or phase.planned_start_on
    last = phase.ended_on or max(phase.planned_end_on, start)
    if phase.state == Phase.State.ACTIVE:
        # A phase that runs past its planned end runs until today at least.
        last = max(last, today)
    decision = decisions.get(gate.pk) if gate else None
    is_stopped = phase.state == Phase.State.CLOSED and decision is not None and decision.outcome == "stop"
    span = PhaseSpan(
        name=phase.get_kind_display(),
        state="stopped" if is_stopped else phase.state,  # type: ignore[arg-type]
        start=start,
        end=last + DAY,
        promised_start=phase.baseline_start_on,
        promised_end=phase.baseline_end_on + DAY,
        note=_note(phase, decision, start, today),
    )
    return Lane(span, _gate_mark(phase, gate, decision, today), marks)


def _note(phase: Phase, decision: GateDecision | None, start: date, today: date) -> str:
    if phase.state == Phase.State.CLOSED:
        text = gettext("closed %(day)s") % {"day": wording.day(phase.ended_on)}
        return f"{text}, {decision.get_outcome_display().lower()}" if decision else text
    if phase.state == Phase.State.ACTIVE and start <= today:
        number, planned = (today - start).days + 1, (phase.planned_end_on - start).days + 1
        return (
            gettext("day %(number)s of %(planned)s") % {"number": number, "planned": planned}
            if number <= planned
            else gettext("day %(number)s, %(planned)s were planned") % {"number": number, "planned": planned}
        )
    if phase.state == Phase.State.ACTIVE:
        return gettext("starts %(day)s") % {"day": wording.day(start)}
    return gettext("planned")


def _gate_mark(phase: Phase, gate: Gate | None, decision: GateDecision | None, today: date) -> GateMark | None:
    if gate is None:
        return None
    name, url = gettext("%(kind)s gate") % {"kind": phase.get_kind_display()}, gate.get_absolute_url()
    if phase.state == Phase.State.CLOSED and decision is not None:
        name = f"{name}: {decision.get_outcome_display().lower()}"
        return GateMark(decision.decided_on, GATE_MARKS[decision.outcome], name, url)
    if phase.state == Phase.State.ACTIVE and gate.due_on < today:
        return GateMark(gate.due_on, "late", gettext("%(name)s, overdue") % {"name": name}, url)
    if decision is not None and decision.outcome == GateDecision.Outcome.HOLD:
        return GateMark(
            gate.due_on,
            "held",
            gettext("%(name)s, put on hold %(decided_on)s")
            % {"name": name, "decided_on": wording.day(decision.decided_on)},
            url,
        )
    return GateMark(gate.due_on, "open", name, url)


def _mark(milestone: Milestone, today: date, *, waits_for: Collection[int], can_manage: bool) -> MilestoneMark:
    shared: dict[str, Any] = {
        "name": milestone.name,
        "promised": milestone.baseline_due_on,
        "id": milestone.pk,
        "waits_for": sorted(waits_for),
    }
    if milestone.state == Milestone.State.DONE:
        return MilestoneMark(milestone.done_on or milestone.due_on, "done", **shared)
    if can_manage:
        shared |= {"url": reverse("milestone_date", args=[milestone.pk]), "action": gettext("Move")}
    return MilestoneMark(milestone.due_on, "late" if milestone.due_on < today else "open", **shared)


def _milestone_lines(
    phases: Sequence[Phase], milestones: Sequence[Milestone], waits_for: Mapping[int, Collection[int]], today: date
) -> list[MilestoneLine]:
    by_phase, names = {phase.pk: phase for phase in phases}, {item.pk: item.name for item in milestones}
    lines = []
    for item in milestones:
        if item.state == Milestone.State.DROPPED:
            continue
        waits = ", ".join(names[pk] for pk in sorted(waits_for.get(item.pk, ())))
        if item.state == Milestone.State.DONE:
            tone, word = "green", gettext("Done")
        else:
            late = (today - item.due_on).days
            tone, word = ("red", wording.days_late(late)) if late > 0 else ("none", gettext("Open"))
        lines.append(MilestoneLine(item, by_phase[item.phase_id], tone, word, waits))
    return sorted(lines, key=lambda line: (line.phase.position, line.milestone.due_on, line.milestone.pk))


def _axis(lanes: Sequence[Lane], today: date) -> Axis:
    days = [today]
    for lane in lanes:
        days += [lane.phase.start, lane.phase.end]
        days += [day for day in (lane.phase.promised_start, lane.phase.promised_end) if day]
        days += [mark.day for mark in lane.milestones] + ([lane.gate.day] if lane.gate else [])
    return Axis.of_months(days)


def _label(roadmap: Roadmap, phases: Sequence[Phase]) -> str:
    """What the timeline shows, in words."""
    parts = []
    for phase in phases:
        name = phase.get_kind_display()
        if phase.state == Phase.State.CLOSED:
            parts.append(
                gettext("%(name)s closed %(ended_on)s") % {"name": name, "ended_on": wording.day(phase.ended_on)}
            )
        elif phase.state == Phase.State.ACTIVE:
            parts.append(
                gettext("%(name)s runs, planned to end %(day)s")
                % {"name": name, "day": wording.day(phase.planned_end_on)}
            )
        else:
            parts.append(
                gettext("%(name)s planned from %(day)s") % {"name": name, "day": wording.day(phase.planned_start_on)}
            )
    return gettext("Timeline of %(name)s: %(parts)s") % {"name": roadmap.name, "parts": "; ".join(parts)}
