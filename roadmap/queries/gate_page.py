"""A gate's page: its criteria as they stand, what was decided on which evidence, and the gates before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from metrics import series
from metrics.figures import SourceFreshness
from roadmap.kpi import KpiValue
from roadmap.models import Gate, GateDecision, Phase, Roadmap
from roadmap.queries.gate_state import CriterionState, criteria_of, is_intact, standings_of
from roadmap.queries.phase_plan import Rights, gate_word, rights_of, text_of
from roadmap.queries.since_then import SinceThen, since_then
from roadmap.rules.gates import met_count, unmet_musts
from web import wording

OUTCOME_TONES = {"go": "green", "conditional": "amber", "hold": "amber", "stop": "red"}
RESULT_WORDS = {
    "met": ("green", gettext_lazy("Met")),
    "not_met": ("red", gettext_lazy("Not met")),
    "no_data": ("off", gettext_lazy("No data")),
}


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """A criterion in words, live or frozen."""

    id: int | None
    name: str
    about: str
    is_must: bool
    tone: str
    word: str
    note: str
    now: str
    target: str
    window: str
    sample: str
    definition: str = ""


@dataclass(frozen=True, slots=True)
class DecisionCard:
    """A decision with its evidence; `is_intact` None where it was recorded later, without any."""

    decision: GateDecision
    tone: str
    is_intact: bool | None
    rows: Sequence[CriterionRow]
    met: int
    conditions: Sequence[Mapping[str, Any]]
    sources: Sequence[Mapping[str, Any]]

    @property
    def by(self) -> str:
        return self.decision.decided_by_name or gettext("not recorded")


@dataclass(frozen=True, slots=True)
class GatePage:
    """Everything of a gate's page."""

    gate: Gate
    phase: Phase
    following: Phase | None
    roadmap: Roadmap
    rights: Rights
    today: date
    tone: str
    word: str
    is_open: bool
    rows: Sequence[CriterionRow]
    met: int
    total: int
    unmet: Sequence[str]
    decisions: Sequence[DecisionCard]
    # What the decision that closed the phase rests on, from today's ledger; empty while it is open.
    since: Sequence[SinceThen]
    sources: Sequence[SourceFreshness]
    earlier: Sequence[DecisionCard]

    @property
    def frozen(self) -> DecisionCard | None:
        """The decision that closed the phase, where it has evidence."""
        return self.decisions[0] if not self.is_open and self.decisions and self.decisions[0].rows else None

    @property
    def is_recorded_later(self) -> bool:
        return bool(self.decisions and self.decisions[0].decision.is_recorded_later)

    @property
    def can_be_undone(self) -> bool:
        """The last decision closed the phase, was measured, and nothing after it has been decided."""
        return (
            self.phase.state == Phase.State.CLOSED
            and bool(self.decisions)
            and not self.is_recorded_later
            and (self.following is None or self.following.state != Phase.State.CLOSED)
        )

    @property
    def changed(self) -> int:
        """How many figures are others than they were."""
        return sum(1 for row in self.since if row.is_changed)

    @property
    def phase_url(self) -> str:
        return f"{self.roadmap.get_absolute_url()}{self.phase.kind}/"

    @property
    def can_prepare(self) -> bool:
        """Criteria, date and gatekeeper can be changed until the phase is closed."""
        return self.rights.can_manage and self.phase.state != Phase.State.CLOSED


def gate_page(asker: Asker, gate: Gate, *, values: Mapping[int, KpiValue], today: date) -> GatePage:
    """The page of a gate of a roadmap that the asker may see."""
    phase, roadmap = gate.phase, gate.phase.roadmap
    criteria = criteria_of([gate], values={phase.pk: values}, today=today)[gate.pk]
    met, total = met_count(standings_of(criteria))
    decisions = list(
        GateDecision.objects.filter(gate__phase__roadmap=roadmap, gate__phase__position__lte=phase.position)
        .select_related("gate__phase__roadmap", "decided_by", "undoes", "undone_by")
        .order_by("-recorded_at", "-pk")
    )
    own = [item for item in decisions if item.gate_id == gate.pk]
    tone, word = gate_word(phase, gate, own[0] if own else None, today)
    return GatePage(
        gate=gate,
        phase=phase,
        following=Phase.objects.filter(roadmap=roadmap, position=phase.position + 1).first(),
        roadmap=roadmap,
        rights=rights_of(asker, roadmap),
        today=today,
        tone=tone,
        word=str(word),
        is_open=phase.state == Phase.State.ACTIVE,
        rows=sorted((_live_row(item) for item in criteria), key=lambda row: row.tone == "green"),
        met=met,
        total=total,
        unmet=unmet_musts(standings_of(criteria)),
        decisions=[_card(item) for item in own],
        since=since_then(own[0]) if own and phase.state == Phase.State.CLOSED else [],
        sources=series.freshness([roadmap.workload_id]),
        earlier=[_card(item) for item in decisions if item.gate_id != gate.pk],
    )


