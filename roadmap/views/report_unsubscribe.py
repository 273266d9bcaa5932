"""`/reports/unsubscribe/<token>/`: ends the mails of who holds the link, without signing in (RFC 8058).

A GET changes nothing, since mail programs and scanners follow links; the POST ends it, from the button or from a mail
program's own, which sends no cookie and no token of ours.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from roadmap.actions.report_mails import language_for
from roadmap.actions.report_subscriptions import end_report_subscription
from roadmap.mailing.compose import subscription_of
from roadmap.queries.report_mail import subject_of


@csrf_exempt
@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def report_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A page with one button; after it, that it is done. Whoever has the link has the mailbox."""
    try:
        subscription = subscription_of(token)
    except BadSignature:
        raise Http404("There is no such link.") from None
    if request.method == "POST" and subscription is not None:
        end_report_subscription(subscription)
        subscription.is_on = False
    context = {
        "subscription": subscription,
        "subject": subject_of(subscription) if subscription is not None else None,
        "is_on": subscription is not None and subscription.is_on,
    }
    # In the language of the mail that led here, whatever the browser's is.
    language = language_for(subscription) if subscription is not None else translation.get_language()
    with translation.override(language):
        response = render(request, "roadmap/report_unsubscribe.html", context)
    response.headers["Content-Language"] = language
    # The address is a key: it stays off other sites' logs and out of search engines.
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
