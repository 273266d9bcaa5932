"""Allocation rules: adding, changing, ordering and removing them. Each change places all series again at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext

from accounts.access import Asker, can_allocate
from accounts.audit import record
from accounts.models import Workload
from metrics import allocating, capacity, sources
from metrics.actions.allocations import check_shares
from metrics.allocating import Moved
from metrics.deadlocks import one_transaction
from metrics.errors import RuleViolation
from metrics.models import AllocationRule, Backend, RuleShare
from metrics.possible_days import check_day

MATCHED_BY = ("provider", "model", "label_name", "label_value", "api_key", "project")
MOST_RULES = 500

Shares = Sequence[tuple[Workload, Decimal]]


@dataclass(frozen=True, slots=True)
class RuleFields:
    """What a person says of a rule. Empty matches everything; no shares: what it matches stays unallocated."""

    shares: Shares = ()
    backend: Backend | None = None
    provider: str = ""
    model: str = ""
    label_name: str = ""
    label_value: str = ""
    api_key: str = ""
    project: str = ""
    valid_from_on: date | None = None
    note: str = ""


@dataclass(slots=True)
class Change:
    """A change of the rules that can be made, or tried (metrics.actions.rule_preview). `make` returns its subject."""

    action: str
    make: Callable[[], AllocationRule | None]
    before: dict[str, Any] | None = None
    after: Callable[[AllocationRule | None], dict[str, Any] | None] = field(default=lambda _: None)


def adding(fields: RuleFields, *, position: int | None = None) -> Change:
    """A new rule, last unless `position` (from 1) says otherwise. Raises RuleViolation."""
    _check(fields)
    if AllocationRule.objects.count() >= MOST_RULES:
        raise RuleViolation(
            "too_many",
            gettext("There are %(most)s rules already. Patterns with * stand for many.") % {"most": MOST_RULES},
        )

    def make() -> AllocationRule:
        rules = _in_order()
        rule = AllocationRule(position=len(rules) + 1)
        _fill(rule, fields)
        place = len(rules) if position is None else min(max(position, 1), len(rules) + 1) - 1
        _number([*rules[:place], rule, *rules[place:]])
        return rule

    return Change("add_allocation_rule", make, after=_shown_or_none)


def changing(rule: AllocationRule, fields: RuleFields) -> Change:
    """Another match, other shares or another day of a rule. Raises RuleViolation."""
    _check(fields)

    def make() -> AllocationRule:
        held = _held(rule)
        held.shares.all().delete()
        _fill(held, fields)
        return held

    return Change("change_allocation_rule", make, before=shown(rule), after=_shown_or_none)


def removing(rule: AllocationRule) -> Change:
    """A rule taken away: what it has placed is placed by those after it."""

    def make() -> AllocationRule:
        held = _held(rule)
        pk = held.pk
        held.delete()
        _number(_in_order())
        # For the audit trail: deleting takes the key away.
        held.pk = pk
        return held

    return Change("remove_allocation_rule", make, before=shown(rule))


def ordering(rule_ids: Sequence[int]) -> Change:
    """All rules in another order. Raises RuleViolation unless each is named once."""
    known = {rule.pk: rule for rule in _in_order()}
    if sorted(rule_ids) != sorted(known):
        raise RuleViolation(
            "not_all_rules", gettext("Name every rule once. Somebody may have changed them meanwhile."), "rules"
        )

    def make() -> AllocationRule | None:
        rules = {rule.pk: rule for rule in _in_order()}
        if sorted(rules) != sorted(rule_ids):
            raise RuleViolation(
                "not_all_rules", gettext("Somebody has changed the rules meanwhile. Look again."), "rules"
            )
        _number([rules[pk] for pk in rule_ids])
        return rules[rule_ids[0]] if rule_ids else None

    return Change(
        "order_allocation_rules",
        make,
        before={"order": ", ".join(str(pk) for pk in known)},
        after=lambda _: {"order": ", ".join(str(pk) for pk in rule_ids)},
    )


def moving(rule: AllocationRule, *, up: bool) -> Change:
    """One rule before the one above it, or after the one below it. Raises RuleViolation where there is none."""
    ids = [one.pk for one in _in_order()]
    place = ids.index(rule.pk)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(ids):
        raise RuleViolation(
            "at_the_end", gettext("It is the first already.") if up else gettext("It is the last already.")
        )
    ids[place], ids[other] = ids[other], ids[place]
    return ordering(ids)


@one_transaction
def change_rules(asker: Asker, change: Change) -> tuple[AllocationRule | None, Moved]:
    """Make the change and place every series again; return its subject and what moved.

    Raises PermissionDenied, RuleViolation.
    """
    require_may_allocate(asker)
    allocating.lock_rules()
    rule, moved = apply(change)
    if rule is not None:
        record(asker, action=change.action, subject=rule, before=change.before, after=change.after(rule))
    return rule, moved


def apply(change: Change) -> tuple[AllocationRule | None, Moved]:
    """Make the change, place all series and have idle capacity follow. In a transaction that holds the rules."""
    rule = change.make()
    moved = allocating.place_all()
    if moved.since is not None:
        capacity.follow_busy(moved.since, sources.now())
    return rule, moved


def require_may_allocate(asker: Asker) -> None:
    """Raise PermissionDenied unless the asker may say whose spend it is."""
    if not can_allocate(asker):
        raise PermissionDenied(gettext("Only admins change allocation rules."))


def fields_of(rule: AllocationRule) -> RuleFields:
    """What was said of a rule, to be changed in parts."""
    return RuleFields(
        shares=[(share.workload, share.share_ratio) for share in rule.shares.select_related("workload")],
        backend=rule.backend,
        valid_from_on=rule.valid_from_on,
        note=rule.note,
        **{name: getattr(rule, name) for name in MATCHED_BY},
    )


def shown(rule: AllocationRule) -> dict[str, Any]:
    """What the audit trail keeps of a rule."""
    shares = [f"{one.workload.slug} {one.share_ratio:f}" for one in rule.shares.select_related("workload")]
    return {
        "position": rule.position,
        "backend": rule.backend.slug if rule.backend else None,
        **{name: getattr(rule, name) for name in MATCHED_BY},
        "from": rule.valid_from_on,
        "shares": ", ".join(shares) or "none",
        "note": rule.note,
    }


def _shown_or_none(rule: AllocationRule | None) -> dict[str, Any] | None:
    return None if rule is None else shown(rule)


def _in_order() -> list[AllocationRule]:
    return list(AllocationRule.objects.order_by("position", "pk"))


def _held(rule: AllocationRule) -> AllocationRule:
    try:
        return AllocationRule.objects.select_for_update().get(pk=rule.pk)
    except AllocationRule.DoesNotExist:
        raise RuleViolation("gone", gettext("Somebody has removed this rule meanwhile.")) from None


def _fill(rule: AllocationRule, fields: RuleFields) -> None:
    rule.backend, rule.valid_from_on, rule.note = fields.backend, fields.valid_from_on, fields.note.strip()
    for name in MATCHED_BY:
        setattr(rule, name, getattr(fields, name).strip())
    rule.save()
    RuleShare.objects.bulk_create(
        [RuleShare(rule=rule, workload=workload, share_ratio=share) for workload, share in fields.shares]
    )


def _number(rules: Sequence[AllocationRule]) -> None:
    for position, rule in enumerate(rules, start=1):
        if rule.position != position:
            rule.position = position
            rule.save(update_fields=["position"])


def _check(fields: RuleFields) -> None:
    check_shares(fields.shares)
    check_day(fields.valid_from_on, field="valid_from_on")
    named = {name for name in MATCHED_BY if getattr(fields, name).strip()}
    if fields.backend is None and not named:
        raise RuleViolation(
            "matches_everything", gettext("Say what it matches. A * as the provider matches all."), "provider"
        )
    if "label_value" in named and "label_name" not in named:
        raise RuleViolation("required", gettext("Name the label that has this value."), "label_name")
