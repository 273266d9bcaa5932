"""The presets to choose from, in the order in which they are offered, and the parameters that every choice asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metrics.connector import Parameter, ParameterKind
from metrics.connectors.presets import Preset, own_preset
from metrics.connectors.presets.llamacpp import LLAMACPP
from metrics.connectors.presets.vllm import VLLM
from metrics.errors import RuleViolation

PRESETS: tuple[Preset, ...] = (VLLM, LLAMACPP)
PLAIN = "plain"

PRESET_PARAMETER = Parameter(
    "preset",
    "Kind of server",
    ParameterKind.CHOICE,
    choices=(
        *((preset.name, preset.title) for preset in PRESETS),
        (PLAIN, "Another server (say which metric is what)"),
    ),
    default="vllm",
)
METRIC_PARAMETERS = (
    Parameter(
        "model",
        "Model name",
        ParameterKind.TEXT,
        required=False,
        help="For servers whose metrics do not name the model, such as llama.cpp. Empty: a server is asked for it.",
    ),
    Parameter(
        "mapping",
        "Own metrics",
        ParameterKind.LINES,
        required=False,
        help="Only for another server: which metric gives which measure, one a line.",
        placeholder='requests = my_requests_total\nerrors = my_requests_total{status=~"5.."}\n'
        "duration = my_latency_seconds",
    ),
    Parameter(
        "model_label",
        "Label with the model's name",
        ParameterKind.TEXT,
        required=False,
        help="Only for another server. Empty: model_name.",
    ),
    Parameter(
        "provider",
        "Provider",
        ParameterKind.TEXT,
        required=False,
        help="Only for another server: the software's name, for example sglang. Empty: self-hosted.",
    ),
)


def chosen_preset(values: Mapping[str, Any]) -> Preset:
    """Return the preset that the parameters describe. Raises RuleViolation on `mapping`."""
    if values["preset"] == PLAIN:
        return own_preset(
            values.get("mapping") or [],
            provider=values.get("provider") or "self-hosted",
            model_label=values.get("model_label") or "model_name",
            field="mapping",
        )
    return next(preset for preset in PRESETS if preset.name == values["preset"])


def check_preset(values: Mapping[str, Any]) -> None:
    """Refuse a mapping that cannot be read or would not be used. Raises RuleViolation."""
    chosen_preset(values)
    if values["preset"] != PLAIN and values.get("mapping"):
        raise RuleViolation(
            "mapping_unused", "Own metrics are only read for another server: choose that kind.", "mapping"
        )
