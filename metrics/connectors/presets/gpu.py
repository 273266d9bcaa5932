"""The GPU figures beside a server: what is asked for, and the exporter's preset as one backend uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from metrics.connectors.presets import LabelMatch, Preset
from metrics.connectors.presets.catalogue import DCGM
from metrics.connectors.presets.keys import once
from metrics.parameter import Parameter, ParameterKind
from metrics.words import N_

GPU_SELECTOR = Parameter(
    "gpu_selector",
    N_("GPUs"),
    ParameterKind.TEXT,
    required=False,
    help=N_("Which of the exporter's GPUs this server runs on, as a label selector."),
    placeholder='Hostname="n1",gpu=~"0|1"',
)
WORDS = {
    "gpu_busy_seconds": N_("GPU use"),
    "energy_wh": N_("energy"),
    "estimated_cost": N_("cost"),
    "duration": N_("latency"),
    "time_to_first_token": N_("time to first token"),
    "inter_token": N_("inter-token latency"),
    "requests": N_("requests"),
    "errors": N_("errors"),
    "input_tokens": N_("input tokens"),
    "cached_input_tokens": N_("cached input tokens"),
    "cache_write_input_tokens": N_("cache write input tokens"),
    "output_tokens": N_("output tokens"),
    "units": N_("units"),
    "quality": N_("quality"),
}
# What people miss, in the order in which a test of the connection says so.
MISSED = ("requests", "errors", "input_tokens", "output_tokens", "duration", "time_to_first_token", "estimated_cost")


def joined_exporter(preset: Preset, where: Sequence[LabelMatch] = ()) -> Preset:
    """Return the exporter's preset for the GPUs that meet `where`, its figures under the server's provider."""
    readings = tuple(replace(reading, where=(*reading.where, *where)) for reading in DCGM.readings)
    return replace(DCGM, provider=preset.provider, readings=readings)


def without_machine(preset: Preset) -> Preset:
    """Return the preset without its own GPU figures, where the exporter gives them: one of the two counts."""
    kept = tuple(reading for reading in preset.readings if not reading.is_machine)
    return replace(preset, readings=kept)


def offered(
    preset: Preset, others: Mapping[str, str], *, has_exporter: bool
) -> tuple[frozenset[str], Mapping[str, str]]:
    """Return what a backend with this preset reports, and what it does not with what to do instead."""
    reports = preset.reports() | (DCGM.reports() if has_exporter else frozenset())
    found = {**others, **dict(preset.not_offered)}
    return reports, {measure: instead for measure, instead in found.items() if measure not in reports}


def gpu_names(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the GPUs that rows speak of, as people know them: 'NVIDIA H100 n1/0'."""
    found: dict[object, str] = {}
    for labels in rows:
        host = labels.get("Hostname") or labels.get("hostname") or labels.get("instance") or ""
        place = "/".join(part for part in (host, labels.get("gpu", ""), labels.get("GPU_I_ID", "")) if part)
        name = " ".join(part for part in (labels.get("modelName", ""), place) if part)
        found.setdefault(once(DCGM, tuple(sorted(labels.items()))), name or "a GPU")
    return sorted(found.values())


def words(measure: str) -> str:
    return WORDS.get(measure, measure.replace("_", " "))
