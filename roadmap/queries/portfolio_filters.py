"""The portfolio's filters and grouping, out of its address; what names nothing is said in words and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from roadmap.queries.dashboard_filters import LONGEST_NAME, Problem

GROUPS = {
    "programme": "Programme",
    "phase": "Phase",
    "owner": "Owner",
    "unit": "Business unit",
    "status": "Status",
    "none": "Nothing",
}
LABELS = {
    "programme": ("Programme", "All programmes"),
    "unit": ("Business unit", "All units"),
    "owner": ("Owner", "Anyone"),
    "phase": ("Phase", "Any phase"),
    "status": ("Status", "Any status"),
    "provider": ("Provider", "Any provider"),
}


@dataclass(frozen=True, slots=True)
class PortfolioFilters:
    """Chosen values by name of LABELS; empty: all. `group` is one of GROUPS."""

    values: Mapping[str, str]
    group: str = "programme"
    problems: tuple[Problem, ...] = ()

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def is_set(self) -> bool:
        return any(self.values.values())

    @property
    def query(self) -> str:
        """'?owner=sanne&group=phase', or nothing."""
        pairs = {name: value for name, value in self.values.items() if value}
        if self.group != "programme":
            pairs["group"] = self.group
        return f"?{urlencode(pairs)}" if pairs else ""

    def checked(self, choices: Mapping[str, Sequence[tuple[str, str]]]) -> PortfolioFilters:
        """The filters that name something; the others become problems."""
        values, problems = dict(self.values), list(self.problems)
        for name, value in self.values.items():
            if value and value not in {key for key, _ in choices[name]}:
                names = ", ".join(text for _, text in choices[name]) or "none yet"
                problems.append(Problem(name, f"No {LABELS[name][0].lower()} '{value[:60]}'. There is: {names}."))
                values[name] = ""
        return replace(self, values=values, problems=tuple(problems))


def parse_portfolio_filters(parameters: Mapping[str, Any]) -> PortfolioFilters:
    """The filters of an address. Never raises: a mistake is a problem."""
    problems = []
    values = {}
    for name in LABELS:
        text = str(parameters.get(name) or "").replace("\x00", "").strip()
        if len(text) > LONGEST_NAME:
            problems.append(Problem(name, f"That is longer than {LONGEST_NAME} characters."))
            text = ""
        values[name] = text
    group = str(parameters.get("group") or "programme")
    if group not in GROUPS:
        problems.append(Problem("group", f"Cannot group by '{group[:40]}'. Choose one of: {', '.join(GROUPS)}."))
        group = "programme"
    return PortfolioFilters(values, group, tuple(problems))
