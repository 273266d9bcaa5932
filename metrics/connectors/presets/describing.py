"""A preset in words, for the form, the documentation and the command that lists them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.connectors.presets import Preset
from metrics.connectors.presets.gpu import words
from metrics.words import N_

# The columns of the form's list, in its order: (measures of which one is enough, head).
COLUMNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("requests",), N_("Requests")),
    (("input_tokens", "output_tokens"), N_("Tokens")),
    (("errors",), N_("Errors")),
    (("duration",), N_("Latency")),
    (("time_to_first_token",), N_("First token")),
    (("gpu_busy_seconds",), N_("GPU use")),
    (("energy_wh",), N_("Energy")),
    (("estimated_cost",), N_("Cost")),
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a kind of server gives: a word for each of COLUMNS, and (measure, what to do instead) for the others."""

    name: str
    title: str
    setup: str
    gives: tuple[str, ...]
    instead: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(head, 'yes', 'mean only' or 'not offered') of COLUMNS."""
        return [(head, given) for (_, head), given in zip(COLUMNS, self.gives, strict=True)]


def describe(preset: Preset) -> Described:
    """Return what the form says of a preset; sentences that are the same for several measures come once."""
    reports = preset.reports()
    by_text: dict[str, list[str]] = {}
    for measure, text in preset.not_offered:
        by_text.setdefault(text, []).append(words(measure))
    return Described(
        name=preset.name,
        title=preset.title,
        setup=preset.setup,
        gives=tuple(_given(measures, reports) for measures, _ in COLUMNS),
        instead=tuple((_capital(", ".join(measures)), text) for text, measures in by_text.items()),
    )


def _given(measures: tuple[str, ...], reports: frozenset[str]) -> str:
    if any(measure in reports for measure in measures):
        return N_("yes")
    return N_("mean only") if any(f"{measure}_sum_ms" in reports for measure in measures) else N_("not offered")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def markdown(preset: Preset) -> str:
    """Return the section of a preset in docs/connectors/presets.md."""
    lines = [f"### {preset.title} (`{preset.name}`)", ""]
    if preset.setup:
        lines += [preset.setup, ""]
    lines += ["| measure | metric | unit | meaning |", "| --- | --- | --- | --- |"]
    for reading in preset.readings:
        names = ", else ".join(f"`{name}`" for name in reading.names)
        where = "".join(f" where `{condition}`".replace("|", "\\|") for condition in reading.where)
        unless = f" without `{reading.unless}`" if reading.unless else ""
        unit = f"{reading.unit} (gauge)" if reading.is_gauge else reading.unit
        lines.append(f"| {words(reading.measure)} | {names}{where}{unless} | {unit} | {reading.meaning} |")
    lines += ["", f"Model: {_model(preset)}."]
    for label, sources in preset.labels:
        lines.append(f"Label `{label}`: from `{'`, else `'.join(sources)}`.")
    lines += [f"Not offered, {measure[:1].lower()}{measure[1:]}: {text}" for measure, text in describe(preset).instead]
    lines.append(f"Source: {preset.source}." if preset.source else "")
    return "\n".join(line for line in lines if line is not None).rstrip() + "\n"


def _model(preset: Preset) -> str:
    if preset.needs_a_model_name:
        return "not named by the metrics; enter it, or the server's `/v1/models` is asked"
    if not preset.model_label:
        return "none, its figures are the machine's"
    joined = f", else the model of the same `{preset.model_join}`" if preset.model_join else ""
    others = "".join(f", else label `{label}`" for label in preset.other_model_labels)
    return f"label `{preset.model_label}`{joined}{others}"
