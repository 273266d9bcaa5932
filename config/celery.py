"""The Celery application. Its beat schedule is code in `config.schedule`; what is due is a query in each task."""

import os
from typing import Any

from celery import Celery
from celery.app.task import Task

from accounts.origin import coming_from
from config.schedule import SCHEDULE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class TaskSaysFromWhere(Task):
    """The audit trail says which task a change came from."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with coming_from(f"task {self.name}"):
            return super().__call__(*args, **kwargs)


app = Celery("phaseline", task_cls=TaskSaysFromWhere)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.autodiscover_tasks()
