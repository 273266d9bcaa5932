"""Who gets reports by mail: oneself, people and addresses that a manager adds, and the end by the link in a mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext as look_up

from accounts import audit
from accounts.access import Asker
from accounts.models import User
from metrics.errors import RuleViolation
from roadmap.models import ReportSubscription
from roadmap.queries.report_mail import Subject, manages, people_who_see, sees, subject_of
from roadmap.rules.report_mail import MOST_AT_ONCE, clean_address, mailbox

BY_LINK = "the link in a mail"


@dataclass(frozen=True, slots=True)
class Added:
    """What adding did: `refused` are (what was typed, why not)."""

    added: Sequence[ReportSubscription]
    already: int
    refused: Sequence[tuple[str, str]]


@transaction.atomic
def subscribe_to_reports(asker: Asker, subject: Subject, *, language: str = "") -> ReportSubscription:
    """The asker gets these reports by mail from the next one on, in a language or their own."""
    if not sees(asker, subject):
        raise PermissionDenied("You do not see these reports.")
    _check_subject(subject)
    check_language(language)
    if not asker.user.email:
        raise RuleViolation("no_address", _("No mail address of yours is known. An admin enters it under People."))
    held = ReportSubscription.objects.select_for_update().filter(person=asker.user, **subject.fields).first()
    before = _in_words(held) if held else None
    row = held or ReportSubscription(
        person=asker.user, created_by=asker.user, created_by_name=asker.name, **subject.fields
    )
    row.language, row.is_on, row.ended_at = language, True, None
    row.save()
    _record(asker, "subscribe_to_reports", row, before, _in_words(row))
    return row


@transaction.atomic
def unsubscribe_from_reports(asker: Asker, subject: Subject) -> None:
    """The asker gets them no more; what is queued for them is dropped. RuleViolation where they had none."""
    held = ReportSubscription.objects.select_for_update().filter(person=asker.user, **subject.fields).first()
    if held is None:
        raise RuleViolation("not_subscribed", _("You do not get these reports by mail."))
    _record(asker, "unsubscribe_from_reports", held, _in_words(held), None)
    held.delete()


@transaction.atomic
def add_report_subscribers(asker: Asker, subject: Subject, *, readers: Sequence[str], language: str = "") -> Added:
    """Adds people (user name, or the mail address of an account) and addresses without an account.

    Who cannot be added is named with the reason, and the others are added. RuleViolation for too many at once.
    """
    if not manages(asker, subject):
        raise PermissionDenied("Only who manages it says who else gets the reports.")
    _check_subject(subject)
    check_language(language)
    if not readers:
        raise RuleViolation("missing", _("Give a user name or a mail address, one a line."), "readers")
    if len(readers) > MOST_AT_ONCE:
        said = _("These are %(count)s. Add at most %(most)s at once.")
        raise RuleViolation("too_many", said % {"count": len(readers), "most": MOST_AT_ONCE}, "readers")
    wanted, refused = _read(readers, subject)
    held = {
        one.person_id or one.mailbox: one
        for one in ReportSubscription.objects.select_for_update().filter(**subject.fields)
    }
    added, already = [], 0
    for key, (typed, row) in wanted.items():
        before = held.get(key)
        if before is not None and before.ended_at is not None:
            why = _("The reader has ended it by the link in a mail. Only they can ask for it again.")
            refused.append((typed, why))
            continue
        if before is not None:
            already += 1
            continue
        row.language, row.created_by, row.created_by_name = language, asker.user, asker.name
        added.append(row)
    ReportSubscription.objects.bulk_create(added)
    for row in added:
        _record(asker, "add_report_subscribers", row, None, _in_words(row))
    return Added(added, already, refused)


@transaction.atomic
def change_report_subscriber(
    asker: Asker, subscription: ReportSubscription, *, language: str | None = None, is_on: bool | None = None
) -> ReportSubscription:
    """Another language, off, or on again: one's own, or of what one manages. None leaves as it is."""
    row = _mine_to_change(asker, subscription)
    before = _in_words(row)
    if language is not None:
        check_language(language)
        row.language = language
    if is_on is not None:
        if is_on and row.ended_at is not None and row.person_id != asker.user.pk:
            said = _("The reader has ended it by the link in a mail. Only they can ask for it again.")
            raise RuleViolation("ended", said, "is_on")
        row.is_on = is_on
        row.ended_at = None if is_on else row.ended_at
    row.save()
    _record(asker, "change_report_subscriber", row, before, _in_words(row))
    return row


