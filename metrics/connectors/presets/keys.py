"""Whose a row of Prometheus metrics is: the series that its labels say, read through a preset. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from metrics.connectors.presets import Preset, Reading
from metrics.usage import SeriesKey, SeriesKind

Labels = tuple[tuple[str, str], ...]
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\d{1,3}(\.\d{1,3}){3}")


def models_by_join(preset: Preset, rows: Iterable[Labels]) -> dict[str, str]:
    """Return the model of each value of the preset's `model_join`, from rows that have both."""
    found: dict[str, str] = {}
    if preset.model_join:
        for row in rows:
            labels = dict(row)
            joined, model = labels.get(preset.model_join), _said(preset, labels, preset.model_label)
            if joined and model:
                found[joined] = model
    return found


def series_key(
    preset: Preset, reading: Reading, labels: Mapping[str, str], *, model: str, joined: Mapping[str, str]
) -> SeriesKey:
    """Return the series of a row. `model` names what the metrics do not name."""
    if reading.is_machine:
        return SeriesKey(provider=preset.provider, model="", operation="gpu", kind=SeriesKind.GPU)
    name = _said(preset, labels, preset.model_label) or joined.get(labels.get(preset.model_join, ""))
    for other in preset.other_model_labels:
        name = name or _said(preset, labels, other)
    kept = ((label, _first(preset, labels, names)) for label, names in preset.labels)
    return SeriesKey(
        provider=preset.provider,
        model=name or model,
        # A name that is a person's address is nobody's business here (architecture.md, decision 1).
        labels=tuple(sorted((label, value) for label, value in kept if value and not _PERSONAL.fullmatch(value))),
    )


def once(preset: Preset, labels: Labels) -> Labels:
    """Return the labels that tell one thing that is measured from another: of GPUs not who uses them just now."""
    if not preset.once_per:
        return labels
    kept = tuple((name, value) for name, value in labels if name in preset.once_per and value)
    return kept or labels


def _first(preset: Preset, labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((value for name in names if (value := _said(preset, labels, name))), "")


def _said(preset: Preset, labels: Mapping[str, str], name: str) -> str:
    value = labels.get(name, "") if name else ""
    return "" if value in preset.empty else value
