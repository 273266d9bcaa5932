"""`/metrics`: what this installation takes in, for a Prometheus that watches it. Behind a token of its own."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from metrics.models import Backend, Receipt
from metrics.sources import NOT_PULLED
from web.problems import problem_response

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RECEIPT_SUMS = {
    "accepted": "Records that count.",
    "duplicates": "Records whose id was counted before.",
    "rejected_count": "Records that were refused.",
    "not_priced": "Records that no price was known for.",
}


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Counters from the database, in Prometheus' text format. 404 unless METRICS_TOKEN is set."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
        return problem_response(
            401, "not_authenticated", "Send METRICS_TOKEN as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )
    return HttpResponse("\n".join([*_receipt_lines(), *_backend_lines(), ""]), content_type=CONTENT_TYPE)


def _receipt_lines() -> Iterator[str]:
    rows: list[Any] = list(
        Receipt.objects.values("kind")
        .annotate(receipts=Count("pk"), **{f"sum_{name}": Sum(name) for name in _RECEIPT_SUMS})
        .order_by("kind")
    )
    yield from _head("phaseline_receipts_total", "counter", "Receipts by kind.")
    for row in rows:
        yield f'phaseline_receipts_total{{kind="{row["kind"]}"}} {row["receipts"]}'
    for name, help_text in _RECEIPT_SUMS.items():
        metric = f"phaseline_records_{name.removesuffix('_count')}_total"
        yield from _head(metric, "counter", help_text)
        for row in rows:
            # Of pulls and postings these are hours, not records; a reversal's are negative.
            if row["kind"] in ("push", "import"):
                yield f'{metric}{{kind="{row["kind"]}"}} {row[f"sum_{name}"]}'


def _backend_lines() -> Iterator[str]:
    backends = Backend.objects.filter(is_enabled=True, is_demo=False).exclude(connector__in=NOT_PULLED).order_by("slug")
    rows = list(backends.values_list("slug", "failures_in_a_row", "is_problem_permanent", "data_until"))
    now = timezone.now()
    yield from _head("phaseline_backend_failures_in_a_row", "gauge", "Pulls that failed since the last good one.")
    for slug, failures, _, _ in rows:
        yield f'phaseline_backend_failures_in_a_row{{backend="{slug}"}} {failures}'
    yield from _head("phaseline_backend_needs_a_person", "gauge", "1 where trying again is useless.")
    for slug, _, is_permanent, _ in rows:
        yield f'phaseline_backend_needs_a_person{{backend="{slug}"}} {int(is_permanent)}'
    yield from _head("phaseline_backend_data_age_seconds", "gauge", "Seconds since the end of the data that was read.")
    for slug, _, _, data_until in rows:
        if data_until is not None:
            age = max(0, round((now - data_until).total_seconds()))
            yield f'phaseline_backend_data_age_seconds{{backend="{slug}"}} {age}'


def _head(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
