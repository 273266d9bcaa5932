"""What a roadmap template is. Knows no database and no clock.

A template that comes with the product may start with `extends: <another>`: it then has what that one has, with items
of the same key replaced, others added, and those in `without` left out. An imported one stands by itself.

A template's dates are shares of its phase (0 its first day, 1 its last), so that milestones stretch with the phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from metrics.errors import RuleViolation
from roadmap.kpis import BY_NAME
from roadmap.rules.formulas import check_formulas, read_formula
from roadmap.rules.schedule import ring_through

# Goes up when a template of this version could not be read by the code before it. 2: industry and use case, what a
# milestone waits for, example targets.
FORMAT = 2
# A template larger than this is none; a plan of a hundred milestones a phase has a fifth of it.
MAX_BYTES = 256 * 1024
MAX_ITEMS = 200
PHASE_KINDS = ("poc", "scale_up", "optimise")
UNITS = ("token", "request", "image", "audio_second", "video_second", "job")
RISK_CLASSES = ("minimal", "limited", "high")
DATA_CLASSES = ("public", "internal", "confidential", "personal")
CHECKLIST_CATEGORIES = ("data", "guardrails", "privacy", "monitoring", "portability")
RISK_CATEGORIES = ("supply", "lock_in", "safety", "privacy", "quality", "adoption")


@dataclass(frozen=True, slots=True)
class MilestoneTemplate:
    """`at`: share of the phase at which it is due. `after`: keys of what it waits for, `poc.key` of another phase."""

    key: str
    name: str
    at: Decimal
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChecklistTemplate:
    """An item to tick."""

    key: str
    category: str
    name: str


@dataclass(frozen=True, slots=True)
class KpiTemplate:
    """A KPI that is read, with unit and direction; or a computed one, which takes both from its `measure`.

    `formula`: over keys of KPIs of the same phase (roadmap.rules.formulas). `units`: the units of work it is for, empty
    for all. `example`: a target that others took, for orientation: a roadmap gets it only where the person who makes it
    says so. No target is invented.
    """

    key: str
    name: str
    unit: str = ""
    direction: str = ""
    measure: str = ""
    formula: str = ""
    window_days: int | None = 28
    combine: str = "last"
    minimum_sample: int = 0
    example: Decimal | None = None
    is_value: bool = False
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CriterionTemplate:
    """What the gate asks for: the key of a milestone, checklist item or KPI of the same phase."""

    subject: str
    needs: str = "on_target"
    is_must: bool = True


@dataclass(frozen=True, slots=True)
class PhaseTemplate:
    """One phase: its length in months and what it starts with."""

    kind: str
    months: int
    milestones: tuple[MilestoneTemplate, ...]
    checklist: tuple[ChecklistTemplate, ...]
    kpis: tuple[KpiTemplate, ...]
    criteria: tuple[CriterionTemplate, ...]


@dataclass(frozen=True, slots=True)
class RiskTemplate:
    """A risk as a start."""

    name: str
    category: str
    likelihood: int
    impact: int
    response: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """Three phases in a row and the risks to begin with.

    `unit_of_work`, `risk_class`, `data_class`: what such a use case usually has, offered, not imposed.
    """

    slug: str
    name: str
    summary: str
    phases: tuple[PhaseTemplate, ...]
    risks: tuple[RiskTemplate, ...]
    industry: str = ""
    use_case: str = ""
    unit_of_work: str = ""
    risk_class: str = ""
    data_class: str = ""
    is_own: bool = False

    @property
    def months(self) -> tuple[int, ...]:
        return tuple(phase.months for phase in self.phases)


def check_template(template: Template) -> None:
    """Refuses a template whose parts do not fit together."""
    if tuple(phase.kind for phase in template.phases) != PHASE_KINDS:
        raise RuleViolation(
            "template_phases", f"A template has the phases {', '.join(PHASE_KINDS)}, in this order.", "file"
        )
    known = {f"{phase.kind}.{item.key}" for phase in template.phases for item in phase.milestones}
    for phase in template.phases:
        subjects = [item.key for item in phase.milestones]
        subjects += [item.key for item in phase.checklist]
        subjects += [item.key for item in phase.kpis]
        if len(subjects) != len(set(subjects)):
            raise RuleViolation("template_keys", f"In phase {phase.kind} a key stands twice.", "file")
        for criterion in phase.criteria:
            if criterion.subject not in subjects:
                raise RuleViolation(
                    "template_criteria",
                    f"The gate of {phase.kind} asks for '{criterion.subject}', which is not there.",
                    "file",
                )
        for item in phase.milestones:
            for before in item.after:
                if full_key(phase.kind, before) not in known:
                    raise RuleViolation(
                        "template_after", f"'{item.name}' waits for '{before}', which is not there.", "file"
                    )
        if bare := [kpi.name for kpi in phase.kpis if not kpi.measure and not kpi.direction]:
            raise RuleViolation(
                "template_kpis", f"Phase {phase.kind}: '{bare[0]}' needs a measure or a direction.", "file"
            )
        formulas = {kpi.key: read_formula(kpi.formula) for kpi in phase.kpis if kpi.formula}
        check_formulas(formulas, keys=[kpi.key for kpi in phase.kpis], no_divisors={})
        if twice := [kpi.name for kpi in phase.kpis if kpi.formula and kpi.measure]:
            raise RuleViolation(
                "template_kpis", f"Phase {phase.kind}: '{twice[0]}' has a measure and a formula; it takes one.", "file"
            )
        if strange := [kpi.measure for kpi in phase.kpis if kpi.measure and kpi.measure not in BY_NAME]:
            raise RuleViolation("template_kpis", f"Phase {phase.kind}: there is no measure '{strange[0]}'.", "file")
        if sum(1 for kpi in phase.kpis if kpi.is_value) > 1:
            raise RuleViolation("template_value_kpi", f"Phase {phase.kind} has more than one value KPI.", "file")
        names = [kpi.name for kpi in phase.kpis if not kpi.units]
        if twice := [name for name in names if names.count(name) > 1]:
            raise RuleViolation("template_keys", f"Phase {phase.kind} has two KPIs named '{twice[0]}'.", "file")
    waits = {
        f"{phase.kind}.{item.key}": {full_key(phase.kind, before) for before in item.after}
        for phase in template.phases
        for item in phase.milestones
    }
    numbers = {key: number for number, key in enumerate(waits)}
    by_number = {numbers[key]: {numbers[before] for before in befores} for key, befores in waits.items()}
    for key, number in numbers.items():
        if ring_through(number, by_number):
            raise RuleViolation("template_ring", f"The milestone '{key}' waits for itself, directly or not.", "file")


def full_key(kind: str, key: str) -> str:
    """`poc.key` of a key as it stands in a phase."""
    return key if "." in key else f"{kind}.{key}"
