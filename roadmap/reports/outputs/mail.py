"""A report as a mail: the news as its subject, text, HTML for narrow screens, pictures inline. To nobody yet.

Made of the document alone, once, when the report is published, and the same bytes from the same document. What differs
by reader is one address, for which `UNSUBSCRIBE` stands. The PDF is attached when it is sent (roadmap.mailing).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from typing import cast

from django.template.loader import render_to_string
from django.utils import translation

from roadmap.reports.document import (
    Bars,
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Figures,
    Paragraph,
    Section,
    Status,
    Table,
)
from roadmap.reports.outputs.chart import WIDTH_PX, ChartRefusedError, png_of
from roadmap.reports.outputs.news import news_of
from web.pieces import Course

logger = logging.getLogger(__name__)

# Where the reader's own address to end the mails comes; it leads nowhere.
UNSUBSCRIBE = "https://unsubscribe.invalid/report"
# Wider tables become a list with a name before each figure.
MOST_COLUMNS = 3
# So long a list is read in the PDF; Gmail cuts a mail off at 102 KB.
MOST_ROWS = 20
# Under a figure: more would push the decisions off a phone's first screen. The text part and the PDF have all.
MOST_NOTES = 2
DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG of a mail; `cid` is how the HTML names it."""

    cid: str
    content: bytes


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail as it was kept: everything but to whom it goes."""

    subject: str
    language: str
    text: str
    html: str
    pictures: Sequence[Picture]


def mail_of(document: Document, *, url: str, revision: int = 1) -> bytes:
    """The mail as RFC 5322 bytes, in the document's language. `url`: where the report is read in the browser."""
    pictures = _pictures(document)
    with translation.override(document.language):
        subject = news_of(document, revision=revision)
        shown, left = _for_the_screen(document)
        context = {
            "document": document,
            "subject": subject,
            "url": url,
            "unsubscribe": UNSUBSCRIBE,
            "width": WIDTH_PX,
            "parts": [(part, [_shown(block, pictures) for block in part.blocks]) for part in shown],
            "left": left,
        }
        html = render_to_string("emails/report.html", context)
        text = _tidy(render_to_string("emails/report.txt", {**context, "parts": _told(document)}))
    mail = StoredMail(subject, document.language, text, html, list(pictures.values()))
    return assemble(mail).as_bytes(policy=SMTP)


def assemble(mail: StoredMail, *, name: str = "phaseline") -> EmailMessage:
    """The mail as a message without recipient; the same bytes each time. `name` sets its boundaries apart."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = mail.subject
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    html = cast(MIMEPart, message.get_payload()[1])  # type: ignore[index]
    for number, picture in enumerate(mail.pictures, 1):
        html.add_related(
            picture.content,
            maintype="image",
            subtype="png",
            cid=f"<{picture.cid}>",
            disposition="inline",
            filename=f"chart-{number}.png",
        )
    # Set before, it would become the first part's.
    message["Content-Language"] = mail.language
    message.set_boundary(f"=_{name}_alternative")
    if mail.pictures:
        html.set_boundary(f"=_{name}_related")
    return message


def read_mail(content: bytes) -> StoredMail:
    """The parts of a mail that was kept."""
    message = message_from_bytes(content, policy=SMTP)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    if text is None or html is None:
        raise ValueError("A mail of a report has a text and an HTML part.")
    pictures = [
        Picture(str(part["Content-ID"]).strip("<>"), part.get_content())
        for part in message.walk()
        if part.get_content_maintype() == "image"
    ]
    # A long subject begins on a line of its own, whose space is the fold's.
    return StoredMail(
        str(message["Subject"]).strip(),
        str(message["Content-Language"]),
        text.get_content(),
        html.get_content(),
        pictures,
    )


def _for_the_screen(document: Document) -> tuple[list[Section], list[str]]:
    """What is read on a screen, decisions right after the head: paper's first page; and the titles of all else."""
    first: list[Section] = []
    for section in document.sections:
        if section.begins_page and first:
            break
        first.append(section)
    decisions = [section for section in document.sections if section.name == DECISIONS]
    rest = [section for section in first if section.name != DECISIONS]
    # What stands above all titles is the head.
    head = next((index for index, section in enumerate(rest) if section.title), len(rest))
    if head == 0:
        head = next((index + 1 for index, section in enumerate(rest) if section.name == "headline"), 0)
    shown = [*rest[:head], *decisions, *rest[head:]]
    names = {section.name for section in shown}
    return shown, [section.title for section in document.sections if section.name not in names and section.title]


