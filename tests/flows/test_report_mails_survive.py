"""500 subscribers, two beats, two workers that are killed with -9 while they mail: nobody gets two, nobody is lost.

The window: a kill between 'being handed over' being noted and the last line being written leaves a mail of which nobody
here can say that it went. It is shown as perhaps delivered, never sent again by itself, and a person has it sent again
after asking. Here the mail server is asked, by the Message-ID.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from django.utils import timezone

from accounts.access import Asker
from config.mail import mail_settings
from roadmap.actions.report_mails import queue, send_report_mail_again
from roadmap.mailing import post
from roadmap.models import Report, ReportMail, ReportSubscription
from roadmap.queries.fiscal_year import year_of_portfolio
from roadmap.reports.portfolio import portfolio_payload
from roadmap.reports.snapshot import hash_of
from tests.doubles.mail_server import MailServer, mail_server
from tests.flows.database_address import database_url

SUBSCRIBERS = 500
KILLS = 4
PATIENCE_SECONDS = 90
State = ReportMail.State
# What `python -m celery beat` would do every 20 s, every second.
BEAT = (
    "from config.celery import app; from config.schedule import SCHEDULE; "
    "entry = {{**SCHEDULE['mail-reports'], 'schedule': 1.0}}; app.conf.beat_schedule = {{'mail-reports': entry}}; "
    "app.Beat(schedule={schedule!r}, loglevel='WARNING').run()"
)


class Crew:
    """Beats and workers as `bin/up` starts them, each in a process group of its own."""

    def __init__(self, broker: str, mails: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": broker,
            "EMAIL_URL": mails,
            "DEFAULT_FROM_EMAIL": "reports@company.example",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        self.environment.setdefault("SECRET_KEY", "for this test alone")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.beats: list[subprocess.Popen[bytes]] = []

    def beat(self) -> None:
        number = len(self.beats)
        code = BEAT.format(schedule=str(self.folder / f"beat-{number}"))
        self.beats.append(self._start([sys.executable, "-c", code], f"beat-{number}"))

    def worker(self) -> None:
        command = [sys.executable, "-m", "celery", "--app", "config", "worker", "--concurrency", "1"]
        quiet = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.workers.append(self._start([*command, *quiet, "--hostname", f"w{time.monotonic_ns()}@here"], "worker"))

    def kill(self) -> None:
        """The worker that is oldest, all of its processes at once, as a power cut would."""
        process = self.workers.pop(0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def end(self) -> None:
        for process in (*self.beats, *self.workers):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def told(self) -> str:
        return "\n".join(file.read_text()[-2000:] for file in sorted(self.folder.glob("*.log")))

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=django_settings.BASE_DIR,
                env=self.environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def broker(settings) -> Iterator[str]:
    """A database of the broker's that nobody else uses."""
    base, _, _query = settings.CELERY_BROKER_URL.partition("?")
    is_socket = base.startswith("redis+socket")
    address = f"{base}?virtual_host=10" if is_socket else f"{base.rpartition('/')[0]}/10"
    store = (
        redis.Redis(unix_socket_path=base.removeprefix("redis+socket://"), db=10)
        if is_socket
        else redis.Redis.from_url(address)
    )
    store.flushdb()
    yield address
    store.flushdb()
    store.close()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as found:
        yield found


@pytest.fixture
def crew(transactional_db, broker, server, tmp_path) -> Iterator[Crew]:
    found = Crew(broker, server.address, tmp_path)
    yield found
    found.end()


@pytest.fixture
def report(transactional_db) -> Report:
    """The portfolio's, published to 500 board members."""
    today = timezone.localdate()
    month = today.replace(day=1)
    payload = portfolio_payload(
        [],
        year=year_of_portfolio(month, is_demo=False),
        month=month,
        dated_on=today,
        revision=1,
        zone="UTC",
        currency="EUR",
        is_demo=False,
    )
    held = Report.objects.create(
        scope=Report.Scope.PORTFOLIO,
        month=month,
        state=Report.State.PUBLISHED,
        schema_version=payload["schema_version"],
        payload=payload,
        sha256=hash_of(payload),
        published_at=timezone.now(),
    )
    ReportSubscription.objects.bulk_create(
        ReportSubscription(
            scope=Report.Scope.PORTFOLIO,
            address=f"member{number}@board.example",
            mailbox=f"member{number}@board.example",
        )
        for number in range(SUBSCRIBERS)
    )
    assert queue(report=held) == SUBSCRIBERS
    return held


def until(done: Callable[[], object], crew: Crew) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < limit, crew.told()
        time.sleep(0.01)


def minutes_pass() -> None:
    """The claims of who was killed run out; nobody alive is slower than this."""
    in_hand = ReportMail.objects.filter(state__in=[State.SENDING, State.HANDING])
    in_hand.update(claimed_until=timezone.now())


def test_killed_in_the_middle_each_gets_exactly_one(report, crew, server, adam, settings, capsys):
    settings.EMAIL_URL = server.address
    for name, value in mail_settings(server.address).items():
        setattr(settings, name, value)
    for _ in range(2):
        crew.beat()
        crew.worker()
    found_in: Counter[str] = Counter()
    for number in range(1, KILLS + 1):
        until(lambda at=number: len(server.mails) >= at * SUBSCRIBERS // (KILLS + 2), crew)
        crew.kill()
        crew.worker()
        in_hand = ReportMail.objects.filter(state__in=[State.SENDING, State.HANDING])
        claims = list(in_hand.values_list("claim", flat=True))
        # What the other worker has in hand moves on by itself; what stays was the dead one's, and its minutes pass.
        time.sleep(0.4)
        left = in_hand.filter(claim__in=claims)
        found_in.update(left.values_list("state", flat=True))
        left.update(claimed_until=timezone.now())
    until(lambda: not report.mails.filter(state__in=[State.WAITING, State.SENDING]).exists(), crew)
    crew.end()
    crew.workers, crew.beats = [], []
    minutes_pass()
    post.work_off()

    arrived = Counter(mail["To"] for mail in server.mails)
    states = Counter(report.mails.values_list("state", flat=True))
    unknown = list(report.mails.filter(state=State.UNKNOWN))
    ids = {mail["Message-ID"] for mail in server.mails}
    lost = [mail for mail in unknown if f"<{mail.uuid}@company.example>" not in ids]
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this test is for
            f"\n{KILLS} kills: {dict(found_in)} in hand; {dict(states)}; {len(unknown)} perhaps delivered, "
            f"of which {len(unknown) - len(lost)} had arrived."
        )
    # Nobody got two, whatever was killed when; who got none is among those that are shown as unknown.
    assert max(arrived.values()) == 1
    assert set(states) <= {State.SENT, State.UNKNOWN}
    assert len(unknown) <= KILLS
    assert len(arrived) == SUBSCRIBERS - len(lost)
    # A person asks the mail server, and has the others sent again.
    for mail in lost:
        send_report_mail_again(Asker(adam), mail)
    settings.DEFAULT_FROM_EMAIL = "reports@company.example"
    assert post.work_off() == len(lost)
    arrived = Counter(mail["To"] for mail in server.mails)
    assert arrived == {f"member{number}@board.example": 1 for number in range(SUBSCRIBERS)}
