"""The contract of a saying: a sentence of ours as a stable code with typed parameters, and its words in a language.

What is kept (a report's payload, above all) is the code and its parameters; words are put to it when it is read, in
the reader's language. A code and the meaning of its parameters SHALL NOT change once it has been kept; its words may be
bettered. The words are tables in `sayings/`; pages, mails and reports draw the same sentence from the same line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Self

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext

from roadmap.labels import COVERED, PHASES, PLACES, label_of
from web import wording

Json = dict[str, Any]


class Kind(Enum):
    """What a parameter is: how it is kept as JSON and how it is written."""

    MONEY = "decimal text in the saying's currency, written short: 412 k EUR"
    EXACT = "decimal text in the saying's currency, written to the cent"
    NUMBER = "decimal text"
    RATIO = "decimal text, a ratio, written as a whole percentage: 8%"
    COUNT = "whole number; a saying's first chooses singular or plural"
    DAY = "ISO date"
    MOMENT = "ISO date and time with offset"
    NAME = "text as a person or a machine wrote it"
    NAMES = "list of names, written in a sentence: a and b; a, b and 2 more"
    LISTED = "list of names, written as a head: a, b; a, b and 2 more"
    ALL_NAMES = "list of names, all of them written: a, b, c"
    PLAIN_DAY = "ISO date, written with ordinary spaces"
    PARTS = "list of [name, value, low, high], numbers as decimal text or null"
    SAYING = "another saying, as it is kept"
    PHASE = "code of a phase: poc, scale_up, optimise"
    COVERED = "code of what a coverage is a share of: spend, requests, input tokens, ..."
    PLACE = "code of where a latency is measured: gateway, server, application, ..."


class Saying(str):
    """A sentence in the language in force when it was made, with the code and parameters that say it in any other."""

    __slots__ = ("code", "params")
    code: str
    params: Mapping[str, Any]

    def __new__(cls, text: str, code: str = "", params: Mapping[str, Any] | None = None) -> Self:
        made = super().__new__(cls, text)
        made.code, made.params = code, params or {}
        return made

    def json(self) -> Json:
        """{"say": code, parameter: value, ...}: decimals as text, days as ISO, names as they are."""
        return {"say": self.code, **{name: _kept(value) for name, value in self.params.items()}}


@dataclass(frozen=True, slots=True)
class Words:
    """One saying: its sentence (lazily translated, `%(name)s` for each parameter) and what its parameters are."""

    text: str | Promise
    kinds: Mapping[str, Kind]

    def sentence(self, params: Mapping[str, Any]) -> str:
        """The sentence in the language in force; parameters as Python values or as they were kept."""
        currency = str(params.get("currency", ""))
        shown: dict[str, Any] = {}
        for name, kind in self.kinds.items():
            value = params[name]
            if kind is Kind.COUNT:
                shown.setdefault("n", int(value))
            shown[name] = _WRITTEN[kind](value, currency)
        # A lazy plural chooses by `n`; the mapping is what it formats with.
        return str(self.text % shown) if shown else str(self.text)


def words(text: str | Promise, **kinds: Kind) -> Words:
    """A line of a table of sayings."""
    return Words(text, kinds)


def text_of(value: Decimal | int | None, places: int = 10) -> str | None:
    """A number as plain text, at most `places` decimals, without trailing zeros; None stays None."""
    if value is None:
        return None
    rounded = round(Decimal(value), places)
    text = f"{rounded:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _kept(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text_of(value)
    if isinstance(value, Saying):
        return value.json()
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return [_kept(item) for item in value] if isinstance(value, (list, tuple)) else value


def _decimal(value: Decimal | str | int | None) -> Decimal | None:
    return value if value is None else Decimal(value)


def _day(value: date | str | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _moment(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def listed(names: Sequence[str], *, most: int = 2) -> str:
    """'a', 'a, b', 'a, b and 2 more': at most `most` are named."""
    shown = ", ".join(names[:most])
    return _and_more(shown, len(names) - most) if len(names) > most else shown


def in_sentence(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and 2 more'."""
    if len(names) == 2:  # noqa: PLR2004 - two are named
        return gettext("%(first)s and %(second)s") % {"first": names[0], "second": names[1]}
    return listed(names)


def _and_more(shown: str, more: int) -> str:
    text = ngettext("%(names)s and %(count)s more", "%(names)s and %(count)s more", more)
    return text % {"names": shown, "count": wording.count(more)}


def _percentage(value: Decimal | str) -> str:
    """A whole percentage; what is not nothing never reads as 0%."""
    if 0 < Decimal(value) <= Decimal("0.005"):
        return gettext("under %(share)s") % {"share": wording.percent(Decimal("0.01"), places=0)}
    return wording.percent(Decimal(value), places=0)


def range_text(value: Decimal | None, low: Decimal | None, high: Decimal | None) -> str:
    """A figure without its unit: '3.18'; '2 to 2.5', 'under 0.3', 'over 10' where only an interval is known."""
    if value is None:
        return wording.number(None)
    if low is None and high is None:
        return wording.number(value)
    if low is None:
        return gettext("under %(high)s") % {"high": wording.number(high)}
    if high is None:
        return gettext("over %(low)s") % {"low": wording.number(low)}
    return gettext("%(low)s to %(high)s") % {"low": wording.number(low), "high": wording.number(high)}


def _part(part: Sequence[Any]) -> str:
    name, value, low, high = part
    return f"{name} {range_text(_decimal(value), _decimal(low), _decimal(high))}"


_WRITTEN: dict[Kind, Callable[[Any, str], str]] = {
    Kind.MONEY: lambda value, currency: wording.money(_decimal(value), currency),
    Kind.EXACT: lambda value, currency: wording.money_exact(_decimal(value), currency),
    Kind.NUMBER: lambda value, _: wording.number(_decimal(value)),
    Kind.RATIO: lambda value, _: _percentage(value),
    Kind.COUNT: lambda value, _: wording.count(value),
    Kind.DAY: lambda value, _: wording.day(_day(value)),
    Kind.MOMENT: lambda value, _: wording.moment(_moment(value)),
    Kind.NAME: lambda value, _: str(value),
    # Its words have been put already.
    Kind.SAYING: lambda value, _: str(value),
    Kind.NAMES: lambda value, _: in_sentence(value),
    Kind.LISTED: lambda value, _: listed(value),
    Kind.ALL_NAMES: lambda value, _: ", ".join(value),
    Kind.PLAIN_DAY: lambda value, _: wording.day(_day(value)).replace(wording.NBSP, " "),
    Kind.PARTS: lambda value, _: "; ".join(_part(part) for part in value),
    Kind.PHASE: lambda value, _: label_of(PHASES, value),
    Kind.COVERED: lambda value, _: label_of(COVERED, value),
    Kind.PLACE: lambda value, _: label_of(PLACES, value),
}
