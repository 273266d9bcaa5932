"""Sentences of plain values (metrics.words) in the language that is active now."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as look_up

from metrics.words import Said


def spoken(text: object) -> str:
    """Return the sentence in the active language; what nobody has translated stays as it is."""
    if isinstance(text, Said):
        values = {name: spoken(value) if isinstance(value, str) else value for name, value in text.values.items()}
        return look_up(text.template) % values
    plain = str(text)
    # The catalogue's own head stands under the empty text.
    return look_up(plain) if plain.strip() else plain


class Speaking:
    """Put before a form: an action's refusal is shown in the reader's language also where plain values made it."""

    def add_violation(self, violation: Any) -> None:
        violation.message = spoken(violation.message)
        super().add_violation(violation)  # type: ignore[misc]
