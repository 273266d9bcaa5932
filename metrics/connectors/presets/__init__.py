"""Which counters of which server mean what: data tables, read by the connectors that see Prometheus metrics.

A preset names metrics as the server spells them in text format 0.0.4. Some paths replace the colon with an underscore
(a scraper that negotiates OpenMetrics without UTF-8 names does), so both spellings are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from metrics.errors import RuleViolation
from metrics.usage import COUNT_MEASURES, DECIMAL_MEASURES, HISTOGRAM_MEASURES, MeasuredAt
from metrics.words import N_, phrase

# What a metric is multiplied with to get the measure's unit, by the metric's own unit.
MILLISECONDS = {
    "seconds": Decimal(1000),
    "milliseconds": Decimal(1),
    "microseconds": Decimal("0.001"),
    "nanoseconds": Decimal("0.000001"),
}
WATT_HOURS = {
    "joules": 1 / Decimal(3600),
    "millijoules": 1 / Decimal(3_600_000),
    "watt_hours": Decimal(1),
    "kilowatt_hours": Decimal(1000),
}
# Gauges, which are weighted with the time they were seen: a share of time busy, and power.
SHARES = {"percent": Decimal("0.01"), "ratio": Decimal(1)}
WATTS = {"watts": Decimal(1)}
# Measures of the machine, which know no model; `gpu_held_seconds` is how long it was seen.
MACHINE_MEASURES = ("gpu_busy_seconds", "energy_wh")
SEEN = "gpu_held_seconds"
# Exporters print this and the like for what a GPU does not support (DCGM's blank values).
NOT_SUPPORTED = 1e18
COUNT_AND_SUM = {
    "duration": ("duration_count", "duration_sum_ms"),
    "time_to_first_token": ("time_to_first_token_count", "time_to_first_token_sum_ms"),
    "inter_token": ("inter_token_count", "inter_token_sum_ms"),
}


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """One condition on a label, with the operators of Prometheus: = != =~ !~ (patterns match the whole value)."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        there = labels.get(self.name, "")
        if self.operator in {"=", "!="}:
            return (there == self.value) is (self.operator == "=")
        return (re.fullmatch(self.value, there) is not None) is (self.operator == "=~")

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{value}"'


@dataclass(frozen=True, slots=True)
class Reading:
    """One measure and the metrics that give it.

    `names`: the first of them that the server shows is taken. `scale` turns the metric's unit into the measure's. A
    histogram gives its bucket counts, `<measure>_count` and `<measure>_sum_ms`. `is_gauge`: it rises and falls, and is
    weighted with time. `is_machine`: it belongs to the machine, not to a model. `currency`: of a counter of money.
    `unless`: not read where that metric is shown. `unit` and `meaning` are for people.
    """

    measure: str
    names: tuple[str, ...]
    scale: Decimal = Decimal(1)
    where: tuple[LabelMatch, ...] = ()
    is_gauge: bool = False
    is_machine: bool = False
    currency: str = ""
    unless: str = ""
    unit: str = ""
    meaning: str = ""

    @property
    def is_histogram(self) -> bool:
        return self.measure in HISTOGRAM_MEASURES

    def measures(self) -> tuple[str, ...]:
        if self.is_histogram:
            return (self.measure, *COUNT_AND_SUM[self.measure])
        return (self.measure, SEEN) if self.is_gauge and self.measure == "gpu_busy_seconds" else (self.measure,)


@dataclass(frozen=True, slots=True)
class Preset:
    """How one kind of server reports.

    `model_label` names the model, empty where there is none; a metric without it takes that of `other_model_labels`
    which it has, the model that shares its value of `model_join`, or the name that the backend was given. `labels`:
    (label kept, labels it is read from, the first that is set). `empty`: label values that mean nothing. `once_per`:
    rows that agree in these labels speak of the same thing, and one of them counts. `not_offered`: (measure, what to do
    instead). `source` says where the names come from, `setup` what to switch on, `is_own`: an operator's.
    """

    name: str
    title: str
    provider: str
    readings: tuple[Reading, ...]
    model_label: str = ""
    not_offered: tuple[tuple[str, str], ...] = ()
    other_model_labels: tuple[str, ...] = ()
    model_join: str = ""
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    empty: frozenset[str] = frozenset()
    once_per: tuple[str, ...] = ()
    measured_at: MeasuredAt = MeasuredAt.SERVER
    is_per_model: bool = True
    path: str = "/metrics"
    source: str = ""
    setup: str = ""
    is_own: bool = False

    def reports(self) -> frozenset[str]:
        return frozenset(measure for reading in self.readings for measure in reading.measures())

    @property
    def needs_a_model_name(self) -> bool:
        """Whether the metrics of models name none, so that a person or the server has to."""
        return not self.model_label and any(not reading.is_machine for reading in self.readings)


def spelling(name: str) -> str:
    """Return the one spelling under which both forms of a name are found."""
    return name.replace(":", "_")


