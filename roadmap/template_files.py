"""Templates as YAML: read strictly, every unknown entry named; written back the same. And those that come with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from metrics.errors import RuleViolation
from roadmap.template import (
    CHECKLIST_CATEGORIES,
    DATA_CLASSES,
    FORMAT,
    MAX_BYTES,
    MAX_ITEMS,
    PHASE_KINDS,
    RISK_CATEGORIES,
    RISK_CLASSES,
    UNITS,
    ChecklistTemplate,
    CriterionTemplate,
    KpiTemplate,
    MilestoneTemplate,
    PhaseTemplate,
    RiskTemplate,
    Template,
    check_template,
)

FOLDER = Path(__file__).parent / "roadmap_templates"


class _Document:
    """One mapping of the YAML: every entry is asked for, and what is left over is refused by name."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise RuleViolation("template_unreadable", f"{where} has to be a mapping of names and values.", "file")
        self.where = where
        self.left = {str(name): item for name, item in value.items()}

    def has(self, name: str) -> bool:
        return self.left.get(name) is not None

    def text(self, name: str, *, most: int = 200, default: str | None = None) -> str:
        value = self.left.pop(name, None)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) or not str(value).strip():
            raise RuleViolation("template_incomplete", f"{self.where} is incomplete: '{name}' is missing.", "file")
        text = str(value).strip()
        if len(text) > most or "\0" in text:
            raise RuleViolation("template_too_long", f"{self.where}: '{name}' has at most {most} characters.", "file")
        return text

    def choice(self, name: str, allowed: Sequence[str], *, default: str | None = None) -> str:
        value = self.text(name, default=default)
        if value not in allowed and value != default:
            raise RuleViolation(
                "template_choice", f"{self.where}: '{name}' is one of {', '.join(allowed)}, not '{value}'.", "file"
            )
        return value

    def number(self, name: str, *, default: Decimal | None = None, least: int | None = None, most: int) -> Decimal:
        value = self.left.pop(name, default)
        try:
            number = Decimal(str(value)) if not isinstance(value, bool) else None
        except ArithmeticError:
            number = None
        if number is None or not number.is_finite() or not (-most if least is None else least) <= number <= most:
            limits = f"a number up to {most:,}" if least is None else f"a number from {least} to {most:,}"
            raise RuleViolation("template_number", f"{self.where}: '{name}' has to be {limits}.", "file")
        return number

    def whole(self, name: str, *, least: int, most: int, default: int | None = None) -> int:
        given = None if default is None else Decimal(default)
        number = self.number(name, default=given, least=least, most=most)
        if number != int(number):
            raise RuleViolation("template_number", f"{self.where}: '{name}' has to be a whole number.", "file")
        return int(number)

    def truth(self, name: str, *, default: bool) -> bool:
        value = self.left.pop(name, default)
        if not isinstance(value, bool):
            raise RuleViolation("template_choice", f"{self.where}: '{name}' is true or false.", "file")
        return value

    def rows(self, name: str) -> list[Any]:
        value = self.left.pop(name, None)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise RuleViolation(
                "template_list", f"{self.where}: '{name}' has to be a list of at most {MAX_ITEMS}.", "file"
            )
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in self.rows(name))

    def end(self) -> None:
        """Refuses entries that nobody asked for."""
        if self.left:
            names = ", ".join(f"'{name[:40]}'" for name in sorted(self.left))
            raise RuleViolation("template_unknown_entry", f"{self.where} has an unknown entry: {names}.", "file")


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases: a few lines of them could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("references (*name) are not read")
        return super().compose_node(parent, index)


