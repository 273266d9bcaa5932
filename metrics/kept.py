"""Sentences that are kept in English (pulls, problems, refused rows), recognised again when a page shows them.

A worker writes them down without knowing who will read them. Holds no Django and translates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from metrics.kept_files import FILES
from metrics.words import N_, VERBATIM, Said
from metrics.words import phrase as filled

# `parts` is a list: each of its parts is recognised by PARTS.
KEPT = (
    N_("Read %(parts)s, all known already."),
    N_("Read %(parts)s."),
    N_("Counted since the last reading: %(parts)s."),
    N_("No counter has moved on."),
    N_("Nothing was used in this time."),
    N_("First reading of %(count)s counters: counting starts here."),
    N_("It keeps nothing of %(count)s of these hours any more; what was read of them before stays."),
    N_("This machine's clock is %(count)s minutes ahead of the source's: set it right, or hours are split wrongly."),
    N_("This machine's clock is %(count)s minutes behind the source's: set it right, or hours are split wrongly."),
    N_("Stopped half-way; nothing of it was counted."),
    N_("It did not finish within five minutes; nothing of it was counted."),
    N_("It is tried again with less at a time."),
    N_("It is tried again."),
    N_("The database did not answer; nothing of it was counted."),
    N_("The database has no room left on its disk; nothing of it was counted."),
    N_("The pull failed inside Phaseline (%(kind)s); the worker's log says more."),
    N_("Nobody confirmed it within two weeks."),
    N_("Its sums are too large to keep."),
    N_("None of its rows counted: see the list."),
    N_("None of its %(count)s rows can count. Put right what is listed and choose it again."),
    N_("Requests are not counted: this export of LiteLLM writes 1 in every row."),
    N_("Tokens without a direction (input or output) are not counted; their cost is."),
    N_("The unit '%(unit)s' is not one of tokens or requests; its cost counts."),
    # metrics.pricing
    N_("own price %(provider)s %(model)s from %(day)s"),
    # metrics.http and metrics.outbound
    N_("%(address)s did not answer in time."),
    N_("%(address)s refuses the connection or cannot be reached."),
    N_("%(address)s took more than %(count)s seconds to answer."),
    N_("%(address)s answered with more than %(count)s MiB, which was cut off."),
    N_("%(address)s answered with a web page instead of data."),
    N_("%(address)s answered with something that is not valid JSON, perhaps cut off."),
    N_("The certificate of %(address)s could not be verified."),
    N_("The name %(host)s is not known to the name service (DNS)."),
    N_("%(field)s: takes %(what)s; got %(given)s."),
    N_("%(field)s: takes %(what)s, as JSON."),
    N_("%(field)s: takes %(what)s."),
    N_("%(field)s: is empty; it takes %(what)s."),
    N_("%(field)s: is required, %(what)s."),
    *FILES,
)
PARTS = (
    N_("usage of %(count)s hours"),
    N_("%(count)s cost statements"),
    N_("%(count)s percentiles that the source states"),
    N_("%(count)s input tokens"),
    N_("%(count)s output tokens"),
    N_("%(count)s requests"),
    N_("%(count)s request"),
)
AND = N_(" and ")
# No kept sentence is longer, nor has more in it: what is (a source's own words, a field of a record) stays as it is, so
# that looking at it takes no time.
LONGEST = 1_000
MOST_SENTENCES = 6
_PLACE = re.compile(r"%\\\((\w+)\\\)s")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z'\"0-9])")


def _pattern(template: str) -> re.Pattern[str]:
    # The name of a column is within a sentence.
    within = {"column": r"(?:(?!\. ).)+?"}
    places = _PLACE.sub(lambda found: f"(?P<{found[1]}>{within.get(found[1], '.+?')})", re.escape(template))
    return re.compile(places)


_KEPT = [(template, _pattern(template)) for template in KEPT]
_PARTS = tuple((template, _pattern(template)) for template in PARTS)


def know(templates: Sequence[str]) -> None:
    """Have these recognised too: what an application that stands on this one keeps."""
    known = {template for template, _ in _KEPT}
    # First, as what fits most stands last here.
    _KEPT[:0] = [(template, _pattern(template)) for template in templates if template not in known]


def recognised(text: str) -> Said | None:
    """Return the sentence with its template, None where it is none of those that are kept."""
    return _matched(text, _KEPT)


def recognised_part(text: str) -> Said | None:
    """As `recognised`, for one part of a list."""
    return _matched(text, _PARTS)


def _matched(text: str, known: Sequence[tuple[str, re.Pattern[str]]]) -> Said | None:
    if len(text) > LONGEST:
        return None
    for template, pattern in known:
        found = pattern.fullmatch(text)
        if found:
            values = found.groupdict()
            return filled(
                template, **{name: value if name in VERBATIM else _number(value) for name, value in values.items()}
            )
    return None


def _number(text: str) -> str | int:
    """'1,234' as a number, so that it is written as the reader's language does."""
    return int(text.replace(",", "")) if re.fullmatch(r"\d{1,3}(,\d{3})*", text) else text


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return _SENTENCE.split(text)
