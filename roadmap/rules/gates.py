"""What a gate asks for, what is met, which outcomes that allows, and how evidence is frozen. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from metrics.errors import RuleViolation


class Result(StrEnum):
    """How a criterion stands. `no_data` is not met and says so in other words."""

    MET = "met"
    NOT_MET = "not_met"
    NO_DATA = "no_data"


class Outcome(StrEnum):
    """product.md, States."""

    GO = "go"
    CONDITIONAL = "conditional"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Standing:
    """One criterion as it counts: its name, whether it must hold, and how it stands."""

    name: str
    is_must: bool
    result: Result


def kpi_result(
    *, value: Decimal | None, is_on_target: bool | None, needs_measurement_only: bool, has_target: bool
) -> Result:
    """A KPI's criterion: known at all where a measurement is asked for, else on target.

    `value` None covers a sample under the KPI's minimum. Without a target nothing can be on it.
    """
    if value is None:
        return Result.NO_DATA
    if needs_measurement_only:
        return Result.MET
    if not has_target:
        return Result.NOT_MET
    return Result.MET if is_on_target else Result.NOT_MET


def met_count(standings: Sequence[Standing]) -> tuple[int, int]:
    """(met, all) of the criteria, must and should."""
    return sum(1 for item in standings if item.result == Result.MET), len(standings)


def unmet_musts(standings: Sequence[Standing]) -> list[str]:
    """Names of the criteria that must hold and do not."""
    return [item.name for item in standings if item.is_must and item.result != Result.MET]


def check_outcome(
    outcome: Outcome,
    standings: Sequence[Standing],
    *,
    condition_count: int,
    new_due_on: date | None,
    today: date,
) -> None:
    """Refuses a go with a must open, a conditional go without conditions, a hold without a new date."""
    if outcome == Outcome.GO and (open_ones := unmet_musts(standings)):
        names = "; ".join(open_ones)
        raise RuleViolation(
            "criteria_not_met",
            f"Go needs every criterion that must hold. Not met: {names}. Choose conditional go, hold or stop.",
            "outcome",
        )
    if outcome == Outcome.CONDITIONAL and not condition_count:
        raise RuleViolation(
            "conditions_missing",
            "A conditional go names at least one condition with an owner and a date.",
            "conditions",
        )
    if outcome != Outcome.CONDITIONAL and condition_count:
        raise RuleViolation("conditions_unused", "Conditions belong to a conditional go only.", "conditions")
    if outcome == Outcome.HOLD:
        if new_due_on is None:
            raise RuleViolation("new_date_missing", "A hold needs a new gate date.", "new_due_on")
        if new_due_on <= today:
            raise RuleViolation("new_date_in_past", "The new gate date lies after today.", "new_due_on")


def canonical_json(document: Mapping[str, Any]) -> str:
    """The one text of a document: keys sorted, no spaces, figures as text, days and times in ISO 8601."""
    return json.dumps(plain(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain(value: Any) -> Any:
    """The value as JSON has it, before and after a trip through the database the same: no floats, figures as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return value


def sha256_of(document: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of the document's canonical JSON in UTF-8."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
