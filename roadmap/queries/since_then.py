"""What a decision's KPIs come to today over the windows of its evidence: what late data and corrections changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from metrics.windows import local_day
from roadmap.kpi import KpiValue, is_reached, text_of
from roadmap.models import GateDecision, Kpi
from roadmap.queries.kpi_values import window_values
from roadmap.queries.window_values import WindowValues
from web import wording


@dataclass(frozen=True, slots=True)
class SinceThen:
    """One KPI of the evidence, then and now. `now` None: the KPI is gone, or `value` says why there is no value."""

    subject_id: int
    name: str
    unit: str
    then: Decimal | None
    now: Decimal | None
    text: str
    is_changed: bool
    # The target of then is reached now; None where that cannot be said.
    is_met: bool | None
    was_met: bool | None

    @property
    def word(self) -> str:
        """'Same', 'Changed', or what a change did to the criterion."""
        if not self.is_changed:
            return gettext("Same")
        if self.was_met is not None and self.is_met is not None and self.was_met != self.is_met:
            return gettext("Now met") if self.is_met else gettext("No longer met")
        return gettext("Changed")

    @property
    def tone(self) -> str:
        return {
            gettext("Same"): "none",
            gettext("Changed"): "amber",
            gettext("Now met"): "green",
            gettext("No longer met"): "red",
        }[self.word]


def since_then(decision: GateDecision, *, now: datetime | None = None) -> list[SinceThen]:
    """Each KPI that the evidence has, over the frozen window, from today's ledger and readings; targets as then.

    What is measured today with another measure or formula than then is said to be so, and not compared.
    """
    now = now or timezone.now()
    kept = [item for item in _kpi_items(decision) if (item.get("window") or {}).get("start_on")]
    if not kept:
        return []
    phase = decision.gate.phase
    kpis = list(phase.kpis.all())
    by_id = {kpi.pk: kpi for kpi in kpis}
    today = local_day(now, settings.REPORTING_ZONE)
    values = window_values(phase, kpis=kpis, now=now, today=today)
    return [_compared(item, by_id.get(item["subject_id"]), values) for item in kept]


def _kpi_items(decision: GateDecision) -> Iterable[Mapping[str, Any]]:
    return [item for item in (decision.evidence or {}).get("criteria", []) if item["kind"] == "kpi"]


def _compared(item: Mapping[str, Any], kpi: Kpi | None, values: WindowValues) -> SinceThen:
    then = _decimal(item.get("value"))
    if kpi is None or not _is_measured_alike(item, kpi):
        return SinceThen(
            subject_id=item["subject_id"],
            name=item["name"],
            unit=item["unit"],
            then=then,
            now=None,
            text=gettext("the KPI is gone") if kpi is None else gettext("measured otherwise today"),
            is_changed=True,
            is_met=None,
            was_met=None,
        )
    window = item["window"]
    value: KpiValue = values.over(
        kpi, (date.fromisoformat(window["start_on"]), date.fromisoformat(window["end_before"]))
    )
    minimum = int(item.get("minimum_sample") or 0)
    is_small = kpi.source != Kpi.Source.READ and minimum > (value.sample or 0)
    now = None if is_small else value.value
    target = _decimal(item.get("target"))
    text = text_of(value) if now is not None else f"{wording.NO_DATA}{': ' + value.reason if value.reason else ''}"
    return SinceThen(
        subject_id=kpi.pk,
        name=item["name"],
        unit=item["unit"],
        then=then,
        now=now,
        text=text,
        is_changed=_at_stored_digits(now) != _at_stored_digits(then),
        is_met=_met(now, target, item),
        was_met=item["result"] == "met",
    )


def _is_measured_alike(item: Mapping[str, Any], kpi: Kpi) -> bool:
    if _measure(kpi) != item["measure"]:
        return False
    return not kpi.formula or kpi.formula == item.get("definition")


def _measure(kpi: Kpi) -> str:
    return kpi.measure or ("formula" if kpi.formula else "reading")


def _met(value: Decimal | None, target: Decimal | None, item: Mapping[str, Any]) -> bool | None:
    if value is None:
        return False
    if item["needs"] == "measured":
        return True
    if target is None:
        return None
    return is_reached(value, target, "higher" if item["direction"] == "higher" else "lower")


def _at_stored_digits(value: Decimal | None) -> Decimal | None:
    """Rounded as the evidence has it, so that digits which were never kept make no difference."""
    return None if value is None else +value


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
