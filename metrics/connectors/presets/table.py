"""Presets as data: one TOML file for each kind of server, read into a `Preset` and checked line by line.

docs/connectors/presets.md says what a file holds; the files that come with Phaseline are in `tables/`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from metrics.connectors.presets import (
    MACHINE_MEASURES,
    MILLISECONDS,
    SHARES,
    WATT_HOURS,
    WATTS,
    Preset,
    Reading,
    parse_selector,
)
from metrics.errors import RuleViolation
from metrics.money import parse_currency
from metrics.usage import COUNT_MEASURES, HISTOGRAM_MEASURES, MeasuredAt
from metrics.words import N_
from metrics.words import phrase as filled

COUNTS = {"count": Decimal(1), "requests": Decimal(1), "tokens": Decimal(1)}
MEASURES = (
    *COUNT_MEASURES,
    "units",
    *MACHINE_MEASURES,
    "duration_sum_ms",
    "time_to_first_token_sum_ms",
    "inter_token_sum_ms",
    "estimated_cost",
    *HISTOGRAM_MEASURES,
)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LARGEST_FILE = 100_000
# What to do about a measure that a preset neither reads nor says anything about.
INSTEAD = {
    "requests": N_("%(title)s does not count requests: push them from the application, or connect a gateway."),
    "errors": N_("%(title)s does not count errors: push them from the application, or connect a gateway."),
    "input_tokens": N_("%(title)s does not count tokens: push them from the application, or connect a gateway."),
    "output_tokens": N_("%(title)s does not count tokens: push them from the application, or connect a gateway."),
    "duration": N_("%(title)s has no histogram of it: push latency from the application."),
    "time_to_first_token": N_("%(title)s does not measure it: push it from the application."),
    "gpu_busy_seconds": N_("%(title)s does not measure its GPU: add NVIDIA's DCGM exporter under its GPU settings."),
    "energy_wh": N_("%(title)s does not measure power: add NVIDIA's DCGM exporter under its GPU settings."),
    "estimated_cost": N_("Add a rate card for the machine; its cost is then spread over what was served."),
}
_TOP = {
    "title": str,
    "provider": str,
    "source": str,
    "setup": str,
    "model_label": str,
    "other_model_labels": list,
    "model_join": str,
    "labels": dict,
    "empty": list,
    "once_per": list,
    "measured_at": str,
    "is_per_model": bool,
    "path": str,
    "metrics": list,
    "not_offered": dict,
}
_ROW = {"measure", "metric", "unit", "meaning", "where", "unless"}


class TableError(ValueError):
    """A preset's file is wrong; the message names the line's measure or key and says what to write."""


def read_file(path: Path, *, is_own: bool = False) -> Preset:
    """Return the preset of a file, named as the file is. Raises TableError."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TableError("is larger than a preset can be")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise TableError("cannot be read as a text file") from None
    return read_table(text, name=path.stem, is_own=is_own)


def read_table(text: str, *, name: str, is_own: bool = False) -> Preset:
    """Return the preset that the text describes. Raises TableError."""
    if not NAME.fullmatch(name):
        raise TableError("has a name of other characters than a-z, 0-9, _ and -")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"is not TOML: {error}") from None
    _check_keys(table)
    title = table["title"]
    readings = tuple(_reading(row, place) for place, row in enumerate(table["metrics"], start=1))
    if len({(r.measure, r.names, r.where) for r in readings}) < len(readings):
        raise TableError("names the same metric for the same measure twice")
    preset = Preset(
        name=name,
        title=title,
        provider=table.get("provider") or name,
        readings=readings,
        model_label=_label(table.get("model_label", ""), "model_label"),
        other_model_labels=_labels(table, "other_model_labels"),
        model_join=_label(table.get("model_join", ""), "model_join"),
        labels=_kept_labels(table.get("labels", {})),
        empty=frozenset(str(value) for value in table.get("empty", [])),
        once_per=_labels(table, "once_per"),
        measured_at=_measured_at(table.get("measured_at", "server")),
        is_per_model=table.get("is_per_model", True),
        path=table.get("path", "/metrics"),
        source=table.get("source", ""),
        setup=table.get("setup", ""),
        is_own=is_own,
    )
    return _with_not_offered(preset, table.get("not_offered", {}))


