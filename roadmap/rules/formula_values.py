"""A formula's value from the values of the KPIs that it names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from roadmap.kpi import KpiValue, no_data
from roadmap.rules.formulas import Formula
from roadmap.saying import Saying
from roadmap.sayings import say


@dataclass(frozen=True, slots=True)
class OperandValue:
    """A KPI that a formula names: what people call it, and its value over the formula's window."""

    name: str
    value: KpiValue


def formula_value(
    formula: Formula, operands: Mapping[str, OperandValue], *, unit: str, start_on: date, end_on: date
) -> KpiValue:
    """The value over the local days [start_on, end_on): no data where an operand has none, or a divisor is zero.

    Its sample is the smallest of its operands, and its coverage the smallest; where an operand is known as an interval
    only, so is the value.
    """
    found = _value(formula, operands, unit)
    return replace(found, start_on=start_on, end_on=end_on)


def _value(formula: Formula, operands: Mapping[str, OperandValue], unit: str) -> KpiValue:
    known: dict[str, Decimal] = {}
    bounds: dict[str, tuple[Decimal, Decimal]] = {}
    for key in sorted(formula.names):
        operand = operands.get(key)
        if operand is None:
            return no_data(unit, say("no_such_kpi", kpi=key))
        value = operand.value
        if value.value is None:
            return no_data(unit, _without_value(operand))
        known[key] = value.value
        is_interval = value.low is not None or value.high is not None
        if is_interval and value.high is None:
            return no_data(unit, say("operand_only_over", kpi=operand.name, low=value.low))
        low = (value.low or Decimal(0)) if is_interval else value.value
        bounds[key] = (low, value.high if value.high is not None else value.value)
    result = formula.value(known)
    if result is None:
        return no_data(unit, _divides_by_zero(formula, operands))
    covered = [item.value for item in operands.values() if item.value.coverage is not None]
    least = min(covered, key=lambda value: value.coverage or Decimal(0), default=None)
    samples = [item.value.sample for item in operands.values() if item.value.sample is not None]
    value = KpiValue(
        value=result,
        unit=unit,
        coverage=least.coverage if least else None,
        coverage_of=least.coverage_of if least else "",
        sample=min(samples, default=None),
        basis=say("made_of", parts=[_part(operands[key]) for key in sorted(formula.names)]),
    )
    if all(low == high for low, high in bounds.values()):
        return value
    corners = formula.bounds(bounds)
    if corners is None:
        return no_data(unit, say("intervals_too_wide"))
    return replace(value, low=corners[0], high=corners[1])


def _without_value(operand: OperandValue) -> Saying:
    """'Hours saved: no reading yet'."""
    reason = operand.value.reason
    if isinstance(reason, Saying):
        return say("operand_missing", kpi=operand.name, reason=reason)
    return say("operand_no_data", kpi=operand.name)


def _part(operand: OperandValue) -> list[str | Decimal | None]:
    value = operand.value
    return [operand.name, value.value, value.low, value.high]


def _divides_by_zero(formula: Formula, operands: Mapping[str, OperandValue]) -> Saying:
    zero = [operands[key].name for key in sorted(formula.divisors) if operands[key].value.value == 0]
    return say("divides_by_zero", kpis=zero) if zero else say("divisor_comes_to_zero")
