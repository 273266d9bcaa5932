"""The beat schedule: known to Celery, every entry a task that exists, gone before the next one."""

from __future__ import annotations

from datetime import timedelta

from celery.schedules import crontab

from config.celery import app
from config.schedule import SCHEDULE


def test_beat_has_the_schedule_and_every_entry_is_a_task():
    app.loader.import_default_modules()
    assert set(app.conf.beat_schedule) == set(SCHEDULE)
    assert {entry["task"] for entry in SCHEDULE.values()} - set(app.tasks) == set()


def test_an_entry_expires_before_the_next():
    for name, entry in SCHEDULE.items():
        every = entry["schedule"]
        if isinstance(every, crontab):
            # The narrowest gap of a crontab here is an hour.
            every = timedelta(hours=1).total_seconds()
        assert entry["options"]["expires"] <= every, name
