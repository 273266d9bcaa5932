"""What a Vega-Lite spec needs to be drawn anywhere: the look's configuration, its colours, the browser bundle.

A spec names no colour: it uses the styles of static/vega-config.json, or a token as '$c1', '$idle', '$ink', which
`themed` (and static/js/charts.js in the browser) replaces by the theme's value. vl-convert is imported late: it takes
150 MB and belongs in workers and build steps only.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from django.conf import settings

Theme = Literal["light", "dark"]
CONFIG = Path(settings.BASE_DIR) / "static" / "vega-config.json"
BUNDLE_NAME = "charts/vega.js"


@cache
def chart_config() -> dict[str, Any]:
    """The look's Vega-Lite configuration: `light`, `dark`, and the `tokens` of both."""
    return json.loads(CONFIG.read_text())


def themed(spec: Mapping[str, Any], theme: Theme = "light") -> dict[str, Any]:
    """The spec with the theme's configuration and colours, complete for vl-convert. Paper and mail take light."""
    config = chart_config()
    replaced = _with_tokens(dict(spec), config["tokens"][theme])
    return {**replaced, "config": {**config[theme], **replaced.get("config", {})}}


def _with_tokens(value: Any, tokens: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return tokens.get(value[1:], value)
    if isinstance(value, Mapping):
        return {key: _with_tokens(item, tokens) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_tokens(item, tokens) for item in value]
    return value


def bundle_path() -> Path:
    """Where `manage.py build_charts` puts the browser bundle."""
    return Path(settings.CHART_BUILD_DIR) / BUNDLE_NAME


def is_bundle_built() -> bool:
    """Whether the bundle lies there, of whatever version."""
    return bundle_path().is_file()


def build_bundle(*, force: bool = False) -> bool:
    """Writes vega-embed with all it needs; False when the one of this vl-convert lies there already."""
    import vl_convert

    path, stamp = bundle_path(), bundle_path().with_suffix(".version")
    wanted = version("vl-convert-python")
    if not force and path.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    draft.replace(path)
    stamp.write_text(wanted)
    return True
