"""The portfolio page, and the same table as a CSV file."""

from __future__ import annotations

import csv
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.access import can_make_roadmaps, can_see_backends
from accounts.authentication import asker_of
from roadmap.queries.portfolio import Portfolio, first_steps, portfolio
from roadmap.queries.portfolio_filters import GROUPS, LABELS, parse_portfolio_filters
from roadmap.views.portfolio_row import row_markup
from web.htmx import render
from web.spreadsheets import amount_text, safe_text


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
        "csv_query": found.filters.query,
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
    fields.append({"name": "group", "label": "Group by", "options": list(GROUPS.items()), "value": found.filters.group})
    return fields


@require_safe
def portfolio_csv(request: HttpRequest) -> HttpResponse:
    """The table of the page with the same filters, a row per roadmap, amounts with every digit."""
    found = portfolio(asker_of(request), parse_portfolio_filters(request.GET))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="portfolio-{found.today.isoformat()}.csv"'
    writer = csv.writer(response)
    currency = found.currency
    writer.writerow(
        [
            "roadmap",
            "name",
            "programme",
            "business_unit",
            "owner",
            "phase",
            "status",
            "sentence",
            f"spent_{currency}",
            f"budget_{currency}",
            f"forecast_{currency}",
            "from",
            "to",
            "next_milestone",
            "next_milestone_on",
            "next_gate_on",
            "criteria_met",
            "criteria",
            "demo",
        ]
    )
    for row in found.rows:
        writer.writerow(
            [
                row.slug,
                safe_text(row.name),
                safe_text(row.programme),
                safe_text(row.business_unit),
                safe_text(row.owner),
                row.phase_kind,
                row.status,
                safe_text(row.sentence),
                amount_text(row.spent),
                amount_text(row.budget),
                amount_text(row.forecast),
                row.start_on or "",
                row.last_on or "",
                safe_text(row.milestone),
                row.milestone_on or "",
                row.gate_on or "",
                row.criteria_met,
                row.criteria_total,
                "yes" if row.is_demo else "no",
            ]
        )
    return response
