"""What Django's error pages and mails (DEBUG=1, ADMINS) may show: neither what was entered nor what code had in hand.

Credentials pass through forms, actions and connectors as plain values; a page that lists local variables would print
them. The traceback itself stays.
"""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

HIDDEN = "hidden"


class Filter(SafeExceptionReporterFilter):
    """Hides variables, what was posted, and each setting that may hold a key or an address with a password."""

    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|URL|BROKER|DATABASE|EMAIL", flags=re.IGNORECASE
    )

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {} if request is None else dict.fromkeys(request.POST, HIDDEN)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        return dict.fromkeys(tb_frame.f_locals, HIDDEN).items()
