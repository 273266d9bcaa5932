"""Finds the sentences that the code gives to exceptions, with something in each place of theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOMETHING = "qx7"


def sentences_of(file: str, calls: Mapping[str, int]) -> Iterator[str]:
    """What the calls get as sentence. `calls`: by name, the place of the sentence among the arguments."""
    for call in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        place = calls.get(ast.unparse(call.func).rpartition(".")[2])
        if place is None:
            continue
        # Some are told the status of an answer first.
        given = call.args[1:] if call.args and isinstance(getattr(call.args[0], "value", None), int) else call.args
        if len(given) > place and (text := _filled(given[place])) is not None:
            yield text


def _filled(told: ast.expr) -> str | None:
    if isinstance(told, ast.Constant):
        return str(told.value)
    if isinstance(told, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else SOMETHING for part in told.values)
    return None