def read_template(text: str, *, slug: str, base: Callable[[str], Template] | None = None) -> Template:
    """The template in a YAML text. A RuleViolation says what is wrong with it.

    `base` finds what `extends` names; without it a template has to stand by itself.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise RuleViolation("template_too_large", f"A template has at most {MAX_BYTES // 1024} KiB.", "file")
    try:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RuleViolation("template_unreadable", f"This is not YAML: {error}", "file") from error
    document = _Document(loaded, "The template")
    version = document.left.pop("format", None)
    if isinstance(version, int) and version > FORMAT:
        raise RuleViolation(
            "template_newer",
            f"This template has format {version}, of a newer Phaseline; this one reads formats up to {FORMAT}. "
            "Upgrade this Phaseline, or export the template from one of this version.",
            "file",
        )
    if version not in range(1, FORMAT + 1) or isinstance(version, bool):
        raise RuleViolation(
            "template_format", f"A template says 'format: {FORMAT}' (1 to {FORMAT} are read), not {version!r}.", "file"
        )
    held = base(document.text("extends")) if base and document.has("extends") else None
    template = _template(document, slug, held)
    check_template(template)
    return template


def _template(document: _Document, slug: str, held: Template | None) -> Template:
    phases = {part.kind: part for part in held.phases} if held else {}
    order: list[str] = list(phases)
    for index, row in enumerate(document.rows("phases")):
        entry = _Document(row, f"Phase {index + 1}")
        kind = entry.choice("kind", PHASE_KINDS)
        if kind not in phases:
            order.append(kind)
        elif held is None:
            raise RuleViolation("template_phases", f"The phase {kind} stands twice.", "file")
        phases[kind] = _phase(entry, kind, phases.get(kind) if held else None)
    risks = {risk.name: risk for risk in held.risks} if held else {}
    for name in document.texts("without_risks") if held else ():
        risks.pop(name)
    for index, row in enumerate(document.rows("risks")):
        risk = _risk(_Document(row, f"Risk {index + 1}"))
        risks[risk.name] = risk
    made = Template(
        slug=slug,
        name=document.text("name", most=120),
        summary=document.text("summary", most=1000, default=""),
        phases=tuple(phases[kind] for kind in order),
        risks=tuple(risks.values()),
        industry=document.text("industry", most=60, default=held.industry if held else ""),
        use_case=document.text("use_case", most=80, default=""),
        unit_of_work=document.choice("unit_of_work", UNITS, default=held.unit_of_work if held else ""),
        risk_class=document.choice("risk_class", RISK_CLASSES, default=held.risk_class if held else ""),
        data_class=document.choice("data_class", DATA_CLASSES, default=held.data_class if held else ""),
    )
    document.end()
    return made


def _phase(entry: _Document, kind: str, held: PhaseTemplate | None) -> PhaseTemplate:
    title = f"Phase {kind}"
    months = entry.whole("months", least=1, most=60, default=held.months if held else None)
    without = set(entry.texts("without")) if held else set()
    parts: dict[str, tuple[Any, ...]] = {}
    for name, read in (("milestones", _milestone), ("checklist", _item), ("kpis", _kpi), ("criteria", _criterion)):
        rows = {_key(row): row for row in getattr(held, name) if _key(row) not in without} if held else {}
        added: dict[str, Any] = {}
        for index, row in enumerate(entry.rows(name)):
            item = read(_Document(row, f"{title}, {name} {index + 1}"))
            if _key(item) in added:
                raise RuleViolation("template_keys", f"In phase {kind} a key stands twice: '{_key(item)}'.", "file")
            added[_key(item)] = item
        rows |= added
        parts[name] = tuple(rows.values())
    parts["milestones"] = tuple(sorted(parts["milestones"], key=lambda item: item.at))
    entry.end()
    return PhaseTemplate(kind=kind, months=months, **parts)


def _key(row: Any) -> str:
    return str(row.subject if isinstance(row, CriterionTemplate) else row.key)


def _milestone(entry: _Document) -> MilestoneTemplate:
    made = MilestoneTemplate(
        key=entry.text("key", most=60),
        name=entry.text("name"),
        at=entry.number("at", least=0, most=1),
        after=entry.texts("after"),
    )
    entry.end()
    return made


def _item(entry: _Document) -> ChecklistTemplate:
    made = ChecklistTemplate(
        key=entry.text("key", most=60),
        category=entry.choice("category", CHECKLIST_CATEGORIES),
        name=entry.text("name"),
    )
    entry.end()
    return made


def _kpi(entry: _Document) -> KpiTemplate:
    window = entry.left.pop("window_days", 28)
    if window is not None:
        entry.left["window_days"] = window
        window = entry.whole("window_days", least=1, most=1830)
    made = KpiTemplate(
        key=entry.text("key", most=60),
        name=entry.text("name", most=120),
        unit=entry.text("unit", most=40, default=""),
        direction=entry.choice("direction", ("higher", "lower"), default=""),
        measure=entry.text("measure", most=60, default=""),
        formula=entry.text("formula", most=300, default=""),
        window_days=window,
        combine=entry.choice("combine", ("last", "mean", "sum"), default="last"),
        minimum_sample=entry.whole("minimum_sample", least=0, most=10**9, default=0),
        example=entry.number("example", most=10**15) if entry.has("example") else None,
        is_value=entry.truth("is_value", default=False),
        units=entry.texts("units"),
    )
    entry.left.pop("example", None)
    entry.end()
    return made


def _criterion(entry: _Document) -> CriterionTemplate:
    made = CriterionTemplate(
        subject=entry.text("subject", most=60),
        needs=entry.choice("needs", ("on_target", "measured"), default="on_target"),
        is_must=entry.truth("is_must", default=True),
    )
    entry.end()
    return made


def _risk(entry: _Document) -> RiskTemplate:
    made = RiskTemplate(
        name=entry.text("name"),
        category=entry.choice("category", RISK_CATEGORIES),
        likelihood=entry.whole("likelihood", least=1, most=5),
        impact=entry.whole("impact", least=1, most=5),
        response=entry.text("response", most=1000, default=""),
    )
    entry.end()
    return made


@cache
def shipped() -> dict[str, Template]:
    """Every template that comes with the product, by its file's name; read once."""
    found: dict[str, Template] = {}

    def load(slug: str) -> Template:
        if slug not in found:
            text = (FOLDER / f"{slug}.yaml").read_text("utf-8")
            found[slug] = read_template(text, slug=slug, base=load)
        return found[slug]

    for path in sorted(FOLDER.glob("*.yaml")):
        load(path.stem)
    return found


