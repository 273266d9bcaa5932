"""The portfolio's filters and grouping, out of its address; what names nothing is said in words and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext, gettext_lazy

from roadmap.queries.dashboard_filters import LONGEST_NAME, Problem

GROUPS = {
    "programme": gettext_lazy("Programme"),
    "phase": gettext_lazy("Phase"),
    "owner": gettext_lazy("Owner"),
    "unit": gettext_lazy("Business unit"),
    "status": gettext_lazy("Status"),
    "none": gettext_lazy("Nothing"),
}
LABELS = {
    "programme": (gettext_lazy("Programme"), gettext_lazy("All programmes")),
    "unit": (gettext_lazy("Business unit"), gettext_lazy("All units")),
    "owner": (gettext_lazy("Owner"), gettext_lazy("Anyone")),
    "phase": (gettext_lazy("Phase"), gettext_lazy("Any phase")),
    "status": (gettext_lazy("Status"), gettext_lazy("Any status")),
    "provider": (gettext_lazy("Provider"), gettext_lazy("Any provider")),
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
                names = ", ".join(text for _, text in choices[name]) or gettext("none yet")
                problems.append(
                    Problem(
                        name,
                        gettext("No %(kind)s '%(value)s'. There is: %(names)s.")
                        % {"kind": str(LABELS[name][0]).lower(), "value": value[:60], "names": names},
                    )
                )
                values[name] = ""
        return replace(self, values=values, problems=tuple(problems))


def parse_portfolio_filters(parameters: Mapping[str, Any]) -> PortfolioFilters:
    """The filters of an address. Never raises: a mistake is a problem."""
    problems = []
    values = {}
    for name in LABELS:
        text = str(parameters.get(name) or "").replace("\x00", "").strip()
        if len(text) > LONGEST_NAME:
            problems.append(
                Problem(name, gettext("That is longer than %(count)s characters.") % {"count": LONGEST_NAME})
            )
            text = ""
        values[name] = text
    group = str(parameters.get("group") or "programme")
    if group not in GROUPS:
        problems.append(
            Problem(
                "group",
                gettext("Cannot group by '%(group)s'. Choose one of: %(groups)s.")
                % {"group": group[:40], "groups": ", ".join(GROUPS)},
            )
        )
        group = "programme"
    return PortfolioFilters(values, group, tuple(problems))
