"""Says for the length of a request from where it comes."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.origin import client_address, coming_from, parse_proxies


class SaysFromWhere:
    """The asker's address for the audit trail, through the proxies of TRUSTED_PROXIES."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = client_address(
            request.META.get("REMOTE_ADDR", ""),
            request.META.get("HTTP_X_FORWARDED_FOR", ""),
            parse_proxies(settings.TRUSTED_PROXIES),
        )
        with coming_from(address):
            return self.get_response(request)
