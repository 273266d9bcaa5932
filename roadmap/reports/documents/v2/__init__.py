"""Schema version 2 in words: its payload holds codes and parameters, and the words are put to them here.

`document_of` has activated the language, so that gettext, `web.wording` and `roadmap.sayings` speak it. Whatever is
put into a document is plain text: no lazy string.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from roadmap.labels import PHASES, label_of
from roadmap.reports.document import Document, Json, Section
from roadmap.reports.documents.v2.moved import moved_sections
from roadmap.reports.documents.v2.news import news_of
from roadmap.reports.documents.v2.portfolio import portfolio_sections
from roadmap.reports.documents.v2.roadmap import roadmap_sections
from roadmap.reports.documents.v2.values import day_of
from web import wording

# By the payload's scope: what the report is called, and its sections.
SCOPES: dict[str, Callable[[Json], list[Section]]] = {
    "roadmap": roadmap_sections,
    "programme": portfolio_sections,
    "portfolio": portfolio_sections,
}


def document(payload: Json, language: str) -> Document:
    """The document of a payload in the language, which is in force. KeyError for an unknown scope."""
    month = wording.month(day_of(payload["month"]))
    name, about = _named(payload)
    title = _("%(name)s, %(month)s") % {"name": name, "month": month}
    return Document(
        language=language,
        name=name,
        about=about or _("AI adoption"),
        title=title,
        dated_on=day_of(payload["dated_on"]),
        dated=_("Dated %(day)s · revision %(revision)s")
        % {"day": wording.day(day_of(payload["dated_on"])), "revision": payload["revision"]},
        summary=_("AI report of %(month)s: %(name)s.") % {"month": month, "name": name},
        sections=[*moved_sections(payload), *SCOPES[payload["scope"]](payload)],
        foot=_("%(currency)s without tax · %(zone)s") % {"currency": payload["currency"], "zone": payload["zone"]},
        news=news_of(payload, title),
        page_of=_("Page {page} of {pages}"),
        more_on_page=_("and {count} more: the report's page has them all"),
        is_demo=payload["is_demo"],
        demo_notice=_("Demo data. The company and its figures are invented.") if payload["is_demo"] else "",
    )


def _named(payload: Json) -> tuple[str, str]:
    """What the report is about, and what it belongs to."""
    if payload["scope"] == "portfolio":
        return _("Portfolio"), ""
    if payload["scope"] == "programme":
        return payload["programme"]["name"], _("Programme")
    phase = payload["phase"]
    parts = [payload["roadmap"]["programme"], label_of(PHASES, phase["kind"]) if phase else ""]
    return payload["roadmap"]["name"], " · ".join(filter(None, parts))
