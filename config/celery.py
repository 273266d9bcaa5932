"""The Celery application. Its beat schedule is code in `config.schedule`; what is due is a query in each task."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("phaseline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
