"""The two errors that people get to read. Holds no Django, no clock and no settings."""

from __future__ import annotations


class ConnectorError(Exception):
    """A source could not be read.

    `message` says what happened and `hint` what to do next; both are shown on pages and kept in the pull log, so
    whoever raises it has removed every secret before. `permanent`: trying again without a change by a person is
    useless. `retry_after_seconds`: how long the source asked to be left alone, None where it did not say.
    """

    def __init__(
        self, message: str, *, permanent: bool, hint: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class RuleViolation(Exception):  # noqa: N818 - the design's word
    """A person's mistake, which the form and the API both know how to show.

    `code` is stable and for machines, `message` is a sentence for people, `field` names the input where there is one.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
