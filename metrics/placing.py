"""Whose a series is by the rules: the first rule that matches, day by day. Pure arithmetic over plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache

from metrics import wildcard

# Before any usage: what holds from the beginning holds from here.
ALWAYS = date(2000, 1, 1)
# The labels under which sources name an API key and a project.
API_KEY_LABELS = ("api_key_name", "api_key", "api_key_id", "api_key_alias", "key_alias")
PROJECT_LABELS = ("project", "project_name", "project_id", "workspace", "workspace_id")

Shares = tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a rule can tell a series by."""

    backend_id: int
    provider: str
    model: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as plain values. Empty strings and None match everything. `shares`: (workload id, share above 0)."""

    pk: int
    shares: Shares = ()
    valid_from_on: date = ALWAYS
    backend_id: int | None = None
    provider: str = ""
    model: str = ""
    label_name: str = ""
    label_value: str = ""
    api_key: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Whose a series is from `from_on` until the day before `until_on` (None: still). `rule_id` None: the default."""

    from_on: date
    until_on: date | None
    rule_id: int | None
    shares: Shares


def matches(rule: Rule, traits: Traits) -> bool:
    """Whether everything that the rule names holds. A label, key, project or model that is not there never does."""
    if rule.backend_id is not None and rule.backend_id != traits.backend_id:
        return False
    if rule.provider and not fits(rule.provider, traits.provider):
        return False
    if rule.model and not (traits.model and fits(rule.model, traits.model)):
        return False
    if rule.label_name:
        value = traits.labels.get(rule.label_name)
        if value is None or not fits(rule.label_value or "*", value):
            return False
    return _has(rule.api_key, API_KEY_LABELS, traits) and _has(rule.project, PROJECT_LABELS, traits)


def fits(pattern: str, value: str) -> bool:
    """Exact but for `*`, which stands for any characters; upper and lower case are the same."""
    return _compiled(pattern).fullmatch(value) is not None


def timeline(traits: Traits, rules: Sequence[Rule], default_workload_id: int | None = None) -> list[Placed]:
    """Return whose the series is since the beginning, in order, days of nobody left out.

    On each day the first of the rules (in their order) that matches and is valid wins; where none is, the default.
    """
    matching = [rule for rule in rules if matches(rule, traits)]
    days = sorted({ALWAYS, *(max(rule.valid_from_on, ALWAYS) for rule in matching)})
    found: list[tuple[date, int | None, Shares]] = []
    for day in days:
        rule = next((one for one in matching if one.valid_from_on <= day), None)
        if rule is not None:
            this: tuple[int | None, Shares] = (rule.pk, rule.shares)
        else:
            this = (None, ((default_workload_id, Decimal(1)),) if default_workload_id is not None else ())
        if not found or found[-1][1:] != this:
            found.append((day, *this))
    ends: list[date | None] = [day for day, _, _ in found[1:]]
    return [
        Placed(day, until, rule_id, shares)
        for (day, rule_id, shares), until in zip(found, [*ends, None], strict=True)
        if shares
    ]


def until(placed: Iterable[Placed], end_on: date | None) -> list[Placed]:
    """The same up to the day before `end_on`, from which on a person decides."""
    if end_on is None:
        return list(placed)
    return [
        Placed(one.from_on, min(one.until_on or end_on, end_on), one.rule_id, one.shares)
        for one in placed
        if one.from_on < end_on
    ]


def _has(pattern: str, names: Sequence[str], traits: Traits) -> bool:
    return not pattern or any(name in traits.labels and fits(pattern, traits.labels[name]) for name in names)


@lru_cache(maxsize=2_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(wildcard.expression(pattern), re.IGNORECASE | re.DOTALL)
