"""What no log may hold: addresses that are secrets, of a calendar, a report, a subscription or the first set-up."""

from __future__ import annotations

import logging
import re
from typing import Any

from gunicorn.glogging import Logger

# What is shorter is a number or a word of ours, and no secret.
SECRET_ADDRESS = re.compile(r"(/(?:calendar|setup|r|unsubscribe)/)[^/\s?#.'\"]{20,}")
HIDDEN = "•••"


def without_secret_addresses(text: str) -> str:
    """The text with the secret part of each address taken out."""
    return SECRET_ADDRESS.sub(rf"\1{HIDDEN}", text)


class NoSecretAddresses(logging.Filter):
    """Rewrites lines before anybody writes them down."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        clean = without_secret_addresses(text)
        if clean != text:
            record.msg, record.args = clean, ()
        return True


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's lines of requests and of errors, rewritten."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            # A logger's filter does not see what its children say, a handler's does.
            for place in (log, *log.handlers):
                if not any(isinstance(one, NoSecretAddresses) for one in place.filters):
                    place.addFilter(NoSecretAddresses())
