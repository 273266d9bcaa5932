"""A report on paper: PDF/A-2b and PDF/UA-1 by typst, the same bytes from the same document for ever.

Neither clock nor fonts of the machine come in: the date is the document's, the font is an installed package's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import font_source_sans_pro
import typst

from roadmap.reports.document import Block, Document

STANDARDS: list[typst.PDFStandard] = ["a-2b", "ua-1"]
MISSING = "\u25a1"
_CONTROL = dict.fromkeys([*range(32), 127], " ")
_SHEET = Path(__file__).with_name("sheet.typ")


class PdfRefusedError(Exception):
    """The document could not be drawn so that it passes PDF/A-2b and PDF/UA-1; `args[0]` says what typst said."""


def pdf_of(document: Document, sha256: str) -> bytes:
    """The document as PDF, in its language. `sha256`: the payload's, printed at the foot of each page.

    Raises PdfRefusedError where typst or its checks refuse the document; nothing of it is drawn then.
    """
    shown = _shown(json.dumps(_plain(document, sha256), ensure_ascii=False, sort_keys=True))
    try:
        drawn: bytes = typst.compile(
            _SHEET.read_bytes(),
            format="pdf",
            font_paths=fonts(),
            sys_inputs={"document": shown},
            pdf_standards=STANDARDS,
            timestamp=datetime.combine(document.dated_on, time(), UTC),
        )
    except (typst.TypstError, UnicodeEncodeError) as error:
        raise PdfRefusedError(f"{document.title}: {error}") from error
    return drawn


@cache
def fonts() -> typst.Fonts:
    """The fonts that reports are drawn with, out of a package."""
    folder = files(font_source_sans_pro) / "files"
    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder)])


def _shown(text: str) -> str:
    """The text with a box for each character that no font of ours has: PDF/UA refuses what nobody could read."""
    return "".join(character if character.isascii() or _has_glyph(character) else MISSING for character in text)


@cache
def _has_glyph(character: str) -> bool:
    try:
        typst.compile(
            b'#set document(title: "x")\n#set text(font: "Source Sans Pro")\n#sys.inputs.character',
            format="pdf",
            font_paths=fonts(),
            sys_inputs={"character": character},
            pdf_standards=STANDARDS,
        )
    except (typst.TypstError, UnicodeEncodeError):
        return False
    return True


def _plain(document: Document, sha256: str) -> dict[str, Any]:
    day = document.dated_on
    sections = [
        {**_shallow(section), "blocks": [_block(block, document.more_on_page) for block in section.blocks]}
        for section in document.sections
    ]
    return {**_shallow(document), "dated_on": [day.year, day.month, day.day], "sections": sections, "sha256": sha256}


def _shallow(item: Any) -> dict[str, Any]:
    return {name: _json(value) for name in item.__slots__ if isinstance(value := getattr(item, name), str | bool)}


def _block(block: Block, more: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {"kind": block.kind, **_json(asdict(block))}
    for name in ("rows", "items"):
        most, items = drawn.get("on_paper"), drawn.get(name)
        if items is not None:
            drawn["more"] = more.replace("{count}", str(len(items) - most)) if most and len(items) > most else ""
            drawn[name] = items[:most] if drawn["more"] else items
    return drawn


def _json(value: Any) -> Any:
    """The exact values of cells are for workbooks; on paper stands their text, without control characters."""
    if isinstance(value, str):
        return value.translate(_CONTROL)
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return None if isinstance(value, (Decimal, date)) else value
