"""The portfolio page, and the same table as a file."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.access import can_make_roadmaps, can_see_backends
from accounts.authentication import asker_of
from roadmap.queries.portfolio import Portfolio, first_steps, portfolio
from roadmap.queries.portfolio_filters import GROUPS, LABELS, parse_portfolio_filters
from roadmap.tables.portfolio import portfolio_table
from roadmap.views.portfolio_row import row_markup
from web.file_tables import table_file
from web.htmx import render


@require_safe
def portfolio_page(request: HttpRequest) -> HttpResponse:
    """Every roadmap that the asker may see; without any, the first four steps."""
    asker = asker_of(request)
    found = portfolio(asker, parse_portfolio_filters(request.GET))
    context: dict[str, Any] = {
        "portfolio": found,
        "groups": [
            {"title": group.title, "rows": [row_markup(row, found) for row in group.rows]} for group in found.groups
        ],
        "can_make": can_make_roadmaps(asker),
        "selects": _selects(found),
    }
    if not found.count:
        context["steps"] = first_steps(asker, has_backends=can_see_backends(asker))
    return render(request, "roadmap/portfolio.html", context, part="portfolio")


def _selects(found: Portfolio) -> list[dict[str, Any]]:
    """The filter's fields with their choices."""
    fields = [
        {
            "name": name,
            "label": label,
            "options": [("", everything), *found.choices.get(name, ())],
            "value": found.filters.value(name),
        }
        for name, (label, everything) in LABELS.items()
    ]
    fields.append(
        {
            "name": "group",
            "label": gettext("Group by"),
            "options": list(GROUPS.items()),
            "value": found.filters.group,
        }
    )
    return fields


@require_safe
def portfolio_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """The table of the page with the same filters, a row per roadmap, amounts with every digit.

    422 for a filter that names nothing: a file with every roadmap would be taken for the answer.
    """
    found = portfolio(asker_of(request), parse_portfolio_filters(request.GET))
    if found.filters.problems:
        text = "\n".join(problem.message for problem in found.filters.problems)
        return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")
    notes = [
        gettext("Filter: %(filter)s") % {"filter": found.filters.query or "none"},
        gettext("Amounts in %(currency)s, of the present phase to date") % {"currency": found.currency},
    ]
    return table_file(portfolio_table(found.currency), found.rows, form, name="portfolio", notes=notes)
