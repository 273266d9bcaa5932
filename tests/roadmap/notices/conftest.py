"""A mail server, a webhook's server, and ways to say what was told to whom."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.models import PersonAddress
from config.mail import mail_settings
from metrics.webhooks import seal_address
from roadmap.deliver import spread
from roadmap.models import Delivery, NoticeSettings
from roadmap.rules.notices import CODES
from tests.doubles.mail_server import mail_server
from tests.doubles.source_server import Reply, source_server
from tests.outbox import work_off_by_day


@pytest.fixture
def mails(settings):
    """A real SMTP server, which this installation sends through."""
    with mail_server() as server:
        for name, value in mail_settings(server.address).items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def hooks(settings):
    """A server that takes what is posted to it."""
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    with source_server() as server:
        server.play = lambda asked: Reply(body="ok")
        yield server


@pytest.fixture
def told():
    """`told()`: (user name, kind, channel, title) of every delivery, after spreading what is new."""

    def _told() -> list[tuple[str, str, str, str]]:
        spread(timezone.now())
        found = Delivery.objects.select_related("person").order_by("pk")
        return [(one.person.username, one.kind, one.channel, one.title) for one in found]

    return _told


@pytest.fixture
def choose():
    """`choose(person, mention=["slack"])`: only these, whatever the defaults are."""

    def _choose(person, *, zone="", **channels):
        NoticeSettings.objects.update_or_create(
            person=person, defaults={"zone": zone, "channels": dict.fromkeys(CODES, []) | channels}
        )

    return _choose


@pytest.fixture
def address(hooks):
    """`address(person, "slack")`: the person's address there, on the server of `hooks`."""

    def _address(person, channel, *, secret=""):
        sealed, shown = seal_address(f"{hooks.url}/{channel}/secret-path", secret=secret, may_be_private=True)
        PersonAddress.objects.create(person=person, channel=channel, sealed=sealed, shown=shown)

    return _address


@pytest.fixture
def deliver():
    """Drain the outbox, as the task does by day."""
    return work_off_by_day
