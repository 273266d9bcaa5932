"""The presets to choose from, those that come with Phaseline and an operator's own, and what every choice asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from metrics.connectors.presets import Preset, own_preset
from metrics.connectors.presets.table import TableError, read_file
from metrics.errors import RuleViolation
from metrics.parameter import Parameter, ParameterKind
from metrics.words import N_, phrase

_TABLES = Path(__file__).parent / "tables"
_NAMES = ("vllm", "sglang", "nim", "triton", "tgi", "llamacpp", "ray_serve_llm", "ray_serve", "litellm")
# In the order in which they are offered.
PRESETS: tuple[Preset, ...] = tuple(read_file(_TABLES / f"{name}.toml") for name in _NAMES)
# The exporter of GPU figures: no server of its own, it is joined to the one that runs on them.
DCGM = read_file(_TABLES / "dcgm.toml")
PLAIN = "plain"

_own: dict[str, Preset] = {}


def read_folder(folder: Path) -> tuple[list[Preset], list[str]]:
    """Return the presets of a folder's *.toml files, and a sentence for each file that is wrong."""
    if not folder.is_dir():
        return [], [f"{folder} is not a folder."]
    found: list[Preset] = []
    problems: list[str] = []
    taken = {PLAIN, DCGM.name, *_NAMES}
    for path in sorted(folder.glob("*.toml")):
        try:
            preset = read_file(path, is_own=True)
        except TableError as error:
            problems.append(f"{path}: {error}.")
            continue
        if preset.name in taken:
            problems.append(f"{path}: there is a preset {preset.name} already; give the file another name.")
        else:
            found.append(preset)
    return found, problems


def use_folder(folder: Path | None) -> list[str]:
    """Offer the presets of an operator's folder (None: of none) from now on; return what is wrong with it."""
    found, problems = read_folder(folder) if folder is not None else ([], [])
    _own.clear()
    _own.update((preset.name, preset) for preset in found)
    return problems


def all_presets() -> tuple[Preset, ...]:
    """Phaseline's presets and the operator's."""
    return (*PRESETS, *_own.values())


class _Choices(Sequence[tuple[str, str]]):
    """(value, label) of every preset at the time of asking: an operator's folder is read after this module."""

    def _all(self) -> list[tuple[str, str]]:
        named = [(preset.name, preset.title) for preset in all_presets()]
        return [*named, (PLAIN, "Another server (say which metric is what)")]

    @overload
    def __getitem__(self, place: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[str, str]]: ...
    def __getitem__(self, place: int | slice) -> tuple[str, str] | Sequence[tuple[str, str]]:
        return self._all()[place]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


PRESET_PARAMETER = Parameter(
    "preset",
    N_("Kind of server"),
    ParameterKind.CHOICE,
    choices=_Choices(),
    default="vllm",
    help=N_("What each kind gives, and what it does not, is listed below."),
)
METRIC_PARAMETERS = (
    Parameter(
        "model",
        N_("Model name"),
        ParameterKind.TEXT,
        required=False,
        help=N_(
            "For servers whose metrics do not name the model, such as llama.cpp and TGI. Empty: a server is asked."
        ),
    ),
    Parameter(
        "mapping",
        N_("Own metrics"),
        ParameterKind.LINES,
        required=False,
        help=N_("Only for another server: which metric gives which measure, one a line."),
        placeholder='requests = my_requests_total\nerrors = my_requests_total{status=~"5.."}\n'
        "duration = my_latency_seconds",
    ),
    Parameter(
        "model_label",
        N_("Label with the model's name"),
        ParameterKind.TEXT,
        required=False,
        help=N_("Only for another server. Empty: model_name."),
    ),
    Parameter(
        "provider",
        N_("Provider"),
        ParameterKind.TEXT,
        required=False,
        help=N_("Only for another server: the software's name, for example sglang. Empty: self-hosted."),
    ),
)


def chosen_preset(values: Mapping[str, Any]) -> Preset:
    """Return the preset that the parameters describe. Raises RuleViolation on `mapping` or `preset`."""
    if values["preset"] == PLAIN:
        return own_preset(
            values.get("mapping") or [],
            provider=values.get("provider") or "self-hosted",
            model_label=values.get("model_label") or "model_name",
            field="mapping",
        )
    for preset in all_presets():
        if preset.name == values["preset"]:
            return preset
    raise RuleViolation(
        "unknown_preset",
        phrase(
            "There is no preset '%(value)s': put its file back into PRESET_FOLDER, or choose another.",
            value=values["preset"],
        ),
        "preset",
    )


def check_preset(values: Mapping[str, Any]) -> None:
    """Refuse a mapping that cannot be read or would not be used. Raises RuleViolation."""
    chosen_preset(values)
    if values["preset"] != PLAIN and values.get("mapping"):
        raise RuleViolation(
            "mapping_unused", N_("Own metrics are only read for another server: choose that kind."), "mapping"
        )
