"""Which files are kept as evidence, and how one is told: by its ending and by its first bytes, never by opening it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from metrics.errors import RuleViolation

MEBIBYTE = 1024 * 1024
MOST_BYTES = 10 * MEBIBYTE
MOST_BYTES_A_MILESTONE = 50 * MEBIBYTE
LONGEST_NAME = 200
ALLOWED = "PDF, PNG, JPG, CSV, XLSX, DOCX, PPTX, TXT and MD"
CONTENT_TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
ENDINGS = {**{kind: kind for kind in CONTENT_TYPES}, "jpeg": "jpg", "text": "txt", "markdown": "md"}
# What no text has: control characters other than tab, line and page ends.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(signatures)


def _package(folder: bytes) -> Callable[[bytes], bool]:
    """An Office file: a ZIP whose list of names, which is never packed, has its kind's parts (ECMA-376, part 2)."""
    return lambda data: data.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in data and folder in data


def _is_text(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data = data.decode("utf-16").encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return False
    return not _NO_TEXT.search(data)


_LOOKS: Mapping[str, Callable[[bytes], bool]] = {
    "pdf": _begins(b"%PDF-"),
    "png": _begins(b"\x89PNG\r\n\x1a\n"),
    "jpg": _begins(b"\xff\xd8\xff"),
    "xlsx": _package(b"xl/"),
    "docx": _package(b"word/"),
    "pptx": _package(b"ppt/"),
    "csv": _is_text,
    "txt": _is_text,
    "md": _is_text,
}


def clean_name(name: str) -> str:
    """The file's name without folders and without what cannot be seen or turns the direction of reading, shortened.

    Raises RuleViolation where nothing is left.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(
        letter for letter in last if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    )
    shown = " ".join(shown.split())
    stem, dot, ending = shown.rpartition(".")
    if not stem.strip(". "):
        raise RuleViolation("no_name", f"Give the file a name with its ending. Kept are {ALLOWED}.", "file")
    return f"{stem[: LONGEST_NAME - len(dot) - len(ending)]}{dot}{ending}" if len(ending) < 20 else shown[:LONGEST_NAME]


def kind_of(name: str, data: bytes) -> str:
    """The kind that both the name's ending and the bytes say. Raises RuleViolation with what to do."""
    if not data:
        raise RuleViolation("empty_file", "This file is empty. Choose the one that holds the evidence.", "file")
    if len(data) > MOST_BYTES:
        raise RuleViolation("too_large", too_large(), "file")
    ending = name.rpartition(".")[2].lower()
    kind = ENDINGS.get(ending)
    if kind is None:
        raise RuleViolation(
            "wrong_kind", f"Files ending in '.{ending[:20]}' are not kept: {ALLOWED} are. Send a PDF of it.", "file"
        )
    if not _LOOKS[kind](data):
        raise RuleViolation(
            "not_what_it_says",
            f"Its name ends in '.{ending}', but what is in it is something else. Export it again.",
            "file",
        )
    return kind


def too_large() -> str:
    """What to do with a file that is over the limit."""
    return (
        f"A file has at most {MOST_BYTES // MEBIBYTE} MiB. Send a smaller one, or put its address into the milestone."
    )
