"""Files of usage from the Send data page: taking one in, letting it count, dropping it, taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext

from accounts.access import Asker, can, can_see_backends, can_send_unallocated
from accounts.audit import record
from accounts.models import Role, Workload
from metrics import sources, uploads, usage_file_pieces, usage_files
from metrics.actions.counts import limits_at
from metrics.actions.usage import can_reverse
from metrics.errors import RuleViolation
from metrics.models import IdempotencyKey, Receipt, UsageFile
from metrics.push_keys import KEPT_FOR
from metrics.usage_file_steps import columns_of
from web import wording

State, Kind = usage_file_pieces.State, usage_file_pieces.Kind
PUSH_PATH = "/api/v1/usage"


@dataclass(frozen=True, slots=True)
class Sent:
    """The file that was sent. `is_repeat`: it was here already, and nothing was added."""

    one: UsageFile
    is_repeat: bool


def send_file(
    asker: Asker,
    *,
    pieces: Iterable[bytes],
    name: str,
    workload: Workload | None = None,
    backend: str = "",
    zone: str = "",
) -> Sent:
    """Take a file in and look at its header; the caller starts `advance`. A file that is here is not taken again.

    `workload` and `backend` (a slug) are of rows that name none; `zone` is of times that say none. Raises RuleViolation
    (Unreadable among them), PermissionDenied.
    """
    if not (can(asker, Role.CONTRIBUTOR, workload) if workload is not None else can_send_unallocated(asker)):
        raise PermissionDenied(gettext("Sending data to this roadmap needs the role of a contributor."))
    most = settings.USAGE_FILE_MAX_BYTES
    with uploads.received(pieces, most=most, hint=usage_files.too_large()) as (path, content, size):
        with usage_files.opened(
            path, usage_files.limits_of_file(limits_at(sources.now())), too_large=usage_files.too_large()
        ) as table:
            columns = columns_of(table, zone)
            header = usage_files.read_columns(table)
            container = table.description
        own = "roadmap" not in columns.names
        scope = f" roadmap {workload.pk if workload is not None else 0}" if own else ""
        digest = sha256(content + scope.encode()).digest()
        there = _live(asker, digest)
        if there is not None:
            return Sent(there, is_repeat=True)
        _refuse_pushed(asker, content, workload)
        one = UsageFile(
            user=asker.user,
            workload=workload,
            backend=backend,
            zone=zone,
            name=" ".join(Path(name.replace("\0", "")).name.split())[:200] or "usage.csv",
            size=size,
            digest=digest,
            container=container,
            columns=[list(pair) for pair in zip(header, columns.names, strict=True)],
        )
        try:
            with transaction.atomic():
                one.save()
                usage_file_pieces.keep(one, path)
                record(asker, action="send_usage_file", subject=one, workload=workload, after={"file": one.name})
        except IntegrityError:
            # The same file, sent twice at once.
            there = _live(asker, digest)
            if there is None:
                raise
            return Sent(there, is_repeat=True)
    return Sent(one, is_repeat=False)


@transaction.atomic
def confirm_file(asker: Asker, one: UsageFile) -> UsageFile:
    """Let a file that was read count; the caller starts `advance`. Raises RuleViolation, PermissionDenied."""
    one = _held(asker, one, State.READY)
    usage_file_pieces.drop(one, Kind.REJECTED)
    one.state, one.read_share = State.POSTING, 0
    # Counted anew: what was found when it was read may be otherwise by now.
    one.accepted = one.duplicates = one.not_priced = one.rejected_count = 0
    one.rejected, one.warnings = [], {}
    one.save()
    record(asker, action="confirm_usage_file", subject=one, workload=one.workload, after={"file": one.name})
    return one


@transaction.atomic
def discard_file(asker: Asker, one: UsageFile) -> UsageFile:
    """Drop a file that does not count. Raises RuleViolation, PermissionDenied."""
    one = _held(asker, one, State.READING, State.READY, State.FAILED)
    one.state, one.problem = State.DISCARDED, ""
    one.save()
    usage_file_pieces.drop(one, Kind.FILE, Kind.REJECTED)
    record(asker, action="discard_usage_file", subject=one, workload=one.workload, after={"file": one.name})
    return one


@transaction.atomic
def take_file_back(asker: Asker, one: UsageFile) -> UsageFile:
    """Take all of a file's receipts back; the caller starts `advance`. Raises RuleViolation, PermissionDenied."""
    one = _held(asker, one, State.DONE)
    receipts = Receipt.objects.select_related("workload").filter(pk__in=one.receipts, is_void=False)
    if not all(can_reverse(asker, receipt) for receipt in receipts):
        raise PermissionDenied(gettext("Taking a file back needs the role of a contributor for each of its roadmaps."))
    one.state, one.taken_back_by, one.problem = State.TAKING_BACK, asker.user, ""
    one.save()
    record(asker, action="take_usage_file_back", subject=one, workload=one.workload, after={"file": one.name})
    return one


def visible_files(asker: Asker) -> Any:
    """A person's own files; all of them to those who read everything."""
    files = UsageFile.objects.select_related("workload", "user")
    if not can_see_backends(asker):
        return files.none()
    return files if asker.user.reads_all else files.filter(user=asker.user)


def can_change_file(asker: Asker, one: UsageFile) -> bool:
    """Who sent it, and admins."""
    return asker.user.is_admin or (one.user_id == asker.user.pk and can_see_backends(asker))


def _held(asker: Asker, one: UsageFile, *states: str) -> UsageFile:
    if not can_change_file(asker, one):
        raise PermissionDenied(gettext("Only who sent a file, and admins, decide about it."))
    found = UsageFile.objects.select_for_update(of=("self",)).select_related("workload", "user").get(pk=one.pk)
    if found.state not in states:
        raise RuleViolation(
            "wrong_state",
            gettext("This file is further by now: %(state)s.") % {"state": found.get_state_display().lower()},
        )
    return found


def _live(asker: Asker, digest: bytes) -> UsageFile | None:
    """The same file, where it is here. Raises RuleViolation where it is somebody else's."""
    there = UsageFile.objects.filter(digest=digest, state__in=UsageFile.LIVE).select_related("user").first()
    if there is None or visible_files(asker).filter(pk=there.pk).exists():
        return there
    who = there.user.display_name if there.user else gettext("somebody")
    raise RuleViolation(
        "already_here",
        gettext("%(who)s sent this file on %(day)s (%(state)s). Nothing was added.")
        % {"who": who, "day": wording.day(there.created_at), "state": there.get_state_display().lower()},
        "file",
    )


def _refuse_pushed(asker: Asker, content: bytes, workload: Workload | None) -> None:
    """Raise RuleViolation where the same bytes were pushed with a token of the person or the roadmap and count."""
    since = sources.now() - KEPT_FOR
    tokens = Q(token__owner=asker.user)
    if workload is not None:
        tokens |= Q(token__workload=workload)
    pushed = IdempotencyKey.objects.filter(
        tokens, path=PUSH_PATH, body_digest=content, created_at__gt=since, receipt__is_void=False
    )
    found = pushed.select_related("token", "receipt").first()
    if found is not None:
        raise RuleViolation(
            "already_pushed",
            gettext(
                "This file was pushed with the token '%(name)s' within the last 24 hours and counts already. "
                "Take that receipt back first, if it is to count as a file."
            )
            % {"name": found.token.name},
            "file",
        )
