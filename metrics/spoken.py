"""Sentences of plain values (metrics.words) in the language that is active now."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as look_up

from metrics.errors import ConnectorError, RuleViolation
from metrics.kept import AND, MOST_SENTENCES, recognised, recognised_part, sentences
from metrics.words import VERBATIM, Said
from web import wording


def spoken(text: object) -> str:
    """Return the sentence in the active language; what nobody has translated stays as it is.

    Sentences that were kept as English text are recognised (metrics.kept), also several one after the other.
    """
    if isinstance(text, Said):
        return look_up(text.template) % {
            name: value if name in VERBATIM else _value(value) for name, value in text.values.items()
        }
    plain = str(text)
    # The catalogue's own head stands under the empty text.
    if not plain.strip():
        return plain
    told = look_up(plain)
    if told != plain or get_language() in (None, "en", "en-gb"):
        return told
    return _kept(plain)


def _kept(text: str) -> str:
    """The longest runs of sentences that are known, each in the active language; the others as they are."""
    parts, said = sentences(text), []
    while parts:
        for size in range(min(len(parts), MOST_SENTENCES), 0, -1):
            run = " ".join(parts[:size])
            told = look_up(run)
            # One that is known as it stands goes before one that fits.
            if told == run and (found := recognised(run)) is not None:
                told = spoken(_listed(found))
            if told != run or size == 1:
                said.append(told)
                parts = parts[size:]
                break
    return " ".join(said)


def _listed(sentence: Said) -> Said:
    """The sentence with each part of its list in the active language."""
    if "parts" not in sentence.values:
        return sentence
    pieces = re.split(f"(, |{AND})", sentence.values["parts"])
    told = [look_up(piece) if piece == AND else spoken(recognised_part(piece) or piece) for piece in pieces]
    sentence.values["parts"] = "".join(told)
    return sentence


def _value(value: Any) -> Any:
    if isinstance(value, int):
        return wording.count(value)
    if isinstance(value, ConnectorError | RuleViolation):
        return in_words(value)
    return spoken(value) if isinstance(value, str) else value


def in_words(error: ConnectorError | RuleViolation) -> str:
    """What happened and what to do next, in the active language."""
    return " ".join(spoken(part) for part in (error.message, getattr(error, "hint", "")) if part)


class Speaking:
    """Put before a form: an action's refusal is shown in the reader's language also where plain values made it."""

    def add_violation(self, violation: Any) -> None:
        violation.message = spoken(violation.message)
        super().add_violation(violation)  # type: ignore[misc]
