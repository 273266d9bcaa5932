"""Pricing usage again on request: the only way in which an estimate changes after it was posted."""

from __future__ import annotations

from datetime import date, datetime, time

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from metrics import capacity, counting, pricing, repricing, sources
from metrics.actions.permission import require_backend_admin
from metrics.errors import RuleViolation
from metrics.models import Backend
from metrics.possible_days import check_day
from metrics.repricing import Repriced

LONGEST_DAYS = 3 * 366


def reprice(
    asker: Asker | str,
    *,
    from_on: date,
    until_on: date,
    backend: Backend | None = None,
    model: str = "",
    note: str = "",
    is_trial: bool = False,
) -> list[Repriced]:
    """Price usage of local days (both included) again at the prices now in force; one receipt for each backend.

    Of one backend and one model, or of all. `asker`: a person, or the name of a command. `is_trial`: post nothing.
    Returns what changes, and what is left as it is. Raises RuleViolation, PermissionDenied.
    """
    if isinstance(asker, Asker):
        require_backend_admin(asker)
    _check(from_on, until_on)
    pricing.forget_prices()
    window = repricing.window_of(from_on, until_on)
    backends = Backend.objects.filter(is_demo=False).order_by("pk")
    found = []
    for one in backends.filter(pk=backend.pk) if backend is not None else backends:
        by = asker if isinstance(asker, Asker) else None
        with transaction.atomic():
            result = repricing.reprice(one, window, model=model.strip(), by=by, note=note, is_trial=is_trial)
            if result.receipt is not None:
                record(asker, action="reprice", subject=result.receipt, after=_shown(result, from_on, until_on, model))
        if result.hours or result.left:
            found.append(result)
    return found


def follow_capacity(results: list[Repriced], from_on: date) -> None:
    """Compare capacity again that pays tokens which were priced otherwise: their estimate is taken off its cost."""
    ids = {result.backend.pk for result in results if result.receipt is not None}
    rated = Backend.objects.filter(rate_cards__isnull=False).distinct()
    linked = [one.pk for one in rated if ids & {one.pk, *counting.gateways_of(one)}]
    if linked:
        since = datetime.combine(from_on, time(), tzinfo=settings.REPORTING_ZONE)
        capacity.post_capacity(sources.now(), backend_ids=linked, since=since)


def _check(from_on: date, until_on: date) -> None:
    check_day(from_on, field="from_on")
    check_day(until_on, field="until_on")
    if until_on < from_on:
        raise RuleViolation("ends_before_it_begins", gettext("The last day is the first one or later."), "until_on")
    if (until_on - from_on).days > LONGEST_DAYS:
        raise RuleViolation("too_long", gettext("Three years at most; ask for the others after that."), "from_on")


def _shown(result: Repriced, from_on: date, until_on: date, model: str) -> dict[str, object]:
    amounts = ", ".join(f"{amount:+f} {currency}" for currency, amount in sorted(result.amounts.items()))
    return {
        "backend": result.backend.slug,
        "model": model or "all",
        "from": from_on,
        "until": until_on,
        "hours": result.hours,
        "difference": amounts,
    }
