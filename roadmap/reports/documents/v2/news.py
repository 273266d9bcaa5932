"""The news of a report in a line, which is the subject of its mail: spend of budget, status, decisions."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from roadmap.reports.document import Json
from roadmap.reports.documents.v2.headline import status_word
from roadmap.reports.documents.v2.portfolio import status_of
from roadmap.reports.documents.v2.values import day_of, number_of
from web import wording


def news_of(payload: Json, title: str) -> str:
    """'AI report October 2026: 412 k of 500 k EUR, 1 of 12 off track, 2 decisions', in the language in force.

    The portfolio is the organisation's, so that its name says nothing; others have `title`, 'Letters, October 2026'.
    A revision says so.
    """
    values = {section["name"]: section["value"] for section in payload["sections"]}
    headline = values["headline"]
    if payload["scope"] == "roadmap":
        told = [_roadmap_spend(values, payload["currency"]), status_word(headline["status"])]
    else:
        told = [_portfolio_spend(headline, payload["currency"]), status_of(headline)[1]]
    count = len(values["decisions"]["items"]) if "decisions" in values else 0
    if count:
        told.append(ngettext("%(count)s decision", "%(count)s decisions", count) % {"count": count})
    if payload["scope"] == "portfolio":
        title = wording.month(day_of(payload["month"]))
    if payload["revision"] > 1:
        title = _("%(title)s (revision %(number)s)") % {"title": title, "number": payload["revision"]}
    news = ", ".join(filter(None, [told[0], *(part.lower() for part in told[1:])]))
    return _("AI report %(title)s: %(news)s") % {"title": title, "news": news}


def _roadmap_spend(values: Json, currency: str) -> str:
    """The phase's spend of its budget; without a budget, the month's spend."""
    course = values.get("course")
    if course and number_of(course["budget"]):
        return _of(number_of(course["points"][-1]["spent"]), number_of(course["budget"]), course["unit"])
    month = next((figure for figure in values["headline"]["figures"] if figure["key"] == "spend"), None)
    return _of(number_of(month["value"]), None, currency) if month else ""


def _portfolio_spend(headline: Json, currency: str) -> str:
    """The fiscal year's spend of its plan; where not all of it has one, all of it and what was planned."""
    held = next(figure for figure in headline["figures"] if figure["key"] == "to_date")
    spent, plan = number_of(held["value"]), number_of(headline["plan_of_year"])
    covered, part = number_of(held["plan_coverage"]), number_of(held["spend_with_plan"])
    is_whole = covered is None or covered >= 1 or wording.money(spent, "") == wording.money(part, "")
    if not plan or spent is None or is_whole:
        return _of(spent, plan, currency)
    return _("%(spent)s (%(part)s planned)") % {
        "spent": wording.money(spent, currency),
        "part": _of(part, plan, currency),
    }


def _of(spent: Decimal | None, budget: Decimal | None, currency: str) -> str:
    if spent is None:
        return ""
    if not budget:
        return wording.money(spent, currency)
    return _("%(spent)s of %(budget)s") % {
        "spent": wording.money(spent, ""),
        "budget": wording.money(budget, currency),
    }
