"""Every saying by its code (`roadmap.saying` is the contract). To add one: a line in a table here, and its Dutch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roadmap.saying import Json, Kind, Saying, Words
from roadmap.sayings import budget, kpis, reports, schedule, signals, sources

SAYINGS: dict[str, Words] = {
    **budget.SAYINGS,
    **schedule.SAYINGS,
    **kpis.SAYINGS,
    **sources.SAYINGS,
    **signals.SAYINGS,
    **reports.SAYINGS,
}


def say(code: str, **params: Any) -> Saying:
    """The saying in the language in force, from Python values. KeyError for an unknown code or a missing parameter."""
    return Saying(SAYINGS[code].sentence(params), code, params)


def said(kept: Json | None) -> str:
    """What was kept of a saying (`Saying.json`), in words of the language in force; nothing for None."""
    if kept is None:
        return ""
    found = SAYINGS[kept["say"]]
    inner = {name: said(kept[name]) for name, kind in found.kinds.items() if kind is Kind.SAYING}
    return found.sentence({**kept, **inner})


def all_said(kept: Iterable[Json], *, between: str = " ") -> str:
    """Several in a row."""
    return between.join(said(one) for one in kept)