def _live_row(item: CriterionState) -> CriterionRow:
    if item.kind == "kpi":
        value = item.value
        return CriterionRow(
            id=item.id,
            name=item.name,
            about=f"KPI, {item.unit}" if item.unit else "KPI",
            is_must=item.is_must,
            tone=item.tone,
            word=item.word,
            note=item.note,
            now=text_of(value) if value and value.value is not None else str(wording.NO_DATA),
            target=_target_text(item.needs, item.direction, item.target),
            window=wording.days(value.start_on, item.last_on) if value and value.start_on and item.last_on else "",
            sample=_sample_text(value.sample if value else None, item.minimum_sample),
            definition=item.definition,
        )
    return CriterionRow(
        id=item.id,
        name=item.name,
        about=_kind_text(item.kind),
        is_must=item.is_must,
        tone=item.tone,
        word=item.word,
        note=item.note,
        now=wording.day(item.done_on) if item.done_on else gettext("Open"),
        target=gettext("by %(day)s") % {"day": wording.day(item.due_on)} if item.due_on else gettext("by the gate"),
        window="",
        sample="",
    )


def _kind_text(kind: str) -> str:
    known = {"milestone": gettext("Milestone"), "checklist": gettext("Checklist")}
    return known.get(kind, kind.capitalize())


def _target_text(needs: str, direction: str, target: Any) -> str:
    if needs == "measured":
        return gettext("measured")
    if target is None:
        return gettext("no target")
    return f"{'≥' if direction == 'higher' else '≤'} {wording.number(wording.exact(target))}"


def _sample_text(sample: int | None, minimum: int) -> str:
    if sample is None:
        return gettext("at least %(minimum)s") % {"minimum": wording.count(minimum)} if minimum else ""
    return (
        gettext("%(sample)s of at least %(minimum)s")
        % {"sample": wording.count(sample), "minimum": wording.count(minimum)}
        if minimum
        else wording.count(sample)
    )


def _card(decision: GateDecision) -> DecisionCard:
    evidence: Mapping[str, Any] = decision.evidence or {}
    rows = [_frozen_row(item) for item in evidence.get("criteria", [])]
    return DecisionCard(
        decision=decision,
        tone=OUTCOME_TONES[decision.outcome],
        is_intact=is_intact(decision),
        rows=rows,
        met=sum(1 for row in rows if row.tone == "green"),
        conditions=[
            {**item, "due_on": date.fromisoformat(item["due_on"])}
            for item in evidence.get("decision", {}).get("conditions", [])
        ],
        sources=[
            {**item, "data_until": datetime.fromisoformat(item["data_until"]) if item["data_until"] else None}
            for item in evidence.get("sources", [])
        ],
    )


def _frozen_row(item: Mapping[str, Any]) -> CriterionRow:
    """A criterion from the evidence alone: nothing of today comes in."""
    tone, word = RESULT_WORDS[item["result"]]
    if item["kind"] == "kpi":
        low, high, value = item.get("low"), item.get("high"), item.get("value")
        if value is None:
            now = str(wording.NO_DATA)
        elif low is not None and high is not None and low != high:
            now = gettext("%(low)s to %(high)s") % {
                "low": wording.number(wording.exact(low)),
                "high": wording.number(wording.exact(high)),
            }
        else:
            now = wording.number(wording.exact(value))
        window = item.get("window") or {}
        return CriterionRow(
            id=None,
            name=item["name"],
            about=f"KPI, {item['unit']}" if item.get("unit") else "KPI",
            is_must=item["must"],
            tone=tone,
            word=str(word),
            note=item["note"],
            now=now,
            target=_target_text(item["needs"], item["direction"], item.get("target")),
            window=_frozen_window(window),
            sample=_sample_text(item.get("sample"), item.get("minimum_sample", 0)),
            definition=item.get("definition", ""),
        )
    done_on, due_on = item.get("done_on"), item.get("due_on")
    return CriterionRow(
        id=None,
        name=item["name"],
        about=_kind_text(item["kind"]),
        is_must=item["must"],
        tone=tone,
        word=str(word),
        note=item["note"],
        now=wording.day(date.fromisoformat(done_on)) if done_on else gettext("Open"),
        target=gettext("by %(day)s") % {"day": wording.day(date.fromisoformat(due_on))}
        if due_on
        else gettext("by the gate"),
        window="",
        sample="",
        definition="; ".join(f"{file['name']}, SHA-256 {file['sha256'][:16]}…" for file in item.get("files", [])),
    )


def _frozen_window(window: Mapping[str, Any]) -> str:
    if not window.get("start_on") or not window.get("end_before"):
        return ""
    last = date.fromordinal(date.fromisoformat(window["end_before"]).toordinal() - 1)
    return wording.days(date.fromisoformat(window["start_on"]), last)
