"""Backends, series and receipts as CSV and XLSX, for those who see their pages."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.access import can_see_backends, can_see_rules
from accounts.authentication import asker_of
from metrics.actions.usage import visible_receipts
from metrics.backends import backend_list, backend_page
from metrics.models import AllocationRule
from metrics.tables import BACKENDS, OWN_PRICES, RECEIPTS, RULES, series_table
from metrics.views.price_list import own_prices
from metrics.visible import shown_backends
from web import wording
from web.file_tables import MOST_ROWS, table_file


@require_safe
def backends_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """Every backend that the asker may see."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Backends are shown to managers, contributors, executives and admins."))
    return table_file(BACKENDS, backend_list(asker), form, name="backends")


@require_safe
def series_file(request: HttpRequest, slug: str, form: str) -> HttpResponseBase:
    """The series of a backend with their last four weeks."""
    asker = asker_of(request)
    page = backend_page(asker, get_object_or_404(shown_backends(asker), slug=slug))
    notes = [page.backend.name]
    if page.window is not None:
        notes.append(f"{wording.days(*page.window)}, local days of {settings.REPORTING_TIME_ZONE}")
    return table_file(series_table(settings.REPORTING_CURRENCY), page.series, form, name=f"series-{slug}", notes=notes)


@require_safe
def receipts_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """Every receipt that the asker may read, the newest first."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Sending data needs the role of a contributor or manager for a roadmap."))
    found = visible_receipts(asker).select_related("workload", "token", "user", "reverses")
    rows = found.order_by("-created_at", "-pk")[:MOST_ROWS].iterator(chunk_size=2_000)
    return table_file(RECEIPTS, rows, form, name="receipts")


@require_safe
def prices_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """The own prices that the asker may see."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Prices are shown to managers, contributors, executives and admins."))
    return table_file(OWN_PRICES, own_prices(asker), form, name="own-prices")


@require_safe
def rules_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """The rules in the order in which they are tried."""
    if not can_see_rules(asker_of(request)):
        raise PermissionDenied(gettext("Allocation rules are shown to executives and admins."))
    rules = AllocationRule.objects.select_related("backend").prefetch_related("shares__workload")
    return table_file(RULES, rules, form, name="allocation-rules")
