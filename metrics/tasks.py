"""Entry points of Celery: each takes ids, may run twice without harm, and ends within five minutes."""

from __future__ import annotations

import logging
from datetime import date, datetime, time, timedelta

from celery import Task, shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from kombu.exceptions import OperationalError as BrokerDown

from metrics import (
    backfill,
    behind,
    capacity,
    counting,
    due,
    importing,
    pull,
    pull_log,
    push_keys,
    record_ids,
    retention,
    sources,
    unpriced,
    usage_file_steps,
)
from metrics.models import Backend, BillingImport, UsageFile

logger = logging.getLogger(__name__)

# A claimed backend that no worker took is due again after this.
CLAIMED_FOR = timedelta(minutes=6)


def enqueue_on_commit(task: Task, *args: object) -> None:
    """Start a task once the transaction is committed. A broker that is down costs a minute: beat finds what is due."""

    def start() -> None:
        try:
            task.apply_async(args=args, retry=False)
        except BrokerDown:
            logger.warning("The broker does not answer; %s waits for the schedule.", task.name)

    transaction.on_commit(start)


def post_capacity_since(backend_id: int, *days: date | None) -> None:
    """Compare a backend's capacity again from the earliest of these local days on, where a link or a card changed."""
    known = [day for day in days if day is not None]
    if known:
        # Kept with what is the reason for it: a broker that is down delays it, and loses nothing.
        due.note_since(backend_id, datetime.combine(min(known), time(), tzinfo=settings.REPORTING_ZONE))
    enqueue_on_commit(post_capacity, backend_id)


def follow_repricing(backend_ids: list[int], from_on: date) -> None:
    """Compare capacity again that pays tokens which were priced otherwise, also behind these gateways."""
    for backend in Backend.objects.filter(rate_cards__isnull=False).distinct():
        if {backend.pk, *counting.gateways_of(backend)} & set(backend_ids):
            post_capacity_since(backend.pk, from_on)


@shared_task(name="metrics.pull_due_backends")
def pull_due_backends() -> None:
    """Hand out every backend that is due, and the backfills whose turn it is."""
    now = sources.now()
    pulled = Backend.objects.filter(is_enabled=True).exclude(connector__in=sources.NOT_PULLED)
    due = pulled.filter(Q(next_pull_at__lte=now) | Q(next_pull_at__isnull=True, is_demo=False))
    for pk, next_pull_at in due.order_by("next_pull_at").values_list("pk", "next_pull_at"):
        claimed = Backend.objects.filter(pk=pk, next_pull_at=next_pull_at).update(next_pull_at=now + CLAIMED_FOR)
        if claimed:
            # One that waits for longer than the claim is handed out anew, and this message is dropped.
            pull_backend.apply_async(args=(pk,), expires=CLAIMED_FOR.total_seconds())
    pull_log.close_stopped(now)
    hand_out_backfills()


@shared_task(name="metrics.pull_backend")
def pull_backend(backend_id: int) -> None:
    """One pull; where another follows soon, it is started from here."""
    found = pull.pull(backend_id)
    if found is not None and found.again_in_seconds is not None:
        pull_backend.apply_async(args=(backend_id,), countdown=found.again_in_seconds)


@shared_task(name="metrics.hand_out_backfills")
def hand_out_backfills() -> None:
    """Start the steps back that may begin now."""
    for pk in backfill.hand_out(sources.now()):
        backfill_step.apply_async(args=(pk,), expires=backfill.CLAIMED_FOR.total_seconds())


@shared_task(name="metrics.backfill_step")
def backfill_step(backend_id: int) -> None:
    """One step back; whoever waited longest is next."""
    try:
        backfill.step(backend_id)
    finally:
        backfill.release(backend_id)
    hand_out_backfills()


@shared_task(name="metrics.drop_old_pulls")
def drop_old_pulls() -> None:
    """Rows of the pull log that nobody needs any more."""
    pull_log.drop_old(sources.now())