def load_templates() -> Sequence[Template]:
    """Every template that comes with the product: the general one first, then by industry and use case."""
    ordered = sorted(shipped().values(), key=lambda item: (item.industry, bool(item.use_case), item.name))
    return tuple(ordered)


def find_template(slug: str) -> Template:
    """The template of this name; a RuleViolation where there is none."""
    found = shipped().get(slug)
    if found is None:
        raise RuleViolation("unknown_template", "There is no such template.", "template")
    return found


def write_template(template: Template) -> str:
    """The template as YAML that `read_template` reads back to the same."""
    document: dict[str, Any] = {"format": FORMAT, "name": template.name}
    for name in ("summary", "industry", "use_case", "unit_of_work", "risk_class", "data_class"):
        if value := getattr(template, name):
            document[name] = str(value)
    document["phases"] = [
        {
            "kind": str(phase.kind),
            "months": phase.months,
            **{
                name: [_plain(row) for row in getattr(phase, name)]
                for name in ("milestones", "checklist", "kpis", "criteria")
                if getattr(phase, name)
            },
        }
        for phase in template.phases
    ]
    document["risks"] = [_plain(row) for row in template.risks]
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _plain(row: Any) -> dict[str, Any]:
    """What differs from the entry's defaults; figures as numbers where they are whole, else as texts."""
    found: dict[str, Any] = {}
    for item in fields(row):
        value = getattr(row, item.name)
        if item.default is not MISSING and value == item.default:
            continue
        if isinstance(value, str):
            # A choice of a model is a text of its own kind, which YAML does not know.
            value = str(value)
        if isinstance(value, Decimal):
            value = int(value) if value == value.to_integral_value() else f"{value.normalize():f}"
        found[item.name] = list(value) if isinstance(value, tuple) else value
    return found
