"""Measures with a target: adding, changing, deleting, and recording what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, check_currency, record, require, text_required
from roadmap.kpis import BY_NAME
from roadmap.models import Kpi, Phase, Reading
from roadmap.rules.formulas import check_formulas, key_from, read_formula, users_of
from roadmap.rules.phases import FIRST_DAY
from web import wording

CHANGEABLE = frozenset(
    {
        "name",
        "unit",
        "direction",
        "source",
        "measure",
        "formula",
        "window_days",
        "combine",
        "minimum_sample",
        "baseline",
        "target",
        "target_on",
        "is_value",
        "rate_amount",
        "rate_currency",
        "rate_source",
        "rate_owner",
    }
)
# A clock may be a little ahead of ours, as with pushed usage.
CLOCK_LEEWAY = timedelta(minutes=5)
MAX_READINGS = 10_000
MAX_SAMPLE = 10**12


@dataclass(frozen=True, slots=True)
class NewReading:
    """One value at one time (aware). `note` or `sample_count` None: as it is held, else none."""

    at: datetime
    value: Decimal
    note: str | None = ""
    sample_count: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many readings were new, took the place of one at the same time, or were held already as they are."""

    added: int
    replaced: int
    unchanged: int = 0


@transaction.atomic
def add_kpi(asker: Asker, phase: Phase, *, key: str = "", **fields: Any) -> Kpi:
    """A new KPI; `fields` are those of CHANGEABLE, at least name, and direction where it is not computed.

    Its key is made of `key`, which has to be free then, or of its name.
    """
    require(asker, Role.MANAGER, phase.roadmap)
    _check_known(fields)
    last = phase.kpis.order_by("-position").values_list("position", flat=True).first()
    Phase.objects.select_for_update(of=("self",)).get(pk=phase.pk)
    kpi = Kpi(phase=phase, position=0 if last is None else last + 1, **_completed(fields))
    taken = set(phase.kpis.values_list("key", flat=True))
    kpi.key = key_from(key) if key else key_from(kpi.name, taken)
    if kpi.key in taken:
        raise RuleViolation(
            "already_key_taken", gettext("Another KPI of this phase has the key %(key)s.") % {"key": kpi.key}, "key"
        )
    _check_kpi(kpi)
    _take_value_mark(kpi)
    kpi.save()
    record(asker, "add_kpi", kpi, phase.roadmap, None, fields)
    return kpi


@transaction.atomic
def change_kpi(asker: Asker, kpi: Kpi, **changes: Any) -> Kpi:
    """Changes the fields of CHANGEABLE."""
    require(asker, Role.MANAGER, kpi.phase.roadmap)
    _check_known(changes)
    kpi = _locked(kpi)
    completed = _completed({"source": kpi.source, "measure": kpi.measure, "formula": kpi.formula, **changes})
    is_read = completed["source"] == Kpi.Source.READ
    if not is_read and kpi.source == Kpi.Source.READ and kpi.readings.exists():
        raise RuleViolation(
            "has_readings", gettext("A KPI with readings cannot become a computed one. Add another."), "source"
        )
    before, after = change(kpi, {name: completed[name] for name in completed if name in CHANGEABLE})
    _check_kpi(kpi)
    _take_value_mark(kpi)
    kpi.save()
    record(asker, "change_kpi", kpi, kpi.phase.roadmap, before, after)
    return kpi


@transaction.atomic
def delete_kpi(asker: Asker, kpi: Kpi) -> None:
    """Gone with its readings. A KPI that a gate asks for leaves the gate first."""
    roadmap = kpi.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    kpi = _locked(kpi)
    if kpi.criteria.exists():
        raise RuleViolation(
            "in_use", gettext("The gate asks for '%(name)s'. Take it out of the gate first.") % {"name": kpi.name}
        )
    others = [item for item in kpi.phase.kpis.all() if item.formula and item.pk != kpi.pk]
    users = users_of(kpi.key, {item.name: read_formula(item.formula) for item in others}) if kpi.key else []
    if users:
        raise RuleViolation(
            "in_formula",
            gettext("The formula of '%(name)s' names '%(key)s'. Change that first.")
            % {"name": users[0], "key": kpi.key},
        )
    record(asker, "delete_kpi", kpi, roadmap, {"name": kpi.name, "readings": kpi.readings.count()}, None)
    kpi.delete()


