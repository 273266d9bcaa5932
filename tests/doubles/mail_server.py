"""A real SMTP server on this machine: what was sent lies in `mails`; `refuse` answers the next mails with a status.

While `is_held`, whoever begins a mail (`begun`) waits for the answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class MailServer:
    """aiosmtpd's handler; `address` is what EMAIL_URL holds."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse: list[str] = []
        self.address = ""
        self.is_held = False
        # Takes the next mail and breaks off before it says so.
        self.hangs_up = False
        self.begun = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.begun += 1
        while self.is_held:
            await asyncio.sleep(0.02)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            return self.refuse.pop(0)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        if self.hangs_up:
            self.hangs_up = False
            server.transport.abort()
        return "250 OK"


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """A server that runs; `options` are aiosmtpd's, such as `authenticator`."""
    handler = MailServer()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        handler.address = f"smtp://127.0.0.1:{port}"
        yield handler
    finally:
        controller.stop()
