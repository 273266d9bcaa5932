"""Vendors' packages that only some connectors need: whether they are there, and how to install them. No Django."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from metrics.errors import ConnectorError


def missing_text(title: str, modules: Sequence[str], file: str) -> str:
    """Say which of the modules that a connector needs are not installed, and the command; empty where none is."""
    missing = [name for name in modules if not _is_there(name)]
    if not missing:
        return ""
    names = " and ".join(name.replace(".", "-") for name in missing)
    program = f"{sys.executable} -m pip install" if _is_there("pip") else f"uv pip install --python {sys.executable}"
    return (
        f"{title} needs the package {names}, which is not installed here. In Phaseline's folder run: "
        f"{program} -r {file}, then start Phaseline again, its workers included."
    )


def require(title: str, modules: Sequence[str], file: str) -> None:
    """Raise ConnectorError, permanent, where one of the modules is not installed."""
    text = missing_text(title, modules, file)
    if text:
        raise ConnectorError(text, permanent=True)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
