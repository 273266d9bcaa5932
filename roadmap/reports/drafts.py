"""A report that is not published, marked as such wherever it is drawn: page, paper, workbook and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from django.utils import translation
from django.utils.translation import gettext as _

from roadmap.models import Report
from roadmap.reports.document import Document, Section, Status, Tone
from web import wording

TONES: dict[str, Tone] = {Report.State.DRAFT: "off", Report.State.PROVISIONAL: "amber"}


def draft_document(document: Document, report: Report) -> Document:
    """The document of what is known now, with its state as the first thing that is read."""
    with translation.override(document.language):
        word = state_word(report)
        said = [_("Not published. These are the figures of now, and they can change."), gaps_text(report.gaps)]
        status = Status(tone=TONES[report.state], word=word, sentence=" ".join(filter(None, said)))
        return replace(
            document,
            title=_("%(state)s: %(title)s") % {"state": word, "title": document.title},
            dated=_("%(state)s of %(day)s, not published") % {"state": word, "day": wording.day(document.dated_on)},
            sections=[Section(name="state", blocks=[status]), *document.sections],
        )


def state_word(report: Report) -> str:
    """Draft, provisional or published, in the language in force."""
    return {
        Report.State.DRAFT: _("Draft"),
        Report.State.PROVISIONAL: _("Provisional"),
        Report.State.PUBLISHED: _("Published"),
    }[Report.State(report.state)]


def gaps_text(gaps: Sequence[dict[str, str | None]]) -> str:
    """What keeps the figures from being complete, in a sentence; empty where nothing does."""
    return " ".join(_gap(gap) for gap in gaps)


def _gap(gap: dict[str, str | None]) -> str:
    if gap.get("roadmap"):
        return _("%(name)s is a draft.") % {"name": gap["roadmap"]}
    if gap["until"] is None:
        return _("%(name)s: no data yet.") % {"name": gap["source"]}
    return _("%(name)s: data until %(day)s.") % {
        "name": gap["source"],
        "day": wording.day(date.fromisoformat(gap["until"])),
    }
