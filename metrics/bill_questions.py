"""Bills that may pay for what is counted here already, which only a person can know."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.utils.translation import gettext

from metrics.models import Backend, BillingSource, Series
from metrics.sources import BILLING_FILE
from metrics.usage import SeriesKind


@dataclass(frozen=True, slots=True)
class BillQuestion:
    """A bill that may pay for what is counted here already."""

    source: BillingSource
    names: str


def undecided() -> list[BillQuestion]:
    """The bills of which nobody has said what they pay for, though it may be counted already. Four queries at most."""
    waiting = BillingSource.objects.filter(is_decided=False, imports__state="done").select_related("backend")
    by_id = {one.pk: one for one in waiting.distinct().order_by("pk")}
    if not by_id:
        return []
    billed: dict[int, set[str]] = defaultdict(set)
    own = Series.objects.filter(backend__billing_source__in=by_id)
    for source_id, provider in own.values_list("backend__billing_source", "provider").distinct().order_by():
        billed[source_id].add(root_of(provider))
    counted = counted_providers()
    found = []
    for pk, source in by_id.items():
        names = [one.name for one, providers in counted if providers & billed[pk]]
        if names:
            found.append(BillQuestion(source, gettext(" or ").join(names[:3])))
    return found


def counted_providers() -> list[tuple[Backend, set[str]]]:
    """Every backend that is no bill, with the providers of its traffic. Two queries."""
    others = Backend.objects.filter(is_demo=False).exclude(connector=BILLING_FILE).order_by("name", "pk")
    seen: dict[int, set[str]] = defaultdict(set)
    traffic = Series.objects.filter(backend__in=others, kind=SeriesKind.USAGE)
    for backend_id, provider in traffic.values_list("backend_id", "provider").distinct().order_by():
        seen[backend_id].add(root_of(provider))
    return [(one, {root_of(one.provider)} | seen[one.pk]) for one in others]


def root_of(provider: str) -> str:
    """'aws' of 'aws.bedrock': a cloud's bill names the cloud."""
    return provider.split(".")[0]
