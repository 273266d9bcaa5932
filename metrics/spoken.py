"""Sentences of plain values (metrics.words) in the language that is active now."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as look_up

from metrics.errors import ConnectorError, RuleViolation
from metrics.words import Said
from web import wording


def spoken(text: object) -> str:
    """Return the sentence in the active language; what nobody has translated stays as it is."""
    if isinstance(text, Said):
        return look_up(text.template) % {name: _value(value) for name, value in text.values.items()}
    plain = str(text)
    # The catalogue's own head stands under the empty text.
    return look_up(plain) if plain.strip() else plain


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
