"""The Spend page and its files. Who may not see it finds nothing there."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, pgettext
from django.views.decorators.http import require_safe

from accounts.access import Asker, can_see_backends, can_see_spend, sees_everything
from accounts.authentication import asker_of
from roadmap.queries import spend_anomalies as queries_anomalies
from roadmap.queries import spend_moved as queries_moved
from roadmap.queries import spend_prices as queries_prices
from roadmap.queries import spend_reconcile as queries_reconcile
from roadmap.queries import spend_sources
from roadmap.queries.spend import SpendView, spend_page, spend_view
from roadmap.queries.spend_exports import about, csv_rows, focus_csv, spend_columns, spend_rows, spend_values
from roadmap.queries.spend_filters import DIMENSIONS, FILTERS
from roadmap.queries.spend_tab import SpendTab
from web.htmx import render
from web.spreadsheets import attachment, xlsx_file

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Tabs: name of the address, text, whether only those who see everything have it.
TABS = (
    ("spend", gettext_lazy("Spend"), False),
    ("spend_moved", gettext_lazy("What moved"), False),
    ("spend_reconcile", gettext_lazy("Reconcile"), False),
    ("spend_unallocated", gettext_lazy("Unallocated"), True),
    ("spend_idle", gettext_lazy("Idle"), False),
    ("spend_prices", gettext_lazy("Prices and rates"), False),
    ("spend_anomalies", gettext_lazy("Anomalies"), False),
)


def spend_asker(request: HttpRequest) -> Asker:
    """Who asks; nothing is here for those who may not see spend."""
    asker = asker_of(request)
    if not can_see_spend(asker):
        raise Http404
    return asker


def tabs_for(view: SpendView, current: str) -> list[dict[str, Any]]:
    """The tabs, each with the window and the filters of this one."""
    return [
        {"text": text, "url": reverse(name) + view.filters.query, "is_current": name == current}
        for name, text, needs_all in TABS
        if view.plan.sees_all or not needs_all
    ]


def frame_context(view: SpendView, current: str) -> dict[str, Any]:
    """What every tab shows: tabs, filters, window, notices."""
    return {
        "view": view,
        "filters": view.filters,
        "tabs": tabs_for(view, current),
        "selects": _selects(view),
        "address": reverse(current),
        "can_connect": can_see_backends(view.asker),
        "sees_all": view.plan.sees_all,
    }


@require_safe
def spend(request: HttpRequest) -> HttpResponse:
    """Spend by any two dimensions."""
    asker = spend_asker(request)
    page = spend_page(asker, request.GET)
    context = frame_context(page.view, "spend") | {"page": page, "dimensions": _dimension_selects(page.view)}
    return render(request, "roadmap/spend.html", context, part="spend")


@require_safe
def spend_moved(request: HttpRequest) -> HttpResponse:
    """What the change between two periods comes from."""
    page = queries_moved.spend_moved(spend_asker(request), request.GET)
    return _tab(request, page.tab, before=(page.before[0], page.before_last_on))


@require_safe
def spend_reconcile(request: HttpRequest) -> HttpResponse:
    """Billed beside estimated, per backend and month."""
    return _tab(request, queries_reconcile.spend_reconcile(spend_asker(request), request.GET))


@require_safe
def spend_unallocated(request: HttpRequest) -> HttpResponse:
    """What belongs to no roadmap; it is shown to those who see the whole organisation."""
    asker = spend_asker(request)
    if not sees_everything(asker):
        raise Http404
    return _tab(request, spend_sources.spend_unallocated(asker, request.GET))


@require_safe
def spend_idle(request: HttpRequest) -> HttpResponse:
    """Capacity held and not used."""
    return _tab(request, spend_sources.spend_idle(spend_asker(request), request.GET))


@require_safe
def spend_prices(request: HttpRequest) -> HttpResponse:
    """Prices, rate cards and exchange rates in force."""
    return _tab(request, queries_prices.spend_prices(spend_asker(request), request.GET))


@require_safe
def spend_anomalies(request: HttpRequest) -> HttpResponse:
    """Days outside their band."""
    return _tab(request, queries_anomalies.spend_anomalies(spend_asker(request), request.GET))


def _tab(request: HttpRequest, tab: SpendTab, **more: Any) -> HttpResponse:
    context = frame_context(tab.view, tab.name) | {"tab": tab, **more}
    return render(request, "roadmap/spend_tab.html", context, part="spend")


def _selects(view: SpendView) -> list[dict[str, Any]]:
    """The filters with their choices; one that offers nothing is left out."""
    return [
        {
            "name": name,
            "label": DIMENSIONS[name],
            "options": [("", everything), *view.choices.get(name, ())],
            "value": view.filters.value(name),
        }
        for name, everything in FILTERS.items()
        if view.choices.get(name)
    ]


def _dimension_selects(view: SpendView) -> list[dict[str, Any]]:
    """The two dimensions, as two fields of one name."""
    by = view.filters.by
    return [
        {"id": "by-first", "label": pgettext("group by", "By"), "options": list(DIMENSIONS.items()), "value": by[0]},
        {
            "id": "by-second",
            "label": gettext("and by"),
            "options": [("", gettext("Nothing else")), *DIMENSIONS.items()],
            "value": by[1] if len(by) > 1 else "",
        },
    ]


# --- Files of exactly this view


def _view(request: HttpRequest) -> SpendView:
    return spend_view(spend_asker(request), request.GET)


def _name(view: SpendView, kind: str) -> str:
    return f"{kind}-{view.filters.start_on.isoformat()}-to-{view.filters.last_on.isoformat()}"


@require_safe
def spend_csv(request: HttpRequest) -> HttpResponseBase:
    """The table of the page, a row per combination, amounts with every digit."""
    view = _view(request)
    cells, _ = view.reader.cells(view.filters.by)
    return attachment(csv_rows(view, cells), f"{_name(view, 'spend')}.csv", CSV)


@require_safe
def spend_focus(request: HttpRequest) -> HttpResponseBase:
    """The same money as FOCUS 1.2, by the day or (`grain=month`) by the month."""
    view = _view(request)
    return attachment(focus_csv(view, grain=request.GET.get("grain", "day")), f"{_name(view, 'focus')}.csv", CSV)


@require_safe
def spend_xlsx(request: HttpRequest) -> HttpResponseBase:
    """The same as the CSV file, as a workbook with numbers in its cells."""
    view = _view(request)
    by = view.filters.by
    cells, reading = view.reader.cells(by)
    rows = (spend_values(by, row) for row in spend_rows(cells))
    words = " and ".join(DIMENSIONS[name].lower() for name in by)
    content = xlsx_file(
        spend_columns(by, view.currency), rows, sheet="Spend", notes=about(view, reading, f"Spend by {words}")
    )
    return attachment(content, f"{_name(view, 'spend')}.xlsx", XLSX)
