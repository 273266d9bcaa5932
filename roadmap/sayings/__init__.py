"""Every saying by its code (`roadmap.saying` is the contract). To add one: a line in a table here, and its Dutch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roadmap.saying import Json, Saying, Words
from roadmap.sayings import budget, kpis, schedule

SAYINGS: dict[str, Words] = {**budget.SAYINGS, **schedule.SAYINGS, **kpis.SAYINGS}


def say(code: str, **params: Any) -> Saying:
    """The saying in the language in force, from Python values. KeyError for an unknown code or a missing parameter."""
    return Saying(SAYINGS[code].sentence(params), code, params)


def said(kept: Json | None) -> str:
    """What was kept of a saying (`Saying.json`), in words of the language in force; nothing for None."""
    return SAYINGS[kept["say"]].sentence(kept) if kept else ""


def all_said(kept: Iterable[Json]) -> str:
    """Several sentences in a row."""
    return " ".join(said(one) for one in kept)
