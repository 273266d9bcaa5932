"""What a connector asks for (metrics.connector), and what is made of the answer. Holds no Django."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from metrics.errors import RuleViolation
from metrics.words import phrase


class ParameterKind(StrEnum):
    """How a parameter is asked for, and what `clean` makes of it.

    URL, TEXT, SECRET, CHOICE -> str. URLS, LINES, SECRET_LINES -> list of str, one a line. INTEGER -> int.
    SECRET and SECRET_LINES are stored encrypted, never shown again, and kept when the form leaves them empty.
    """

    URL = "url"
    URLS = "urls"
    TEXT = "text"
    LINES = "lines"
    SECRET = "secret"  # noqa: S105 - a kind of input
    SECRET_LINES = "secret_lines"  # noqa: S105 - a kind of input
    CHOICE = "choice"
    INTEGER = "integer"


SECRET_KINDS = frozenset({ParameterKind.SECRET, ParameterKind.SECRET_LINES})
_LIST_KINDS = frozenset({ParameterKind.URLS, ParameterKind.LINES, ParameterKind.SECRET_LINES})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a connector asks for. `choices` are (value, label); `minimum` and `maximum` bound integers."""

    name: str
    label: str
    kind: ParameterKind
    required: bool = True
    help: str = ""
    choices: Sequence[tuple[str, str]] = ()
    default: str | int | None = None
    placeholder: str = ""
    minimum: int | None = None
    maximum: int | None = None

    @property
    def is_secret(self) -> bool:
        return self.kind in SECRET_KINDS

    @property
    def is_list(self) -> bool:
        return self.kind in _LIST_KINDS

    def clean(self, value: Any) -> Any:
        """Return the value in the type its kind says, None (or an empty list) where nothing was given.

        Lists may come as text with one entry a line. Raises RuleViolation with this parameter as its field.
        """
        if self.is_list:
            return self._clean_list(value)
        text = "" if value is None else str(value).strip()
        if not text and self.default is not None:
            text = str(self.default)
        if not text:
            if self.required:
                raise RuleViolation("required", phrase("%(label)s is needed.", label=self.label), self.name)
            return None
        if "\n" in text or "\r" in text:
            raise RuleViolation("one_line", phrase("%(label)s is one line.", label=self.label), self.name)
        if self.kind is ParameterKind.URL:
            return self._clean_url(text)
        if self.kind is ParameterKind.INTEGER:
            return self._clean_integer(text)
        if self.kind is ParameterKind.CHOICE and text not in {choice for choice, _ in self.choices}:
            raise RuleViolation(
                "unknown_choice",
                phrase(
                    "%(label)s: choose one of %(choices)s.",
                    label=self.label,
                    choices=", ".join(c for c, _ in self.choices),
                ),
                self.name,
            )
        return text

    def _clean_list(self, value: Any) -> list[str]:
        entries: Iterable[str] = str(value or "").splitlines() if not isinstance(value, list | tuple) else value
        lines = [str(entry).strip() for entry in entries if str(entry).strip()]
        if not lines and self.default is not None:
            lines = str(self.default).splitlines()
        if not lines and self.required:
            raise RuleViolation("required", phrase("%(label)s is needed, one a line.", label=self.label), self.name)
        if self.kind is ParameterKind.URLS:
            lines = [self._clean_url(line) for line in lines]
            if len(set(lines)) < len(lines):
                raise RuleViolation(
                    "repeated", phrase("%(label)s names the same address twice.", label=self.label), self.name
                )
        return lines

    def _clean_url(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RuleViolation(
                "not_an_address",
                phrase(
                    "%(label)s: an address starts with http:// or https://, for example http://10.0.0.5:8000.",
                    label=self.label,
                ),
                self.name,
            )
        if parts.username or parts.password:
            raise RuleViolation(
                "secret_in_address",
                phrase("%(label)s: leave name and password out of the address.", label=self.label),
                self.name,
            )
        return text

    def _clean_integer(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise RuleViolation(
                "not_a_number", phrase("%(label)s is a whole number.", label=self.label), self.name
            ) from None
        if self.minimum is not None and number < self.minimum:
            raise RuleViolation(
                "too_small",
                phrase("%(label)s is at least %(minimum)s.", label=self.label, minimum=self.minimum),
                self.name,
            )
        if self.maximum is not None and number > self.maximum:
            raise RuleViolation(
                "too_large",
                phrase("%(label)s is at most %(maximum)s.", label=self.label, maximum=self.maximum),
                self.name,
            )
        return number
