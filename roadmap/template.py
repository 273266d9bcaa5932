"""What a roadmap template is, and how it is read from YAML. Knows no database and no clock.

A template's dates are shares of its phase (0 its first day, 1 its last), so that milestones stretch with the phase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from metrics.errors import RuleViolation

# Goes up when a template of this version could not be read by the code before it.
FORMAT = 1
PHASE_KINDS = ("poc", "scale_up", "optimise")
FOLDER = Path(__file__).parent / "roadmap_templates"


@dataclass(frozen=True, slots=True)
class MilestoneTemplate:
    """`at`: share of the phase at which it is due."""

    key: str
    name: str
    at: Decimal


@dataclass(frozen=True, slots=True)
class ChecklistTemplate:
    """An item to tick."""

    key: str
    category: str
    name: str


@dataclass(frozen=True, slots=True)
class KpiTemplate:
    """A KPI that is read, with unit and direction; or a computed one, which takes both from its `measure`.

    `units`: the units of work it is for, empty for all. No target is invented.
    """

    key: str
    name: str
    unit: str = ""
    direction: str = ""
    measure: str = ""
    window_days: int | None = 28
    combine: str = "last"
    minimum_sample: int = 0
    target: Decimal | None = None
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
    """Three phases in a row and the risks to begin with."""

    slug: str
    name: str
    summary: str
    phases: tuple[PhaseTemplate, ...]
    risks: tuple[RiskTemplate, ...]

    @property
    def months(self) -> tuple[int, ...]:
        return tuple(phase.months for phase in self.phases)


def read_template(text: str, *, slug: str) -> Template:
    """The template in a YAML text. A RuleViolation says what is wrong with it."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleViolation("template_unreadable", f"This is not YAML: {error}") from error
    if not isinstance(document, Mapping):
        raise RuleViolation("template_unreadable", "A template is a YAML mapping with name, phases and risks.")
    version = document.get("format")
    if version != FORMAT:
        raise RuleViolation(
            "template_format", f"This template has format {version!r}; this version of Phaseline reads format {FORMAT}."
        )
    try:
        template = Template(
            slug=slug,
            name=str(document["name"]),
            summary=str(document.get("summary", "")),
            phases=tuple(_phase(row) for row in document["phases"]),
            risks=tuple(RiskTemplate(**row) for row in document.get("risks", [])),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise RuleViolation(
            "template_unreadable", f"The template is incomplete or has an unknown entry: {error}"
        ) from error
    check_template(template)
    return template


def _phase(row: Mapping[str, Any]) -> PhaseTemplate:
    return PhaseTemplate(
        kind=str(row["kind"]),
        months=int(row["months"]),
        milestones=tuple(
            MilestoneTemplate(key=str(item["key"]), name=str(item["name"]), at=Decimal(str(item["at"])))
            for item in row.get("milestones", [])
        ),
        checklist=tuple(ChecklistTemplate(**item) for item in row.get("checklist", [])),
        kpis=tuple(_kpi(item) for item in row.get("kpis", [])),
        criteria=tuple(CriterionTemplate(**item) for item in row.get("criteria", [])),
    )


def _kpi(item: Mapping[str, Any]) -> KpiTemplate:
    fields = dict(item)
    fields["units"] = tuple(fields.get("units", ()))
    if fields.get("target") is not None:
        fields["target"] = Decimal(str(fields["target"]))
    return KpiTemplate(**fields)


def check_template(template: Template) -> None:
    """Refuses a template whose parts do not fit together."""
    if tuple(phase.kind for phase in template.phases) != PHASE_KINDS:
        raise RuleViolation("template_phases", f"A template has the phases {', '.join(PHASE_KINDS)}, in this order.")
    for phase in template.phases:
        subjects = [item.key for item in phase.milestones]
        subjects += [item.key for item in phase.checklist]
        subjects += [item.key for item in phase.kpis]
        if len(subjects) != len(set(subjects)):
            raise RuleViolation("template_keys", f"In phase {phase.kind} a key stands twice.")
        for criterion in phase.criteria:
            if criterion.subject not in subjects:
                raise RuleViolation(
                    "template_criteria", f"The gate of {phase.kind} asks for '{criterion.subject}', which is not there."
                )
        if any(not 0 <= item.at <= 1 for item in phase.milestones):
            raise RuleViolation("template_dates", f"In phase {phase.kind} a milestone lies outside the phase (0 to 1).")
        if bare := [kpi.name for kpi in phase.kpis if not kpi.measure and not kpi.direction]:
            raise RuleViolation("template_kpis", f"Phase {phase.kind}: '{bare[0]}' needs a measure or a direction.")
        if sum(1 for kpi in phase.kpis if kpi.is_value) > 1:
            raise RuleViolation("template_value_kpi", f"Phase {phase.kind} has more than one value KPI.")


def load_templates(folder: Path = FOLDER) -> Sequence[Template]:
    """Every template that comes with the product, in the order of their file names."""
    return tuple(read_template(path.read_text("utf-8"), slug=path.stem) for path in sorted(folder.glob("*.yaml")))


def find_template(slug: str) -> Template:
    """The template of this name; a RuleViolation where there is none."""
    for template in load_templates():
        if template.slug == slug:
            return template
    raise RuleViolation("unknown_template", "There is no such template.", "template")
