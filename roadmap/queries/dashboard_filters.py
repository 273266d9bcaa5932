"""The filters of a phase page, out of its address; what is wrong with one is said in words, the rest still counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from django.utils.translation import gettext

from web import wording

DAY = timedelta(days=1)
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """A filter that could not be applied, and why."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Filters:
    """From-to (both days included), backend by slug, model by name; empty: everything. `problems`: what was wrong."""

    from_on: date | None = None
    to_on: date | None = None
    backend: str = ""
    model: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def has_days(self) -> bool:
        return self.from_on is not None or self.to_on is not None

    @property
    def has_source(self) -> bool:
        return bool(self.backend or self.model)

    @property
    def is_set(self) -> bool:
        return self.has_days or self.has_source

    @property
    def query(self) -> str:
        """'?from=2026-04-01&backend=vllm', or nothing."""
        pairs = {
            "from": self.from_on.isoformat() if self.from_on else "",
            "to": self.to_on.isoformat() if self.to_on else "",
            "backend": self.backend,
            "model": self.model,
        }
        text = urlencode({name: value for name, value in pairs.items() if value})
        return f"?{text}" if text else ""

    def without(self, field: str, message: str) -> Filters:
        """The filters without one that cannot be applied."""
        problems = (*self.problems, Problem(field, message))
        if field == "from":
            return replace(self, from_on=None, problems=problems)
        if field == "to":
            return replace(self, to_on=None, problems=problems)
        if field == "backend":
            return replace(self, backend="", problems=problems)
        return replace(self, model="", problems=problems)

    def within(self, start_on: date, end_on: date) -> tuple[Filters, date, date]:
        """The filters, and the days [start, end) that they leave of the phase's [start_on, end_on)."""
        filters = self
        if (filters.from_on or start_on, filters.to_on or end_on - DAY) == (start_on, end_on - DAY):
            # The page's own fields say the whole phase: that is no filter.
            filters = replace(filters, from_on=None, to_on=None)
        if filters.from_on is not None and not start_on <= filters.from_on < end_on:
            filters = filters._outside("from", filters.from_on, start_on, end_on)
        if filters.to_on is not None and not start_on <= filters.to_on < end_on:
            filters = filters._outside("to", filters.to_on, start_on, end_on)
        return filters, filters.from_on or start_on, (filters.to_on + DAY) if filters.to_on else end_on

    def _outside(self, field: str, on: date, start_on: date, end_on: date) -> Filters:
        window = wording.days(start_on, end_on - DAY)
        return self.without(
            field,
            gettext("%(on)s is outside this phase's window, %(window)s.") % {"on": wording.day(on), "window": window},
        )


def parse_filters(parameters: Mapping[str, str]) -> Filters:
    """The filters of an address's parameters `from`, `to`, `backend`, `model`. Never raises: a mistake is a problem."""
    problems: list[Problem] = []

    def day_of(name: str) -> date | None:
        text = (parameters.get(name) or "").strip()
        if not text:
            return None
        try:
            found = date.fromisoformat(text)
        except ValueError:
            problems.append(
                Problem(name, gettext("'%(text)s' is not a date. Write it like 2026-11-22.") % {"text": text[:40]})
            )
            return None
        return found

    def name_of(name: str) -> str:
        text = (parameters.get(name) or "").replace("\x00", "").strip()
        if len(text) > LONGEST_NAME:
            problems.append(
                Problem(
                    name, gettext("That is longer than %(most)s characters.") % {"most": wording.count(LONGEST_NAME)}
                )
            )
            return ""
        return text

    from_on, to_on = day_of("from"), day_of("to")
    if from_on is not None and to_on is not None and to_on < from_on:
        problems.append(
            Problem(
                "to",
                gettext("%(to_on)s lies before %(from_on)s; the days are left out.")
                % {"to_on": wording.day(to_on), "from_on": wording.day(from_on)},
            )
        )
        from_on = to_on = None
    return Filters(from_on, to_on, name_of("backend"), name_of("model"), tuple(problems))
