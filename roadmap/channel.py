"""The contract of a channel: what is said to one person, and the one method that says it. Knows no framework.

A channel SHALL send the whole message or raise ConnectorError (from metrics.errors) with secrets removed; `permanent`
decides whether it is tried again. It SHALL pass on the message's id, so that who receives one twice can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from web.wording import Words


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is said. `url` is absolute, or empty; `note` a few quiet words: the roadmap, a day."""

    title: str
    text: str = ""
    url: str = ""
    note: str = ""
    kind: str = ""
    roadmap: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a head; an empty title: no head."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Message:
    """What one person is told at once. `id` stays the same when it is repeated; `settings_url` is where to choose."""

    id: str
    to: str
    subject: str
    lede: str
    sections: Sequence[Section]
    home_url: str
    home_text: str
    settings_url: str
    at: datetime

    @property
    def only(self) -> Line | None:
        """The one thing that is said, where the subject says it already."""
        lines = self.lines
        return lines[0] if len(lines) == 1 and lines[0].title == self.subject else None

    @property
    def lines(self) -> list[Line]:
        return [line for section in self.sections for line in section.lines]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where it goes: a mail address, or a sealed one (metrics.webhooks). `may_be_private`: its person is an admin."""

    mail: str = ""
    sealed: bytes = b""
    may_be_private: bool = False


class Channel(Protocol):
    """What sends a message to one person."""

    code: str
    label: Words

    def send(self, message: Message, to: Destination) -> None:
        """Send it. Raises ConnectorError."""