@transaction.atomic
def record_readings(asker: Asker, kpi: Kpi, readings: Sequence[NewReading]) -> Recorded:
    """Records one or many readings; the same time again replaces, with the value before on the audit trail.

    What is held already as it is changes nothing, and leaves no audit row where nothing else is recorded.
    """
    require(asker, Role.CONTRIBUTOR, kpi.phase.roadmap)
    kpi = _locked(kpi)
    _check_readings(kpi, readings)
    held = {row.at: row for row in kpi.readings.filter(at__in=[item.at for item in readings])}
    new = [item for item in readings if not is_held(held.get(item.at), item)]
    unchanged = len(readings) - len(new)
    if not new:
        return Recorded(added=0, replaced=0, unchanged=unchanged)
    before = {item.at.isoformat(): held[item.at].value for item in new if item.at in held}
    Reading.objects.bulk_create(
        [_reading(kpi, item, held.get(item.at), asker) for item in new],
        update_conflicts=True,
        unique_fields=["kpi", "at"],
        update_fields=["value", "sample_count", "note", "author", "token", "recorded_at"],
    )
    after = {item.at.isoformat(): item.value for item in new}
    record(asker, "record_readings", kpi, kpi.phase.roadmap, before, after)
    return Recorded(added=len(new) - len(before), replaced=len(before), unchanged=unchanged)


def is_held(held: Reading | None, item: NewReading) -> bool:
    """Whether recording the item would change nothing."""
    return (
        held is not None
        and held.value == item.value
        and item.note in (None, held.note)
        and item.sample_count in (None, held.sample_count)
    )


def check_reading(kpi: Kpi, item: NewReading) -> None:
    """Refuses a reading as record_readings would, before it is recorded."""
    _check_is_read(kpi)
    _check_reading(item)
    check(Reading(kpi=kpi, at=item.at, value=item.value, note=item.note or ""), only={"value", "note"})


def record_reading(asker: Asker, kpi: Kpi, *, at: datetime, value: Decimal, note: str = "") -> Recorded:
    """One reading; see record_readings."""
    return record_readings(asker, kpi, [NewReading(at, value, note)])


@transaction.atomic
def delete_reading(asker: Asker, reading: Reading) -> None:
    """Takes a wrong reading away; the value stays on the audit trail."""
    roadmap = reading.kpi.phase.roadmap
    require(asker, Role.CONTRIBUTOR, roadmap)
    record(asker, "delete_reading", reading.kpi, roadmap, {"at": reading.at.isoformat(), "value": reading.value}, None)
    reading.delete()


def _reading(kpi: Kpi, item: NewReading, held: Reading | None, asker: Asker) -> Reading:
    row = Reading(
        kpi=kpi,
        at=item.at,
        value=item.value,
        sample_count=held.sample_count if item.sample_count is None and held else item.sample_count,
        note=(held.note if held else "") if item.note is None else item.note,
        author=asker.user,
        token=asker.token,
        recorded_at=timezone.now(),
    )
    check(row, only={"value", "note"})
    return row


def _check_readings(kpi: Kpi, readings: Sequence[NewReading]) -> None:
    _check_is_read(kpi)
    if not readings:
        raise RuleViolation("missing", gettext("Give at least one reading."), "readings")
    if len(readings) > MAX_READINGS:
        raise RuleViolation(
            "too_many",
            gettext("At most %(most)s readings at a time.") % {"most": wording.count(MAX_READINGS)},
            "readings",
        )
    seen: set[datetime] = set()
    for item in readings:
        _check_reading(item)
        if item.at in seen:
            raise RuleViolation("time_twice", gettext("%(time)s stands twice.") % {"time": item.at.isoformat()}, "at")
        seen.add(item.at)


def _check_is_read(kpi: Kpi) -> None:
    if kpi.source != Kpi.Source.READ:
        by = gettext("from usage") if kpi.source == Kpi.Source.COMPUTED else gettext("by a formula")
        raise RuleViolation(
            "computed",
            gettext("'%(name)s' is computed %(by)s and takes no readings.") % {"name": kpi.name, "by": by},
            "kpi",
        )


