"""The presets to choose from, in the order in which they are offered. `plain` is the operator's own mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metrics.connectors.presets import Preset, own_preset
from metrics.connectors.presets.llamacpp import LLAMACPP
from metrics.connectors.presets.vllm import VLLM

PRESETS: tuple[Preset, ...] = (VLLM, LLAMACPP)
PLAIN = "plain"
CHOICES = (*((preset.name, preset.title) for preset in PRESETS), (PLAIN, "Another server (say which metric is what)"))


def chosen_preset(values: Mapping[str, Any]) -> Preset:
    """Return the preset that the parameters `preset`, `mapping`, `provider` and `model_label` describe.

    Raises RuleViolation on `mapping`.
    """
    if values["preset"] == PLAIN:
        return own_preset(
            values.get("mapping") or [],
            provider=values.get("provider") or "self-hosted",
            model_label=values.get("model_label") or "model_name",
            field="mapping",
        )
    return next(preset for preset in PRESETS if preset.name == values["preset"])
