"""The WSGI application that gunicorn serves."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.database import serve_within

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, in a thread that does not wait for its database for ever."""
    serve_within(settings.DATABASE_ANSWER_SECONDS)
    return _django(environ, start_response)


# The addresses with all their views are loaded now, not with the first request.
get_resolver().url_patterns  # noqa: B018
# What is loaded stays for good: the garbage collector need not walk it over and over, and forked processes share it. A
# push of 10,000 records or a page of charts makes many objects that die by themselves; the defaults of 700 and 10 walk
# everything several times for one answer.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
