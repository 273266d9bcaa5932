"""Mail addresses that reports go to, and how often a mail is tried. Pure."""

from __future__ import annotations

import re

import idna

# RFC 5321, 4.5.3.1: the longest local part and address.
LONGEST_LOCAL = 64
LONGEST_ADDRESS = 254
MOST_AT_ONCE = 1_000
# Atoms of RFC 5322 with dots between them, and what RFC 6531 adds outside ASCII; quoted local parts are not taken.
_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def clean_address(text: str) -> str:
    """The address with its domain as it travels (IDNA, lower case). Raises ValueError with what is wrong."""
    address = text.strip()
    if any(not character.isprintable() or character.isspace() for character in address):
        raise ValueError("it holds spaces or characters that cannot be printed")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ValueError("it has no name or no domain around an @")
    if not _LOCAL.fullmatch(local):
        raise ValueError("the part before the @ is not one of a mail address")
    if not local.isascii():
        raise ValueError("the part before the @ holds letters that mail servers do not take")
    try:
        travelling = idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        raise ValueError("the part after the @ is not a domain") from None
    labels = travelling.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("the part after the @ is not a domain")
    if len(local) > LONGEST_LOCAL or len(local) + 1 + len(travelling) > LONGEST_ADDRESS:
        raise ValueError("it is too long")
    return f"{local}@{travelling}"


def mailbox(address: str) -> str:
    """The address as it is compared with others: nobody runs two mailboxes that differ in capitals alone."""
    return address.strip().casefold()


def addresses_in(text: str) -> list[str]:
    """What was pasted, parted by lines, commas or semicolons; of 'Ann <ann@x.org>' the address."""
    found = []
    for part in re.split(r"[\n\r,;]+", text):
        piece = part.strip()
        if piece.endswith(">") and "<" in piece:
            piece = piece[piece.rindex("<") + 1 : -1].strip()
        piece = piece.removeprefix("mailto:").strip()
        if piece:
            found.append(piece)
    return found


def report_language(code: str) -> str:
    """The language of a report, 'en', for one of the installation's, 'en-gb'."""
    return code.partition("-")[0].lower()
