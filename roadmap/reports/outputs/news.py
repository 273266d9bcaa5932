"""The subject of a report's mail: the news in a line."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from roadmap.reports.document import Bullets, Document, Figures, Status

LONGEST = 180


def news_of(document: Document, *, revision: int = 1) -> str:
    """The document's own news; of a document without them, of what stands above all else in it.

    In the active language, which the caller sets to the document's.
    """
    if document.news:
        return _shortened(document.news)
    parts = _parts(document)
    title = document.title
    if revision > 1:
        title = _("%(title)s (revision %(number)s)") % {"title": title, "number": revision}
    news = ", ".join(parts)
    said = _("AI report %(title)s: %(news)s") if news else _("AI report %(title)s")
    return _shortened(said % {"title": title, "news": news})


def _shortened(text: str) -> str:
    """In one line of plain spaces, cut where mail programs would."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _parts(document: Document) -> list[str]:
    blocks = [(section.name, block) for section in document.sections for block in section.blocks]
    status = next((block for _name, block in blocks if isinstance(block, Status)), None)
    figures = next((block for _name, block in blocks if isinstance(block, Figures)), None)
    decisions = [
        item for name, block in blocks if name == "decisions" and isinstance(block, Bullets) for item in block.items
    ]
    found = []
    if status is not None:
        found.append(status.word.lower())
    if figures is not None and figures.boxes and not figures.boxes[0].is_missing:
        found.append(figures.boxes[0].text)
    if decisions:
        found.append(ngettext("%(count)s decision", "%(count)s decisions", len(decisions)) % {"count": len(decisions)})
    return found