@transaction.atomic
def remove_report_subscriber(asker: Asker, subscription: ReportSubscription) -> None:
    """Takes a reader from the list: oneself, or of what one manages. What is queued for them is dropped."""
    row = _mine_to_change(asker, subscription)
    if row.ended_at is not None and row.person_id != asker.user.pk:
        # Their no is kept, or the next paste of a list would bring the address back.
        raise RuleViolation(
            "ended", _("The reader has ended it by the link in a mail; it is kept, so that nobody adds them again.")
        )
    _record(asker, "remove_report_subscriber", row, _in_words(row), None)
    row.delete()


@transaction.atomic
def end_report_subscription(subscription: ReportSubscription) -> bool:
    """Who holds the signed link of a mail ends its subscription; whether it was still on. Audited as by the link."""
    row = ReportSubscription.objects.select_for_update(of=("self",)).filter(pk=subscription.pk).first()
    if row is None or not row.is_on:
        return False
    before = _in_words(row)
    row.is_on, row.ended_at = False, timezone.now()
    row.save()
    _record(BY_LINK, "end_report_subscription", row, before, _in_words(row))
    return True


def check_language(language: str) -> None:
    """RuleViolation for a language that there is none of; '' is the reader's own."""
    if language and language not in dict(settings.LANGUAGES):
        raise RuleViolation("unknown_language", _("Choose one of the languages listed."), "language")


def _check_subject(subject: Subject) -> None:
    if subject.is_demo:
        raise RuleViolation("demo", _("Reports of the demo are never mailed."))


def _mine_to_change(asker: Asker, subscription: ReportSubscription) -> ReportSubscription:
    row = (
        ReportSubscription.objects.select_for_update(of=("self",))
        .select_related("roadmap__workload", "programme", "person")
        .get(pk=subscription.pk)
    )
    if row.person_id != asker.user.pk and not manages(asker, subject_of(row)):
        raise PermissionDenied("Only who manages it says who else gets the reports.")
    return row


def _read(
    readers: Iterable[str], subject: Subject
) -> tuple[dict[int | str, tuple[str, ReportSubscription]], list[tuple[str, str]]]:
    """(the readers to add by person or mailbox, the refused ones with the reason)."""
    typed = list(dict.fromkeys(reader.strip() for reader in readers))
    lowered = [reader.casefold() for reader in typed]
    # The database cannot hold U+0000, and so cannot look for it.
    asked = [one for one in lowered if "\0" not in one]
    people = list(
        User.objects.annotate(lower_name=Lower("username"), lower_mail=Lower("email")).filter(
            Q(lower_name__in=asked) | Q(lower_mail__in=asked)
        )
    )
    by_name = {person.username.casefold(): person for person in people}
    by_mail = {mailbox(person.email): person for person in people if person.email}
    seeing = people_who_see([person for person in people if person.is_active and not person.is_demo], subject)
    wanted: dict[int | str, tuple[str, ReportSubscription]] = {}
    refused: list[tuple[str, str]] = []
    for reader, lower in zip(typed, lowered, strict=True):
        person = by_mail.get(lower) or by_name.get(lower)
        why = ""
        if person is not None and not person.is_active:
            why = _("It is the account of somebody who can no longer sign in.")
        elif person is not None and person.pk not in seeing:
            why = _("This person does not see these reports. Give them a role first.")
        elif person is not None and not person.email:
            why = _("No mail address of this person is known. An admin enters it under People.")
        elif person is None and "@" not in reader:
            why = _("There is no such user name, and it is no mail address.")
        if why:
            refused.append((reader, why))
        elif person is not None:
            wanted.setdefault(person.pk, (reader, ReportSubscription(person=person, **subject.fields)))
        else:
            try:
                address = clean_address(reader)
            except ValueError as error:
                refused.append((reader, _("No mail address: %(why)s.") % {"why": look_up(str(error))}))
                continue
            row = ReportSubscription(address=address, mailbox=mailbox(address), **subject.fields)
            wanted.setdefault(row.mailbox, (reader, row))
    return wanted, refused


def _in_words(row: ReportSubscription) -> dict[str, str]:
    return {
        "reader": row.person.username if row.person else row.address,
        "language": row.language or "the reader's own",
        "state": "on" if row.is_on else "off",
    }


def _record(
    asker: Asker | str,
    action: str,
    row: ReportSubscription,
    before: dict[str, str] | None,
    after: dict[str, str] | None,
) -> None:
    workload = row.roadmap.workload if row.roadmap else None
    audit.record(asker, action=action, subject=row, workload=workload, before=before, after=after)