@shared_task(name="metrics.post_capacity")
def post_capacity(backend_id: int | None = None, since: str | None = None) -> None:
    """What held capacity cost: the last 72 hours compared again, and those that are noted as due; of one backend."""
    capacity.post_capacity(
        sources.now(),
        backend_ids=None if backend_id is None else [backend_id],
        since=datetime.fromisoformat(since) if since else None,
    )


@shared_task(name="metrics.find_look_alikes")
def find_look_alikes() -> None:
    """Sources that are not linked and look like the same traffic; and links that a new series has not felt yet."""
    counting.find_look_alikes(counting.local_day(sources.now()))
    linked = Backend.objects.filter(Q(behind__isnull=False) | Q(passing_series__isnull=False)).distinct()
    counting.recount(linked.values_list("pk", flat=True))


@shared_task(name="metrics.price_unpriced_usage")
def price_unpriced_usage() -> None:
    """Usage of the last 35 days that had no price, where there is one now."""
    unpriced.price_unpriced_usage(sources.now())


@shared_task(name="metrics.read_import")
def read_import(import_id: int) -> None:
    """One step of reading a billing file; the next, or the counting, is its own task."""
    _go_on(importing.read_step(import_id))


@shared_task(name="metrics.post_import")
def post_import(import_id: int) -> None:
    """Count a billing file that was read and confirmed."""
    importing.post_step(import_id)


@shared_task(name="metrics.resume_imports")
def resume_imports() -> None:
    """Go on with billing files whose worker is gone, and forget uploads that nobody confirmed."""
    silent = BillingImport.objects.filter(state__in=BillingImport.AT_WORK, touched_at__lt=sources.now() - CLAIMED_FOR)
    for one in silent:
        _go_on(one)
    importing.discard_forgotten(sources.now())


@shared_task(name="metrics.advance_usage_file")
def advance_usage_file(file_id: int) -> None:
    """Some steps of a file of usage; where more is left, they are their own task."""
    one = usage_file_steps.advance(file_id)
    if one is not None and one.state in UsageFile.AT_WORK:
        advance_usage_file.delay(file_id)


@shared_task(name="metrics.resume_usage_files")
def resume_usage_files() -> None:
    """Go on with files of usage whose worker is gone, and forget those that nobody confirmed."""
    silent = UsageFile.objects.filter(state__in=UsageFile.AT_WORK, touched_at__lt=sources.now() - CLAIMED_FOR)
    for pk in silent.values_list("pk", flat=True):
        advance_usage_file.delay(pk)
    usage_file_steps.discard_forgotten(sources.now())


def _go_on(one: BillingImport | None) -> None:
    if one is not None and one.state == BillingImport.State.READING:
        read_import.delay(one.pk)
    elif one is not None and one.state == BillingImport.State.POSTING:
        post_import.delay(one.pk)


@shared_task(name="metrics.spread_bills_again")
def spread_bills_again() -> None:
    """Money of bills over usage of the last 35 days that came after them."""
    importing.spread_again(sources.now())


@shared_task(name="metrics.drop_expired_keys")
def drop_expired_keys() -> None:
    """Idempotency keys after 24 hours, ids of records after 35 days."""
    push_keys.drop_expired(sources.now())


@shared_task(name="metrics.fold_histograms")
def fold_histograms() -> None:
    """What large pushes left behind: their histograms into the hours."""
    behind.fold()


@shared_task(name="metrics.make_id_partitions")
def make_id_partitions() -> None:
    """Where the ids of records of the days to come are kept."""
    record_ids.make_partitions(sources.now())


@shared_task(name="metrics.retain")
def retain() -> None:
    """Some steps of merging and dropping what is old; where more is left, they go on from here."""
    if not all(one.is_done or one.problem or not one.steps for one in retention.run(sources.now())):
        retain.apply_async(countdown=5, expires=600)