def own_preset(lines: Sequence[str], *, provider: str, model_label: str, field: str) -> Preset:
    """Return a preset from lines 'measure = metric{label="value"}', the operator's own mapping.

    The unit is read off the metric's name as Prometheus advises (_seconds, _milliseconds, _joules ...). Raises
    RuleViolation on `field`.
    """
    if not lines:
        raise RuleViolation("required", N_("Say which metric gives which measure, one a line."), field)
    readings: dict[str, Reading] = {}
    for line in lines:
        reading = _own_reading(line, field)
        if reading.measure in readings:
            raise RuleViolation("repeated", phrase("%(measure)s is named twice.", measure=reading.measure), field)
        readings[reading.measure] = reading
    return Preset(
        name="plain", title="own metrics", provider=provider, readings=tuple(readings.values()), model_label=model_label
    )


def parse_selector(text: str, field: str) -> tuple[LabelMatch, ...]:
    """Return the conditions of 'label="value", other=~"pattern"', braces optional. Raises RuleViolation on `field`."""
    inside = text.strip()
    if inside.startswith("{") and inside.endswith("}"):
        inside = inside[1:-1]
    matches, position = [], 0
    while inside[position:].strip(" ,"):
        found = _CONDITION.match(inside, position)
        if found is None:
            raise RuleViolation(
                "bad_selector",
                phrase('"%(value)s" is not a label selector such as namespace="ml",pod=~"vllm-.*".', value=text[:80]),
                field,
            )
        name, operator, value = found.group(1, 2, 3)
        value = re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], value)
        if operator in {"=~", "!~"}:
            _check_pattern(value, field)
        matches.append(LabelMatch(name, operator, value))
        position = found.end()
    return tuple(matches)


_CONDITION = re.compile(r'[\s,]*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_LINE = re.compile(r"\s*([a-z_]+)\s*=\s*([a-zA-Z_:][a-zA-Z0-9_:.]*)\s*(\{.*\})?\s*")


def _own_reading(line: str, field: str) -> Reading:
    found = _LINE.fullmatch(line)
    known = (*COUNT_MEASURES, *DECIMAL_MEASURES, *HISTOGRAM_MEASURES)
    if found is None:
        raise RuleViolation(
            "bad_line",
            phrase('"%(value)s" is not of the form: requests = my_requests_total{code="200"}', value=line[:80]),
            field,
        )
    measure, metric, selector = found.group(1, 2, 3)
    if measure not in known:
        raise RuleViolation(
            "unknown_measure",
            phrase("%(measure)s is not a measure. Known: %(known)s.", measure=measure, known=", ".join(known)),
            field,
        )
    if measure in HISTOGRAM_MEASURES or measure.endswith("_ms"):
        scale = _scale(metric, MILLISECONDS, default="seconds")
    elif measure == "energy_wh":
        scale = _scale(metric, WATT_HOURS, default="watt_hours")
    else:
        scale = Decimal(1)
    return Reading(measure, (metric,), scale, parse_selector(selector or "", field))


def _is_slow(pattern: str) -> bool:
    """Whether a group that repeats or chooses something is repeated itself, or the pattern refers back or looks around.

    Prometheus knows neither of the last two; it matches all others in a moment, and Python some of them in years.
    """
    if any(escape[1] in "123456789" for escape in re.findall(r"\\.", pattern, flags=re.DOTALL)):
        return True
    bare = re.sub(r"\\.", "x", pattern, flags=re.DOTALL)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)
    if re.search(r"\(\?[=!<P]", bare):
        return True
    # From the inside out: a group is a letter, repeated where something in it is.
    while (found := re.search(r"\((?:\?:)?([^()]*)\)([*+{]?)", bare)) is not None:
        is_many = re.search(r"[*+{|]", found[1]) is not None
        if is_many and found[2]:
            return True
        bare = f"{bare[: found.start()]}{'x+' if is_many else 'x'}{found[2]}{bare[found.end() :]}"
    return False


def _scale(metric: str, units: Mapping[str, Decimal], default: str) -> Decimal:
    words = metric.lower().replace(":", "_").split("_")
    if "ms" in words and "milliseconds" in units:
        return units["milliseconds"]
    return next((factor for unit, factor in units.items() if unit in words), units[default])


def _check_pattern(pattern: str, field: str) -> None:
    """Refuse what is no pattern, and what Prometheus matches in a moment and Python in years."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise RuleViolation(
            "bad_pattern", phrase('"%(value)s" is not a regular expression.', value=pattern[:80]), field
        ) from None
    if _is_slow(pattern):
        raise RuleViolation(
            "slow_pattern",
            phrase(
                '"%(value)s" repeats a group in which something is repeated or chosen, such as (a+)+, looks around '
                "or refers back. Write it without, for example as two conditions.",
                value=pattern[:80],
            ),
            field,
        )
