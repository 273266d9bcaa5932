"""What a spend or usage view is asked for, out of an address: window, dimensions, filters; mistakes said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext, gettext_lazy

from roadmap.queries.dashboard_filters import LONGEST_NAME, Problem
from roadmap.rules.phases import FIRST_DAY, months_after
from web import wording

DAY = timedelta(days=1)
DIMENSIONS: dict[str, Any] = {
    "month": gettext_lazy("Month"),
    "roadmap": gettext_lazy("Roadmap"),
    "phase": gettext_lazy("Phase"),
    "business_unit": gettext_lazy("Business unit"),
    "programme": gettext_lazy("Programme"),
    "provider": gettext_lazy("Provider"),
    "backend": gettext_lazy("Backend"),
    "model": gettext_lazy("Model"),
    "team": gettext_lazy("Team"),
    "category": gettext_lazy("Category"),
    "basis": gettext_lazy("Basis"),
}
FILTERS: dict[str, Any] = {
    "roadmap": gettext_lazy("All roadmaps"),
    "phase": gettext_lazy("Any phase"),
    "business_unit": gettext_lazy("All units"),
    "programme": gettext_lazy("All programmes"),
    "provider": gettext_lazy("Any provider"),
    "backend": gettext_lazy("Any backend"),
    "model": gettext_lazy("Any model"),
    "team": gettext_lazy("Any team"),
    "category": gettext_lazy("Any category"),
    "basis": gettext_lazy("Any basis"),
}
# Filters on what the plan says of a workload; the others are about usage.
PLAN_FILTERS = ("roadmap", "business_unit", "programme")
# What usage is told apart by: category and basis are about money.
USAGE_DIMENSIONS = {name: title for name, title in DIMENSIONS.items() if name not in ("category", "basis")}
USAGE_FILTERS = {name: title for name, title in FILTERS.items() if name not in ("category", "basis")}
DEFAULT_BY = ("month", "roadmap")
DEFAULT_MONTHS = 12


@dataclass(frozen=True, slots=True)
class SpendFilters:
    """The local days [start_on, end_on), up to two dimensions (the API: any number), and a value for each filter."""

    start_on: date
    end_on: date
    by: tuple[str, ...] = DEFAULT_BY
    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    is_default_window: bool = True

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def is_set(self) -> bool:
        return any(self.values.values())

    @property
    def last_on(self) -> date:
        return self.end_on - DAY

    @property
    def window_text(self) -> str:
        """'1 Dec 2025 to 26 Nov 2026'."""
        return wording.days(self.start_on, self.last_on)

    @property
    def query(self) -> str:
        """'?from=2026-04-01&by=month%2Cmodel&provider=openai', or nothing for the default view."""
        pairs: dict[str, str] = {}
        if not self.is_default_window:
            pairs |= {"from": self.start_on.isoformat(), "to": self.last_on.isoformat()}
        if self.by != DEFAULT_BY:
            pairs["by"] = ",".join(self.by)
        pairs |= {name: value for name, value in self.values.items() if value}
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def complete_query(self) -> str:
        """As `query` with the window and the dimensions always named: for addresses that are kept elsewhere."""
        return replace(self, is_default_window=False).query or f"?by={','.join(self.by)}"

    def checked(self, choices: Mapping[str, Sequence[tuple[str, str]]]) -> SpendFilters:
        """The filters that name something; the others become problems that name the nearest."""
        values, problems = dict(self.values), list(self.problems)
        for name, value in self.values.items():
            known = dict(choices.get(name, ()))
            if value and value not in known:
                by_text = {text.lower(): key for key, text in known.items()}
                if value.lower() in by_text:
                    values[name] = by_text[value.lower()]
                    continue
                problems.append(
                    Problem(
                        name,
                        gettext("No %(kind)s '%(value)s'. %(hint)s")
                        % {"kind": DIMENSIONS[name].lower(), "value": value[:60], "hint": _nearest(value, known)},
                    )
                )
                values[name] = ""
        return replace(self, values=values, problems=tuple(problems))


def parse_spend_filters(
    parameters: Mapping[str, Any],
    *,
    today: date,
    most: int | None = 2,
    default_by: tuple[str, ...] = DEFAULT_BY,
    known: Sequence[str] | None = None,
    dimensions: Mapping[str, str] = DIMENSIONS,
    filters: Mapping[str, str] = FILTERS,
) -> SpendFilters:
    """The filters of an address. Never raises: a mistake is a problem, and what it was about falls back.

    `most` dimensions at once, None: all. `known`: other parameters that may stand there; None: any may.
    """
    problems: list[Problem] = []
    if known is not None:
        expected = [*filters, "from", "to", "by", *known]
        problems += [
            Problem(
                name[:60],
                gettext("There is no parameter '%(name)s'. %(hint)s")
                % {"name": name[:60], "hint": _nearest(name, {one: one for one in expected})},
            )
            for name in parameters
            if name not in expected
        ]
    start_on, end_on, is_default = _window(parameters, today, problems)
    values = {name: _name(parameters, name, problems) for name in filters}
    by = _by(parameters, most, default_by, dimensions, problems)
    return SpendFilters(start_on, end_on, by, values, tuple(problems), is_default)


def default_window(today: date) -> tuple[date, date]:
    """The last twelve local months, the running one included."""
    return months_after(today.replace(day=1), 1 - DEFAULT_MONTHS), today + DAY


def _window(parameters: Mapping[str, Any], today: date, problems: list[Problem]) -> tuple[date, date, bool]:
    first, after = default_window(today)
    from_on, to_on = _day(parameters, "from", problems), _day(parameters, "to", problems)
    if from_on is None and to_on is None:
        return first, after, True
    start_on = from_on or min(first, to_on or first)
    if start_on > today:
        problems.append(
            Problem(
                "from", gettext("%(day)s lies ahead: nothing was spent there yet.") % {"day": wording.day(start_on)}
            )
        )
        return first, after, True
    if to_on is not None and to_on < start_on:
        problems.append(
            Problem(
                "to",
                gettext("%(last)s lies before %(first)s; the days are left out.")
                % {"last": wording.day(to_on), "first": wording.day(start_on)},
            )
        )
        return first, after, True
    # What lies ahead is planned, not spent.
    end_on = min(to_on or today, today) + DAY
    # The page's own fields say the default window too.
    return start_on, end_on, (start_on, end_on) == (first, after)


def _day(parameters: Mapping[str, Any], name: str, problems: list[Problem]) -> date | None:
    text = str(parameters.get(name) or "").strip()
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        problems.append(
            Problem(name, gettext("'%(text)s' is not a date. Write it like 2026-11-22.") % {"text": text[:40]})
        )
        return None
    if found < FIRST_DAY:
        problems.append(
            Problem(name, gettext("%(day)s is too long ago. Give a date from 2000 on.") % {"day": wording.day(found)})
        )
        return None
    return found


def _name(parameters: Mapping[str, Any], name: str, problems: list[Problem]) -> str:
    text = str(parameters.get(name) or "").replace("\x00", "").strip()
    if len(text) > LONGEST_NAME:
        problems.append(
            Problem(name, gettext("That is longer than %(most)s characters.") % {"most": wording.count(LONGEST_NAME)})
        )
        return ""
    return text


def _by(
    parameters: Mapping[str, Any],
    most: int | None,
    default_by: tuple[str, ...],
    dimensions: Mapping[str, str],
    problems: list[Problem],
) -> tuple[str, ...]:
    told = parameters.getlist("by") if hasattr(parameters, "getlist") else [parameters.get("by") or ""]
    asked = [part.strip().lower().replace("-", "_") for text in told for part in str(text).split(",") if part.strip()]
    wanted = list(dict.fromkeys(asked))
    known = {name: name for name in dimensions}
    for name in [name for name in wanted if name not in known]:
        problems.append(
            Problem(
                "by",
                gettext("There is no dimension '%(name)s'. %(hint)s")
                % {"name": name[:40], "hint": _nearest(name, known)},
            )
        )
        wanted.remove(name)
    if most is not None and len(wanted) > most:
        problems.append(
            Problem(
                "by",
                gettext("Choose at most %(most)s dimensions; '%(names)s' is left out here.")
                % {"most": wording.count(most), "names": ", ".join(wanted[most:])[:80]},
            )
        )
        wanted = wanted[:most]
    return tuple(wanted) or default_by


def _nearest(name: str, known: Mapping[str, str]) -> str:
    """'Did you mean model?', else what there is."""
    texts = {text.lower(): key for key, text in known.items()} | {key.lower(): key for key in known}
    near = list(dict.fromkeys(texts[found] for found in get_close_matches(name.lower(), texts, n=3, cutoff=0.5)))
    if near:
        return gettext("Did you mean %(names)s?") % {"names": gettext(" or ").join(near)}
    there = list(known)
    names = ", ".join(there[:12]) or gettext("none yet")
    if len(there) > 12:
        return gettext("There is: %(names)s and %(count)s more.") % {
            "names": names,
            "count": wording.count(len(there) - 12),
        }
    return gettext("There is: %(names)s.") % {"names": names}