def _pictures(document: Document) -> dict[int, Picture]:
    """The drawings by the id of their blocks. One that cannot be is left out; its sentence stays."""
    pictures: dict[int, Picture] = {}
    for section in document.sections:
        for block in section.blocks:
            if not isinstance(block, Course | Bars):
                continue
            try:
                drawn = png_of(block)
            except ChartRefusedError:
                logger.exception("The drawing '%s' of the mail '%s' is left out.", section.name, document.title)
            else:
                pictures[id(block)] = Picture(f"picture-{len(pictures) + 1}@phaseline", drawn)
    return pictures


def _shown(block: Block, pictures: dict[int, Picture]) -> dict[str, object]:
    """A block beside what the HTML asks of it."""
    shown: dict[str, object] = {"it": block, "kind": block.kind}
    if isinstance(block, Course | Bars):
        shown["cid"] = pictures[id(block)].cid if id(block) in pictures else ""
    elif isinstance(block, Figures):
        boxes = [replace(box, notes=box.notes[:MOST_NOTES]) for box in block.boxes]
        shown["pairs"] = [boxes[at : at + 2] for at in range(0, len(boxes), 2)]
    elif isinstance(block, Table):
        shown["is_list"] = len(block.columns) > MOST_COLUMNS
        shown["rows"] = [_in_lines(row) if shown["is_list"] else row for row in block.body[:MOST_ROWS]]
        shown["tail"] = _in_lines(block.tail) if block.foot and shown["is_list"] else None
        shown["count"] = len(block.body) if len(block.body) > MOST_ROWS else 0
        shown["most"] = MOST_ROWS
    return shown


def _in_lines(row: list[tuple[Column, Cell]]) -> tuple[Cell, list[list[tuple[Column, Cell]]]]:
    """What names a row, and its other cells in lines: figures and judgements side by side, texts each by itself."""
    (_, first), *others = row
    lines: list[list[tuple[Column, Cell]]] = []
    was_short = False
    for column, cell in others:
        if not cell.text:
            continue
        is_short = column.is_numeric or bool(cell.tone)
        if is_short and was_short:
            lines[-1].append((column, cell))
        else:
            lines.append([(column, cell)])
        was_short = is_short
    return first, lines


def _told(document: Document) -> list[tuple[Section, list[str]]]:
    """All of the document in lines of text."""
    return [(section, [line for block in section.blocks for line in _lines(block)]) for section in document.sections]


def _lines(block: Block) -> list[str]:
    if isinstance(block, Status):
        return [f"{block.word}. {block.sentence}".strip(), *filter(None, [block.note]), ""]
    if isinstance(block, Figures):
        boxes = [" ".join(filter(None, (f"{box.label}: {box.text}", box.unit))) for box in block.boxes]
        notes = [f" ({'; '.join(box.notes)})" if box.notes else "" for box in block.boxes]
        return [*(f"- {one}{note}" for one, note in zip(boxes, notes, strict=True)), ""]
    if isinstance(block, Paragraph):
        return [block.text, ""]
    if isinstance(block, Bullets):
        return [*(f"- {item}" for item in block.items), ""]
    if isinstance(block, Course | Bars):
        return [block.said, ""]
    rows = [*block.body, *([block.tail] if block.foot else [])]
    lines = []
    for (_, first), *others in rows:
        told = [f"{column.label}: {_cell(cell.text, cell.sub)}" for column, cell in others if cell.text or cell.sub]
        lines.append(f"- {_cell(first.text, first.sub)}" + (f": {'; '.join(told)}" if told else ""))
    return [*lines, ""]


def _cell(text: str, sub: str) -> str:
    return f"{text} ({sub})" if text and sub else text or sub


def _tidy(text: str) -> str:
    """No more than one empty line between two, none at the ends."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"
