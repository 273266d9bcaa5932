"""A person's own choices of what they are told and where; and trying again what was not delivered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from zoneinfo import available_timezones

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import Asker
from accounts.audit import record
from accounts.models import PersonAddress
from metrics.errors import RuleViolation
from metrics.webhooks import seal_address
from roadmap.channel import Destination
from roadmap.channels import channel_for
from roadmap.channels.webhook import new_secret
from roadmap.models import Delivery, NoticeSettings
from roadmap.queries.notice_messages import example_message
from roadmap.rules.notices import CHANNELS, CODES, DEFAULTS, MAIL, WEBHOOK, channels_for


@transaction.atomic
def choose_notices(asker: Asker, *, channels: Mapping[str, Sequence[str]], zone: str) -> NoticeSettings:
    """What the asker is told of through which channels ({kind: channels}; a kind left out is off), and their zone."""
    strange = set(channels) - set(CODES) | {item for chosen in channels.values() for item in chosen} - set(CHANNELS)
    if strange:
        raise RuleViolation("unknown_choice", _("'%(choice)s' is not one of the choices.") % {"choice": min(strange)})
    if zone and zone not in available_timezones():
        raise RuleViolation("unknown_zone", _("Choose a time zone of the list, such as Europe/Amsterdam."), "zone")
    row, _made = NoticeSettings.objects.select_for_update().get_or_create(person=asker.user)
    before = _in_words(row)
    row.zone = zone
    row.channels = {kind: [item for item in CHANNELS if item in channels.get(kind, ())] for kind in CODES}
    row.save()
    after = _in_words(row)
    changed = {name for name in after if before[name] != after[name]}
    record(
        asker,
        action="choose_notices",
        subject=asker.user,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return row


@transaction.atomic
def set_address(asker: Asker, *, channel: str, address: str) -> str:
    """Where the asker's messages of a channel go. Returns a webhook's signing secret, to show once; else ''."""
    if channel not in PersonAddress.Channel.values:
        raise RuleViolation("unknown_channel", _("Choose Slack, Teams or webhook."), "channel")
    secret = new_secret() if channel == WEBHOOK else ""
    sealed, shown = seal_address(address, secret=secret, may_be_private=asker.user.is_admin)
    held = PersonAddress.objects.select_for_update().filter(person=asker.user, channel=channel).first()
    row = held or PersonAddress(person=asker.user, channel=channel)
    before = {"channel": channel, "host": held.shown} if held else None
    row.sealed, row.shown, row.changed_at = sealed, shown, timezone.now()
    row.save()
    record(asker, action="set_address", subject=row, before=before, after={"channel": channel, "host": shown})
    return secret


@transaction.atomic
def remove_address(asker: Asker, *, channel: str) -> None:
    """Nothing goes there any more; what waits for it is dropped."""
    row = PersonAddress.objects.select_for_update().filter(person=asker.user, channel=channel).first()
    if row is None:
        raise RuleViolation("no_address", _("There is no address to take away."), "channel")
    record(asker, action="remove_address", subject=row, before={"channel": channel, "host": row.shown})
    row.delete()


def send_test_notice(asker: Asker, *, channel: str) -> str:
    """Send a test to the asker now; where it went, to show. Raises RuleViolation without an address, ConnectorError."""
    person = asker.user
    if channel == MAIL:
        if not person.email:
            raise RuleViolation("no_address", _("No mail address of yours is known. An admin enters it under People."))
        to, shown = Destination(mail=person.email), person.email
    else:
        address = PersonAddress.objects.filter(person=person, channel=channel).first()
        if address is None:
            raise RuleViolation("no_address", _("Enter an address first."), "channel")
        to, shown = Destination(sealed=bytes(address.sealed), may_be_private=person.is_admin), address.shown
    # Noted before it is sent: a test that fails was made all the same.
    record(asker, action="send_test_notice", subject=person, after={"channel": channel, "to": shown})
    channel_for(channel).send(example_message(person, id=uuid.uuid4(), now=timezone.now()), to)
    return shown


@transaction.atomic
def retry_delivery(asker: Asker, delivery: Delivery) -> Delivery:
    """Try again what was given up: its person, or an admin."""
    if asker.user.pk != delivery.person_id and not asker.user.is_admin:
        raise PermissionDenied(_("Only whom it is for, or an admin, has it tried again."))
    row = Delivery.objects.select_for_update(of=("self",)).select_related("notice__workload").get(pk=delivery.pk)
    if row.state != Delivery.State.FAILED:
        raise RuleViolation("not_failed", _("It is delivered, or still tried."))
    # All that went in the same message, or it would be torn in two under one id.
    Delivery.objects.filter(batch=row.batch, state=Delivery.State.FAILED).update(
        state=Delivery.State.WAITING, due_at=timezone.now(), attempts=0, ended_at=None
    )
    record(
        asker,
        action="retry_delivery",
        subject=row.person,
        after={"channel": row.channel, "kind": row.kind},
    )
    return row


def _in_words(row: NoticeSettings) -> dict[str, str]:
    words = {kind: ", ".join(channels_for(row.channels, kind)) or "nothing" for kind in DEFAULTS}
    return {"zone": row.zone or "the organisation's", **words}
