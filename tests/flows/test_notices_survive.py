"""A process that is killed while it sends: what it had in hand is sent once, by another, under the same id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from accounts.models import Workload
from config.mail import mail_settings
from roadmap.deliver import work_off
from roadmap.models import Delivery, Notice
from tests.doubles.mail_server import mail_server
from tests.flows.database_address import database_url

WORK = "import django; django.setup(); from roadmap.deliver import work_off; work_off()"
PATIENCE_SECONDS = 60


@pytest.fixture
def waiting(transactional_db, adam) -> Delivery:
    """One thing to tell, which nobody has in hand."""
    claims = Workload.objects.create(slug="claims", name="Claims assistant")
    notice = Notice.objects.create(key="test", kind="add_comment", workload=claims, spread_at=timezone.now())
    return Delivery.objects.create(notice=notice, kind="mention", person=adam, channel="mail", title="Look", url="/me/")


def test_killed_while_it_sends(waiting, settings):
    with mail_server() as server:
        server.is_held = True
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "EMAIL_URL": server.address,
        }
        environment.setdefault("SECRET_KEY", "for this test alone")
        process = subprocess.Popen([sys.executable, "-c", WORK], cwd=django_settings.BASE_DIR, env=environment)
        try:
            limit = time.monotonic() + PATIENCE_SECONDS
            while not server.begun:
                assert time.monotonic() < limit
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait(10)
        waiting.refresh_from_db()
        batch = waiting.batch
        assert (waiting.state, waiting.attempts) == (Delivery.State.SENDING, 1)
        assert waiting.claimed_until > timezone.now() + timedelta(minutes=4)
        server.is_held = False
        for name, value in mail_settings(server.address).items():
            setattr(settings, name, value)
        # Its claim is not over: nobody else takes it.
        work_off()
        assert server.mails == []
        # The minutes pass.
        Delivery.objects.update(claimed_until=timezone.now())
        work_off()
        work_off()
    [mail] = server.mails
    assert str(batch) in mail["Message-ID"]
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (Delivery.State.SENT, 2)
