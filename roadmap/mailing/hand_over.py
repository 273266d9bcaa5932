"""One message to one mailbox through the operator's mail server, its last byte apart from all others.

A server that loses the connection before the line with the single dot throws the message away (RFC 5321, 4.1.1.4 and
6.1); with that line it becomes responsible for it. So everything but that line is sent first (`offer`), the caller
notes what is about to happen, and `finish` sends the line and hears the answer.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from email.policy import SMTP, Policy
from email.utils import parseaddr
from types import TracebackType

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend

from metrics.errors import ConnectorError

# RFC 5321, 4.5.3.2.6 asks for 10 minutes, so that a slow server's yes is heard; a task has no more than five.
ANSWER_SECONDS = 100
# Servers end a connection after so many messages; a new one costs little.
MOST_IN_A_CONNECTION = 50
PERMANENT = 500
GO_ON = 354
NOT_NOW = 421
_DOT = re.compile(rb"^\.", re.MULTILINE)
# What stands there where nobody has set a mail server up: a server on this machine that nobody named, and the log.
_NOBODYS = ("django.core.mail.backends.smtp.EmailBackend", "django.core.mail.backends.console.EmailBackend")


class ServerAway(ConnectorError):  # noqa: N818 - what it says
    """The server cannot be reached, does not let us in, or has enough of us: no other message would fare better now."""


class AnswerUnheard(Exception):  # noqa: N818 - what it says
    """The message was handed over and the answer did not come: it may have been taken or not."""


def is_set_up() -> bool:
    """Whether there is a mail server to hand over to: EMAIL_URL, or a backend of the operator's own."""
    if settings.EMAIL_PROBLEM:
        return False
    return bool(settings.EMAIL_URL) or settings.EMAIL_BACKEND not in _NOBODYS


class Line:
    """A connection to the server, opened with the first message and kept for the next ones."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None
        self._sent = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection; what was offered and not finished is thrown away by the server."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def offer(self, address: str, content: bytes) -> Callable[[], str]:
        """Everything of a message but its end; returns `finish`. Raises ConnectorError, `permanent` for this mailbox.

        `finish` returns the server's words when it takes the message; raises ConnectorError where it refuses, and
        AnswerUnheard where nobody knows.
        """
        smtp = self._connected()
        if smtp is None:
            return lambda: _pass_on(address, content)
        sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        try:
            # Not this mailbox's fault, and an operator can put it right.
            self._expect(smtp.mail(sender), 250, permanent=False)
            self._expect(smtp.rcpt(address), 250)
            self._expect(smtp.docmd("data"), GO_ON)
            smtp.send(_DOT.sub(b"..", content.rstrip(b"\r\n")) + b"\r\n")
        except (smtplib.SMTPException, OSError) as error:
            self.hang_up()
            raise _away(error) from None
        except ConnectorError:
            self._begin_anew(smtp)
            raise
        return lambda: self._finish(smtp)

    def _finish(self, smtp: smtplib.SMTP) -> str:
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(ANSWER_SECONDS)
            smtp.send(b".\r\n")
            status, answer = smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            self.hang_up()
            raise AnswerUnheard(type(error).__name__) from None
        self._sent += 1
        if smtp.sock is not None:
            smtp.sock.settimeout(settings.EMAIL_TIMEOUT)
        if not (250 <= status < 260 or 400 <= status < 600):
            # Neither a yes nor a refusal; what it says next may belong to anything.
            self.hang_up()
            raise AnswerUnheard(f"its answer was '{status} {_words(answer)}'" if status >= 0 else "its answer was none")
        self._expect((status, answer), 250)
        return f"{status} {_words(answer)}"

    def _connected(self) -> smtplib.SMTP | None:
        """None where the operator's own backend speaks no SMTP: files, a provider's API."""
        if self._smtp is not None and self._sent >= MOST_IN_A_CONNECTION:
            self.hang_up()
        if self._smtp is None:
            backend = get_connection()
            if not isinstance(backend, EmailBackend):
                return None
            try:
                backend.open()
                if backend.connection is not None:
                    backend.connection.ehlo_or_helo_if_needed()
            except (smtplib.SMTPException, OSError, ValueError) as error:
                # ValueError: a challenge of the server's that is no base64.
                raise _away(error) from None
            self._smtp, self._sent = backend.connection, 0
        return self._smtp

    def _expect(self, reply: tuple[int, bytes], wanted: int, *, permanent: bool = True) -> None:
        status, answer = reply
        if status == wanted or (wanted == 250 and 250 <= status < 260):
            return
        if status in (NOT_NOW, -1):
            self.hang_up()
            raise ServerAway(f"The mail server has ended the connection: {status} {_words(answer)}.", permanent=False)
        raise ConnectorError(
            f"The mail server refuses the mail: {status} {_words(answer)}.",
            permanent=permanent and status >= PERMANENT,
        )

    def _begin_anew(self, smtp: smtplib.SMTP) -> None:
        """Forget a message that was refused half-way; where that fails, the connection goes with it."""
        if self._smtp is None:
            return
        try:
            if smtp.rset()[0] != 250:
                self.hang_up()
        except (smtplib.SMTPException, OSError):
            self.hang_up()


class _Ready(EmailMessage):
    """A message that is written already."""

    def __init__(self, address: str, content: bytes) -> None:
        super().__init__(to=[address])
        self.content = content

    def message(self, *, policy: Policy = SMTP) -> Message:  # type: ignore[override]
        return message_from_bytes(self.content, policy=policy)


def _pass_on(address: str, content: bytes) -> str:
    """Through a backend that takes a message whole; what it raises is told as a refusal that may pass."""
    try:
        taken = get_connection().send_messages([_Ready(address, content)])
    except Exception as error:
        raise ConnectorError(f"The mail cannot be passed on ({type(error).__name__}).", permanent=False) from error
    return "passed on" if taken else ""


def _away(error: Exception) -> ServerAway:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return ServerAway(
            f"The mail server does not accept this installation's user and password ({error.smtp_code}).",
            permanent=False,
            hint="An operator sets EMAIL_URL.",
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return ServerAway(
            f"The mail server refuses the connection: {error.smtp_code} {_words(error.smtp_error)}.", permanent=False
        )
    return ServerAway(
        f"The mail server cannot be reached or broke off ({type(error).__name__}).",
        permanent=False,
        hint="An operator checks EMAIL_URL and that the server runs.",
    )


def _words(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return " ".join(text.split())[:240].rstrip(".")
