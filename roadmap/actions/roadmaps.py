"""Making and changing a roadmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext

from accounts.access import Asker, can_make_roadmaps
from accounts.models import Membership, Role, User, Workload
from metrics.errors import RuleViolation
from roadmap.actions import plans
from roadmap.actions.changes import change, check, check_currency, record, require, text_required, today
from roadmap.models import CostEntry, Gate, GateDecision, Phase, Programme, Roadmap
from roadmap.queries.templates import template_named
from roadmap.rules.phases import DAY, Span, check_day, check_lengths, check_row, check_span, months_after, spans_from
from roadmap.template import PHASE_KINDS, Template

FIRST_SLUG = "my-first-roadmap"
# Addresses under /roadmaps/ that are pages of their own.
RESERVED_SLUGS = {"new", "first"}
STATE_CHANGES: Mapping[str, tuple[str, ...]] = {
    Roadmap.State.PROPOSED: (Roadmap.State.STOPPED,),
    Roadmap.State.ACTIVE: (Roadmap.State.PAUSED,),
    Roadmap.State.PAUSED: (Roadmap.State.ACTIVE,),
}
CHANGEABLE = frozenset(
    {
        "summary",
        "owner",
        "sponsor",
        "industry",
        "business_unit",
        "cost_centre",
        "risk_class",
        "data_class",
        "unit_of_work",
    }
)


@dataclass(frozen=True, slots=True)
class PassedPhase:
    """A phase that ended before the roadmap was entered, with its gate as far as it is known."""

    kind: str
    start_on: date
    end_on: date
    outcome: str = "go"
    decided_by_name: str = ""
    decided_on: date | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Middle:
    """A start in the middle of its life: the phase it is in, those before, and what was spent until now."""

    kind: str
    started_on: date
    passed: Sequence[PassedPhase] = ()
    planned_end_on: date | None = None
    opening_amount: Decimal | None = None


def make_roadmap(
    asker: Asker,
    *,
    name: str,
    owner: User,
    start_on: date | None = None,
    template: str | Template = "general",
    months: Sequence[int] | None = None,
    middle: Middle | None = None,
    slug: str = "",
    programme: str = "",
    currency: str = "",
    budgets: Mapping[str, Decimal | None] | None = None,
    example_targets: bool = False,
    is_demo: bool = False,
    **fields: Any,
) -> Roadmap:
    """A new roadmap with its workload, phases, milestones, checklists, KPIs, gates and risks from a template.

    Either from `start_on` (today where not given), or in the `middle`. `months` are the phases' lengths, the template's
    where not given; `budgets` amounts by phase kind in `currency`. `fields` are those of CHANGEABLE; where they leave
    out industry, unit of work, risk or data class, the template's is taken. With `example_targets` the KPIs begin with
    the template's examples as targets. The owner and the asker become managers. RuleViolation where the plan makes no
    sense.
    """
    if not can_make_roadmaps(asker):
        raise PermissionDenied(gettext("Only an admin, or who already manages a roadmap, may make another."))
    name = text_required(name, field="name", what=gettext("the roadmap a name"))
    plan = template if isinstance(template, Template) else template_named(template)
    lengths = tuple(months or plan.months)
    if len(lengths) != len(PHASE_KINDS):
        raise RuleViolation("phase_length", gettext("Give the length of each of the three phases."), "months")
    check_lengths(lengths)
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    for field in ("unit_of_work", "risk_class", "data_class", "industry"):
        if getattr(plan, field) and not fields.get(field):
            fields[field] = getattr(plan, field)
    spans = _middle_spans(middle, lengths) if middle else _fresh_spans(start_on or today(), lengths)
    currency = check_currency(currency or settings.REPORTING_CURRENCY)
    with transaction.atomic():
        roadmap = Roadmap(
            workload=_make_workload(name, slug, is_demo=is_demo),
            owner=owner,
            programme=_programme(programme, is_demo=is_demo),
            **fields,
        )
        check(roadmap)
        roadmap.state = _first_state(spans, middle)
        roadmap.save()
        phases = _make_phases(roadmap, spans, middle, currency, budgets or {})
        plans.lay_out(roadmap, phases, plan, current=middle.kind if middle else None, takes_examples=example_targets)
        if middle:
            _record_past(roadmap, phases, middle, currency, asker)
        for person in {owner.pk: owner, asker.user.pk: asker.user}.values():
            if person.is_admin and person.pk != owner.pk:
                continue
            Membership.objects.create(user=person, workload=roadmap.workload, role=Role.MANAGER)
        record(
            asker, "make_roadmap", roadmap, roadmap, None, {"slug": roadmap.slug, "template": plan.slug, "owner": owner}
        )
    return roadmap


def _first_state(spans: Sequence[Span], middle: Middle | None) -> str:
    return Roadmap.State.ACTIVE if middle or spans[0].start_on <= today() else Roadmap.State.PROPOSED


def _fresh_spans(start_on: date, lengths: Sequence[int]) -> list[Span]:
    check_day(start_on, field="start_on")
    return spans_from(start_on, lengths)


def _middle_spans(middle: Middle, lengths: Sequence[int]) -> list[Span]:
    """The spans of all three phases: as they were, as it is, as they follow."""
    if middle.kind not in PHASE_KINDS:
        raise RuleViolation("unknown_phase", gettext("Choose the phase it is in."), "kind")
    at = PHASE_KINDS.index(middle.kind)
    passed = {item.kind: item for item in middle.passed}
    spans = []
    for kind in PHASE_KINDS[:at]:
        if kind not in passed:
            raise RuleViolation(
                "dates_missing",
                gettext("Give the dates of the phase before: %(kind)s.") % {"kind": _title(kind)},
                f"{kind}_start_on",
            )
        span = Span(passed[kind].start_on, passed[kind].end_on)
        check_span(span, field=f"{kind}_end_on")
        spans.append(span)
    if extra := [kind for kind in passed if kind not in PHASE_KINDS[:at]]:
        raise RuleViolation(
            "dates_unused",
            gettext("%(phase)s does not lie before %(present)s.")
            % {"phase": _title(extra[0]), "present": _title(middle.kind)},
            "kind",
        )
    if middle.started_on > today():
        raise RuleViolation(
            "starts_in_future", gettext("The phase it is in has started already: give that day."), "started_on"
        )
    end_on = middle.planned_end_on or months_after(middle.started_on, lengths[at]) - DAY
    current = Span(middle.started_on, end_on)
    check_span(current)
    spans.append(current)
    later = spans_from(current.end_on + DAY, lengths[at + 1 :])
    names = [_title(kind) for kind in PHASE_KINDS]
    fields = [f"{kind}_start_on" for kind in PHASE_KINDS[:at]] + ["started_on", "planned_end_on", "planned_end_on"]
    check_row(list(zip(names, [*spans, *later], strict=True)), fields=fields[: len(names)])
    return [*spans, *later]


def _title(kind: str) -> str:
    return str(Phase.Kind(kind).label)


def _make_workload(name: str, slug: str, *, is_demo: bool) -> Workload:
    """A workload with the slug asked for, or a free one made of the name."""
    if slug:
        workload = Workload(slug=slug, name=name, is_demo=is_demo)
        check(workload)
        if slug in RESERVED_SLUGS or Workload.objects.filter(slug=slug).exists():
            raise RuleViolation("slug_taken", gettext("'%(slug)s' is taken. Choose another.") % {"slug": slug}, "slug")
        workload.save()
        return workload
    base = slugify(name)[:70].strip("-_").replace("_", "-") or "roadmap"
    while "--" in base:
        base = base.replace("--", "-")
    taken = set(Workload.objects.filter(slug__startswith=base).values_list("slug", flat=True)) | RESERVED_SLUGS
    number, free = 1, base
    while free in taken:
        number += 1
        free = f"{base}-{number}"
    workload = Workload(slug=free, name=name, is_demo=is_demo)
    check(workload)
    workload.save()
    return workload


def _programme(name: str, *, is_demo: bool) -> Programme | None:
    """The programme of this name, made where there is none; None for an empty name."""
    name = name.strip()
    if not name:
        return None
    found = Programme.objects.filter(name__iexact=name).first()
    if found:
        return found
    programme = Programme(name=name, is_demo=is_demo)
    try:
        check(programme)
    except RuleViolation as error:
        raise RuleViolation(error.code, error.message, "programme") from error
    programme.save()
    return programme


def _make_phases(
    roadmap: Roadmap,
    spans: Sequence[Span],
    middle: Middle | None,
    currency: str,
    budgets: Mapping[str, Decimal | None],
) -> list[Phase]:
    at = PHASE_KINDS.index(middle.kind) if middle else (0 if roadmap.state == Roadmap.State.ACTIVE else -1)
    phases = []
    for index, (kind, span) in enumerate(zip(PHASE_KINDS, spans, strict=True)):
        budget = budgets.get(kind)
        if budget is not None and budget < 0:
            raise RuleViolation("negative_budget", gettext("A budget is zero or more."), f"{kind}_budget")
        phase = Phase(
            roadmap=roadmap,
            kind=kind,
            position=index + 1,
            state=Phase.State.CLOSED if index < at else Phase.State.ACTIVE if index == at else Phase.State.PLANNED,
            owner=roadmap.owner,
            planned_start_on=span.start_on,
            planned_end_on=span.end_on,
            baseline_start_on=span.start_on,
            baseline_end_on=span.end_on,
            started_on=span.start_on if index <= at else None,
            ended_on=span.end_on if index < at else None,
            budget_amount=budget,
            budget_currency=currency,
        )
        check(phase)
        phases.append(phase)
    Phase.objects.bulk_create(phases)
    return phases


def _record_past(roadmap: Roadmap, phases: Sequence[Phase], middle: Middle, currency: str, asker: Asker) -> None:
    """The gates already passed ('recorded later, no measured evidence') and the opening balance, one cost entry."""
    gates = {gate.phase_id: gate for gate in Gate.objects.filter(phase__in=phases)}
    passed = {item.kind: item for item in middle.passed}
    for phase in phases:
        item = passed.get(phase.kind)
        if item is None:
            continue
        if item.outcome not in (GateDecision.Outcome.GO, GateDecision.Outcome.CONDITIONAL):
            raise RuleViolation(
                "outcome", gettext("A phase that led to the next one was a go."), f"{phase.kind}_outcome"
            )
        decision = GateDecision(
            gate=gates[phase.pk],
            outcome=item.outcome,
            reason=gettext("Decided before this roadmap was entered."),
            decided_by_name=item.decided_by_name,
            decided_on=item.decided_on or item.end_on,
            is_recorded_later=True,
            link=item.link,
        )
        check(decision)
        decision.save()
    amount = middle.opening_amount
    if amount is None or amount == 0:
        return
    if amount < 0:
        raise RuleViolation("negative_amount", gettext("What was spent until now is zero or more."), "opening_amount")
    first, last = min(phase.planned_start_on for phase in phases), today() - DAY
    entry = CostEntry(
        roadmap=roadmap,
        phase=next(phase for phase in phases if phase.kind == middle.kind),
        name=gettext("Opening balance"),
        category=CostEntry.Category.OPENING_BALANCE,
        amount=amount,
        currency=currency,
        start_on=first,
        end_on=last if last > first else None,
        author=asker.user,
    )
    check(entry)
    entry.save()


@transaction.atomic
def change_roadmap(asker: Asker, roadmap: Roadmap, **changes: Any) -> Roadmap:
    """Changes fields of CHANGEABLE, `name` and `programme` (by its name). The slug stays: addresses depend on it."""
    require(asker, Role.MANAGER, roadmap)
    roadmap = Roadmap.objects.select_for_update(of=("self",)).select_related("workload", "owner").get(pk=roadmap.pk)
    unknown = set(changes) - CHANGEABLE - {"name", "programme"}
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if "name" in changes:
        name = text_required(changes.pop("name"), field="name", what=gettext("the roadmap a name"))
        before, after = change(roadmap.workload, {"name": name})
        roadmap.workload.save(update_fields=["name"])
    if "programme" in changes:
        changes["programme"] = _programme(changes["programme"] or "", is_demo=roadmap.workload.is_demo)
    was, now = change(roadmap, changes)
    roadmap.save()
    if "owner" in now:
        Membership.objects.update_or_create(
            user=roadmap.owner, workload=roadmap.workload, defaults={"role": Role.MANAGER}
        )
    record(asker, "change_roadmap", roadmap, roadmap, before | was, after | now)
    return roadmap


@transaction.atomic
def set_state(asker: Asker, roadmap: Roadmap, *, state: str) -> Roadmap:
    """Pauses, goes on, or stops what never started. Running ones are stopped and made live by a gate's decision."""
    require(asker, Role.MANAGER, roadmap)
    roadmap = Roadmap.objects.select_for_update(of=("self",)).select_related("workload").get(pk=roadmap.pk)
    if state not in STATE_CHANGES.get(roadmap.state, ()):
        raise RuleViolation(
            "already_decided" if state == roadmap.state else "state_change",
            gettext(
                "A roadmap that is %(lower)s cannot be made %(state)s here. Starting its first phase "
                "makes it active; its gates stop it or take it live."
            )
            % {"lower": roadmap.get_state_display().lower(), "state": state},
            "state",
        )
    before, after = change(roadmap, {"state": state})
    roadmap.save(update_fields=["state"])
    record(asker, "set_state", roadmap, roadmap, before, after)
    return roadmap


def ensure_first_roadmap(owner: User) -> Roadmap:
    """The empty roadmap to begin with, its PoC started today; the same one when asked again."""
    found = Roadmap.objects.select_related("workload").filter(workload__slug=FIRST_SLUG).first()
    if found:
        return found
    return make_roadmap(Asker(owner), name=gettext("My first roadmap"), owner=owner, start_on=today(), slug=FIRST_SLUG)
