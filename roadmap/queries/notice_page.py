"""What stands on the pages of notifications: a person's choices and what became of what they were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import ngettext

from accounts.access import Asker, visible_workloads
from accounts.models import PersonAddress, User
from roadmap.channels import CHANNELS
from roadmap.models import Delivery, NoticeSettings
from roadmap.rules.notices import KINDS, MAIL, channels_for

SHOWN = 15
MOST_FAILED = 200
TONES = {
    Delivery.State.SENT: "green",
    Delivery.State.FAILED: "red",
    Delivery.State.DROPPED: "off",
    Delivery.State.WAITING: "open",
    Delivery.State.SENDING: "open",
}


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """One channel of a person: `where` it goes, empty where no address is known."""

    code: str
    label: str
    where: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class KindRow:
    """One row of the choices: `cells` are (channel's code and label, whether it is on)."""

    code: str
    label: str
    help: str
    cells: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """What became of one delivery, in words."""

    delivery: Delivery
    channel: str
    tone: str
    word: str
    may_retry: bool


@dataclass(frozen=True, slots=True)
class Notifications:
    """A person's page. `mail_is_sent`: whether this installation has a mail server, or writes mails into its log."""

    places: Sequence[ChannelPlace]
    rows: Sequence[KindRow]
    zone: str
    told: Sequence[DeliveryLine]
    mail_is_sent: bool


def settings_of(person: User) -> NoticeSettings:
    """The person's settings, or the defaults as an unsaved row."""
    return NoticeSettings.objects.filter(person=person).first() or NoticeSettings(person=person)


def notifications(asker: Asker) -> Notifications:
    """The asker's own page, in three queries."""
    person = asker.user
    row = settings_of(person)
    addresses = {one.channel: one for one in PersonAddress.objects.filter(person=person)}
    places = []
    for channel in CHANNELS:
        address = addresses.get(channel.code)
        where = person.email if channel.code == MAIL else address.shown if address else ""
        places.append(ChannelPlace(channel.code, str(channel.label), where, address.changed_at if address else None))
    rows = [
        KindRow(
            kind.code,
            str(kind.label),
            str(kind.help),
            [
                (channel.code, str(channel.label), channel.code in channels_for(row.channels, kind.code))
                for channel in CHANNELS
            ],
        )
        for kind in KINDS
    ]
    return Notifications(places, rows, row.zone, _lines(_told(asker)[:SHOWN]), mail_is_sent())


def _told(asker: Asker) -> QuerySet[Delivery]:
    """What the asker was told or will be, of what they see now; what was dropped was not for them any more."""
    seen = Q(notice__workload=None) | Q(notice__workload__in=visible_workloads(asker))
    found = Delivery.objects.filter(seen, person=asker.user).exclude(state=Delivery.State.DROPPED)
    return found.select_related("notice__workload").order_by("-created_at", "-pk")


def undelivered() -> Sequence[DeliveryLine]:
    """What could not be delivered to anybody, the newest first: given up, or still tried. For admins."""
    found = Delivery.objects.filter(Q(state=Delivery.State.FAILED) | Q(state=Delivery.State.WAITING, attempts__gt=0))
    return _lines(found.select_related("notice__workload", "person").order_by("-created_at", "-pk")[:MOST_FAILED])


def mail_is_sent() -> bool:
    """Whether mails leave this machine; by default they are written into the log."""
    return ".console." not in settings.EMAIL_BACKEND and ".dummy." not in settings.EMAIL_BACKEND


def _lines(found: QuerySet[Delivery]) -> list[DeliveryLine]:
    labels = {channel.code: str(channel.label) for channel in CHANNELS}
    return [
        DeliveryLine(
            one,
            labels.get(one.channel, one.channel),
            TONES.get(one.state, "open"),  # type: ignore[call-overload]
            _word(one),
            one.state == Delivery.State.FAILED,
        )
        for one in found
    ]


def _word(one: Delivery) -> str:
    if one.state == Delivery.State.WAITING and one.attempts:
        return ngettext("Tried %(count)s time, tried again", "Tried %(count)s times, tried again", one.attempts) % {
            "count": one.attempts
        }
    return one.get_state_display()
