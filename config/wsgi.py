"""The WSGI application that gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
# The addresses with all their views are loaded now, not with the first request.
get_resolver().url_patterns  # noqa: B018
# What is loaded stays for good: the garbage collector need not walk it over and over, and forked processes share it. A
# push of 10,000 records or a page of charts makes many objects that die by themselves; the defaults of 700 and 10 walk
# everything several times for one answer.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)