def _check_keys(table: Mapping[str, Any]) -> None:
    unknown = sorted(set(table) - set(_TOP))
    if unknown:
        raise TableError(f"has an unknown key '{unknown[0]}'; known are {', '.join(_TOP)}")
    for key, kind in _TOP.items():
        if key in table and not isinstance(table[key], kind):
            raise TableError(f"{key} is not a {kind.__name__}")
    if not table.get("path", "/").startswith("/"):
        raise TableError("path begins with a slash")
    if not table.get("title"):
        raise TableError("needs a title")
    if not table.get("metrics"):
        raise TableError("needs metrics: a list of rows with measure, metric and unit")


def _reading(row: Any, place: int) -> Reading:
    if not isinstance(row, dict) or not {"measure", "metric", "unit"} <= set(row):
        raise TableError(f"row {place} of metrics needs measure, metric and unit")
    if unknown := sorted(set(row) - _ROW):
        known = ", ".join(sorted(_ROW))
        raise TableError(f"row {place} of metrics has an unknown key '{unknown[0]}'; known are {known}")
    measure = str(row["measure"])
    if measure not in MEASURES:
        raise TableError(f"row {place} of metrics: '{measure}' is not a measure; known are {', '.join(MEASURES)}")
    names = row["metric"] if isinstance(row["metric"], list) else [row["metric"]]
    for name in [*names, *([row["unless"]] if "unless" in row else [])]:
        if not isinstance(name, str) or not METRIC.fullmatch(name):
            raise TableError(f"{measure}: '{name}' is not the name of a metric")
    if not names:
        raise TableError(f"{measure} names no metric")
    scale, is_gauge, currency = _unit(measure, str(row["unit"]))
    try:
        where = parse_selector(str(row.get("where", "")), "where")
    except RuleViolation as error:
        raise TableError(f"{measure}: {error.message}") from None
    return Reading(
        measure=measure,
        names=tuple(names),
        scale=scale,
        where=where,
        is_gauge=is_gauge,
        is_machine=measure in MACHINE_MEASURES,
        currency=currency,
        unless=str(row.get("unless", "")),
        unit=str(row["unit"]),
        meaning=str(row.get("meaning", "")),
    )


def _unit(measure: str, unit: str) -> tuple[Decimal, bool, str]:
    """Return the factor to the measure's unit, whether that makes it a gauge, and the currency of money."""
    if measure == "estimated_cost":
        try:
            return Decimal(1), False, parse_currency(unit)
        except ValueError:
            raise TableError(f"{measure}: the unit of money is a currency like USD, not '{unit}'") from None
    if measure == "gpu_busy_seconds":
        units: dict[str, Decimal] = {"seconds": Decimal(1), **SHARES}
    elif measure == "energy_wh":
        units = {**WATT_HOURS, **WATTS}
    elif measure in HISTOGRAM_MEASURES or measure.endswith("_ms"):
        units = MILLISECONDS
    else:
        units = COUNTS
    if unit not in units:
        raise TableError(f"{measure}: '{unit}' is not a unit of it; write one of {', '.join(units)}")
    return units[unit], unit in SHARES or unit in WATTS, ""


def _label(name: Any, key: str) -> str:
    if name and (not isinstance(name, str) or not LABEL.fullmatch(name)):
        raise TableError(f"{key}: '{name}' is not the name of a label")
    return name or ""


def _labels(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(_label(name, key) for name in table.get(key, []))


def _kept_labels(labels: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for kept, names in labels.items():
        several = names if isinstance(names, list) else [names]
        found.append((kept, tuple(_label(name, "labels") for name in several)))
    return tuple(found)


def _measured_at(text: str) -> MeasuredAt:
    if text not in (MeasuredAt.SERVER, MeasuredAt.GATEWAY):
        raise TableError(f"measured_at is server or gateway, not '{text}'")
    return MeasuredAt(text)


def _with_not_offered(preset: Preset, said: Mapping[str, Any]) -> Preset:
    reports = preset.reports()
    known = {*MEASURES, "billed_cost"}
    for measure, instead in said.items():
        if measure not in known:
            raise TableError(f"not_offered: '{measure}' is not a measure")
        if measure in reports:
            raise TableError(f"not_offered: {measure} is read by a row of metrics")
        if not isinstance(instead, str) or not instead.endswith("."):
            raise TableError(f"not_offered: {measure} needs a sentence that says what to do instead, with a full stop")
    title = preset.title
    others = {m: filled(text, title=title) for m, text in INSTEAD.items() if m not in reports and m not in said}
    return replace(preset, not_offered=tuple({**said, **others}.items()))
