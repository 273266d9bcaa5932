"""`/r/<secret>/`: one published report for who holds its private link, without signing in and with nothing around it.

What is answered depends on the link alone: not on a session, which is never read, and no cookie is set. Whatever does
not work, for which reason ever, is one and the same page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from roadmap.models import Report
from roadmap.queries.report_links import count_use, later_revision, linked_report, open_report_link
from roadmap.reports.documents import document_of
from roadmap.views.report_files import KINDS, file_response
from roadmap.views.report_languages import language_asked, languages_of

View = Callable[..., HttpResponseBase]

# The page has a style sheet and its drawings, and neither script nor form.
POLICY = {
    "default-src": [NONE],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def sealed(view: View) -> View:
    """Who may see it is in the address: no other site, cache or search engine learns it, and nobody signs in."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    guarded: View = login_not_required(never_cache(csp(POLICY)(require_safe(answer))))
    return guarded


@sealed
def linked_report_page(request: HttpRequest, secret: str) -> HttpResponse:
    """The report as its own page shows it, without the rest of Phaseline around it."""
    report = _opened(request, secret)
    if report is None:
        return _dead(request)
    document = document_of(report.payload, language_asked(request))
    context = {
        "document": document,
        "report": report,
        "secret": secret,
        "kinds": KINDS,
        "languages": languages_of(report.payload),
        "later": later_revision(report),
    }
    return _page("reports/linked.html", context, document.language)


@sealed
def linked_report_file(request: HttpRequest, secret: str, kind: str) -> HttpResponseBase:
    """The report as a file."""
    report = _opened(request, secret) if kind in KINDS else None
    return _dead(request) if report is None else file_response(report, kind, language_asked(request))


@sealed
def linked_nothing(request: HttpRequest, rest: str) -> HttpResponse:
    """Every other address below: what a broken link is answered, too."""
    return _dead(request)


def _opened(request: HttpRequest, secret: str) -> Report | None:
    """The report behind the secret; the use is counted, a mere HEAD is not."""
    link = open_report_link(secret)
    report = linked_report(link) if link is not None else None
    if link is not None and report is not None and request.method == "GET":
        count_use(link)
    return report


def _dead(request: HttpRequest) -> HttpResponse:
    """Unknown, expired, revoked, switched off: which, is not said."""
    return _page("reports/link_dead.html", {}, language_asked(request), status=404)


def _page(template: str, context: dict[str, Any], language: str, *, status: int = 200) -> HttpResponse:
    """The page and what stands around it in one language, drawn without the request: there is no person to it."""
    with translation.override(language):
        response = HttpResponse(render_to_string(template, context), status=status)
    response.headers["Content-Language"] = language
    return response
