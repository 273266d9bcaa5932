"""The fiscal year of what somebody sees, and the same table as a file."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.authentication import asker_of
from roadmap.queries.fiscal_year_page import YearPage, basis_text, month_state, share_text, year_page
from roadmap.tables.fiscal_year import year_table
from web.file_tables import table_file
from web.htmx import render


@login_required
@require_safe
def fiscal_year(request: HttpRequest) -> HttpResponse:
    """Spend against plan by month, with what is forecast for the rest."""
    page = year_page(asker_of(request), request.GET)
    context = {
        "page": page,
        "selects": _selects(page),
        "months": [
            {
                "month": line.month,
                "state": month_state(line, page.facts),
                "held": line.held,
                "share": share_text(line.held),
                "basis": basis_text(line.held.spent),
                "forecast": line.forecast,
            }
            for line in page.facts.months
        ],
        "share_to_date": share_text(page.facts.to_date),
        "roadmaps": [{"line": line, "share": share_text(line.to_date)} for line in page.facts.by_roadmap],
    }
    return render(request, "roadmap/fiscal_year.html", context, part="year")


@login_required
@require_safe
def fiscal_year_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """A row a month, amounts with every digit. 422 for a filter that names nothing."""
    page = year_page(asker_of(request), request.GET)
    if page.filters.problems:
        text = "\n".join(problem.message for problem in page.filters.problems)
        return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")
    notes = [
        f"Fiscal year {page.facts.year.name}, {page.facts.year.start_on} to {page.facts.year.last_on}",
        f"Filter: {page.filters.query}",
        f"Amounts in {page.currency} without tax, local days of {page.zone}",
        "Share of plan: spend / plan of the roadmaps that have one; coverage: their part of the spend.",
    ]
    name = f"fiscal-year-{page.facts.year.start_on.year}"
    return table_file(year_table(page.currency), page.facts.months, form, name=name, notes=notes)


def _selects(page: YearPage) -> list[dict[str, Any]]:
    """The filter's fields with their choices; one that offers nothing is left out."""
    filters = page.filters
    fields = [
        ("year", _("Fiscal year"), "", str(filters.year.start_on.year)),
        ("programme", _("Programme"), _("All programmes"), filters.programme),
        ("roadmap", _("Roadmap"), _("All roadmaps"), filters.roadmap),
    ]
    return [
        {
            "name": name,
            "label": label,
            "options": [*([("", everything)] if everything else []), *page.choices[name]],
            "value": value,
        }
        for name, label, everything, value in fields
        if page.choices[name]
    ]