def _check_reading(item: NewReading) -> None:
    if item.at > timezone.now() + CLOCK_LEEWAY:
        raise RuleViolation("in_future", gettext("A reading is of now or of the past."), "at")
    if item.at.date() < FIRST_DAY:
        raise RuleViolation("date_out_of_range", gettext("Give a time after 1 Jan 2000."), "at")
    if not item.value.is_finite():
        raise RuleViolation("not_a_number", gettext("Give a number."), "value")
    if item.sample_count is not None and not 0 <= item.sample_count <= MAX_SAMPLE:
        raise RuleViolation(
            "out_of_range", gettext("A sample count is a whole number from 0 to 10^12."), "sample_count"
        )


def _check_known(fields: dict[str, Any]) -> None:
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")


def _completed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with what follows from them: where values come from, and a computed KPI's unit and direction."""
    fields = dict(fields)
    if "name" in fields:
        fields["name"] = text_required(fields["name"], field="name", what=gettext("the KPI a name"))
    measure, formula = fields.get("measure") or "", " ".join((fields.get("formula") or "").split())
    source = fields.get("source") or (Kpi.Source.COMPUTED if measure else Kpi.Source.FORMULA if formula else None)
    if source == Kpi.Source.COMPUTED:
        computed = BY_NAME.get(measure)
        if computed is None:
            raise RuleViolation("unknown_measure", gettext("Choose what it is computed from."), "measure")
        fields |= {
            "source": source,
            "measure": measure,
            "formula": "",
            "unit": computed.unit_in(settings.REPORTING_CURRENCY),
        }
        fields["direction"] = fields.get("direction") or computed.direction
    elif source == Kpi.Source.FORMULA:
        fields |= {"source": source, "measure": "", "formula": read_formula(formula).text}
    elif source is not None:
        fields |= {"measure": "", "formula": ""}
    if fields.get("rate_currency"):
        fields["rate_currency"] = check_currency(fields["rate_currency"], field="rate_currency")
    return fields


def _check_kpi(kpi: Kpi) -> None:
    if not kpi.direction:
        raise RuleViolation("missing", gettext("Say which way is better."), "direction")
    check(kpi)
    if kpi.window_days is not None and not 1 <= kpi.window_days <= 366:
        raise RuleViolation("window", gettext("A window is 1 to 366 days, or the phase to date."), "window_days")
    if kpi.rate_amount is not None and not (kpi.rate_source and kpi.rate_owner_id and kpi.rate_currency):
        raise RuleViolation(
            "rate_unsourced",
            gettext("A rate needs a currency, an owner and a source: who says what one is worth?"),
            "rate_amount",
        )
    if kpi.rate_amount is not None and not kpi.is_value:
        raise RuleViolation("rate_without_value", gettext("Only the value KPI has a rate."), "rate_amount")
    if Kpi.objects.filter(phase_id=kpi.phase_id, name=kpi.name).exclude(pk=kpi.pk).exists():
        raise RuleViolation(
            "already_name_taken", gettext("This phase has a KPI '%(name)s' already.") % {"name": kpi.name}, "name"
        )
    _check_phase_formulas(kpi)


def _check_phase_formulas(kpi: Kpi) -> None:
    """The formulas of the phase with this KPI as it is to be: it may be in the ring of another, or be its divisor."""
    kpis = [*Kpi.objects.filter(phase_id=kpi.phase_id).exclude(pk=kpi.pk).exclude(key=""), kpi]
    check_formulas(
        {item.key: read_formula(item.formula) for item in kpis if item.source == Kpi.Source.FORMULA},
        keys={item.key for item in kpis},
        no_divisors={
            item.key: gettext("Its readings combine as the %(combine)s; a divisor must be a sum.")
            % {"combine": item.combine}
            for item in kpis
            if item.source == Kpi.Source.READ and item.combine != Kpi.Combine.SUM
        },
    )


def _take_value_mark(kpi: Kpi) -> None:
    """A phase has one value KPI: making this one it takes the mark from the other, with its rate."""
    if kpi.is_value:
        Kpi.objects.filter(phase_id=kpi.phase_id, is_value=True).exclude(pk=kpi.pk).update(
            is_value=False, rate_amount=None, rate_currency="", rate_source="", rate_owner=None
        )


def _locked(kpi: Kpi) -> Kpi:
    return (
        Kpi.objects.select_for_update(of=("self",))
        .select_related("phase__roadmap__workload", "rate_owner")
        .get(pk=kpi.pk)
    )
