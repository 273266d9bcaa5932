"""Sentences that plain values make for people, kept so that a page can say them in its reader's language.

Holds no Django and translates nothing: sentences are English here, which is what the API, the logs and the database
get. `metrics.spoken` says them in another language. `bin/messages` finds the texts inside `N_()` and `phrase()`.
"""

from __future__ import annotations

from typing import Any


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Return the text, which is marked to be translated where it is shown."""
    return text


# Places for what a file or a person wrote: it is neither translated nor written as numbers are elsewhere.
VERBATIM = frozenset({"cell", "column", "columns", "other"})


class Said(str):
    """An English sentence that remembers how it was put together: `template` with named places, and their `values`."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, Any]


def phrase(template: str, **values: Any) -> Said:
    """Return "%(what)s is needed." with its values filled in.

    A value may itself be `Said`, marked, or one of metrics.errors; whole numbers get their separators.
    """
    written = {name: f"{one:,}" if isinstance(one, int) else one for name, one in values.items()}
    sentence = Said(template % written)
    sentence.template, sentence.values = template, values
    return sentence
