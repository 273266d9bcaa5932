"""The demo goes, whatever real parts were tied to it, and these count by themselves again."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Workload
from metrics import checking, counting, ledger
from metrics.actions.links import link_backend
from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.errors import RuleViolation
from metrics.identity import SeriesIdentity, series_ids
from metrics.models import AllocationRule, Backend, Receipt, Series, UsageHour
from metrics.usage import FeedKind, MeasuredAt, SeriesKey
from metrics.windows import hour_of
from roadmap.demo.removal import remove

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo_workload() -> Workload:
    return Workload.objects.create(slug="demo", name="Demo", is_demo=True)


def _used(backend: Backend, model: str = "llama", *, measured_at=MeasuredAt.SERVER) -> int:
    identity = SeriesIdentity(SeriesKey(provider=backend.provider, model=model), backend.pk, measured_at=measured_at)
    series_id = series_ids([identity], is_demo=backend.is_demo)[identity]
    cell = ledger.PostedCell(
        series_id, hour_of(timezone.now()) - timedelta(hours=30), {"requests": 1, "output_tokens": 10}
    )
    receipt = Receipt(kind=FeedKind.USAGE, backend=backend, is_demo=backend.is_demo)
    ledger.post(receipt, ledger.feed(FeedKind.USAGE, backend), [cell])
    return series_id


def _linked(backend: Backend, gateway: Backend) -> None:
    """As it was possible once."""
    Backend.objects.filter(pk=backend.pk).update(behind=gateway, behind_from_on=date(2020, 1, 1))
    counting.recount([backend.pk])


def test_demo_and_real_are_not_linked(adam, asker, backend):
    gateway = Backend.objects.create(slug="g", name="G", connector="litellm", provider="litellm", is_demo=True)
    for one, other in ((backend, gateway), (gateway, backend)):
        with pytest.raises(RuleViolation, match="One of them is demo data"):
            link_backend(asker(adam), one, gateway=other)
    _used(backend)
    _used(gateway)
    at = timezone.now() - timedelta(hours=30)
    UsageHour.objects.update(output_tokens=500)
    assert counting.find_look_alikes(counting.local_day(at)) == 0


def test_real_usage_that_was_tried_on_a_demo_roadmap_stays_and_is_nobodys(adam, asker, backend, demo_workload):
    change_rules(asker(adam), adding(RuleFields(shares=[(demo_workload, Decimal("0.5"))], model="llama")))
    backend.default_workload = demo_workload
    backend.save()
    ruled, by_default = _used(backend), _used(backend, "other")
    assert Series.objects.get(pk=by_default).allocations.count() == 1
    remove("command remove_demo")
    assert not Workload.objects.filter(is_demo=True).exists()
    assert set(Series.objects.values_list("pk", flat=True)) == {ruled, by_default}
    assert not Series.objects.filter(allocations__isnull=False).exists()
    assert UsageHour.objects.count() == 2
    # Without shares a rule says 'nobody's'; that is not what was said.
    assert not AllocationRule.objects.exists()
    assert checking.check() == []


def test_real_usage_behind_a_demo_gateway_counts_by_itself_again(backend):
    gateway = Backend.objects.create(
        slug="g", name="G", connector="litellm", provider="litellm", measured_at="gateway", is_demo=True
    )
    own = _used(backend)
    _used(gateway, measured_at=MeasuredAt.GATEWAY)
    _linked(backend, gateway)
    assert Series.objects.get(pk=own).uncounted_from_on is not None
    remove("command remove_demo")
    assert Series.objects.get(pk=own).uncounted_from_on is None
    assert Backend.objects.get(pk=backend.pk).behind_from_on is None


def test_what_a_demo_gpu_server_cost_a_real_gateway_goes_with_it():
    from metrics.capacity import post_capacity
    from metrics.models import RateCard

    gateway = Backend.objects.create(slug="g", name="G", connector="litellm", provider="litellm", measured_at="gateway")
    gpu = Backend.objects.create(slug="d", name="D", connector="vllm", provider="vllm", is_demo=True)
    RateCard.objects.create(
        backend=gpu, kind="rented", units=1, currency="USD", rate_per_unit_hour=Decimal(3),
        valid_from_on=timezone.localdate() - timedelta(days=3),
    )  # fmt: skip
    _used(gpu)
    counted = _used(gateway, measured_at=MeasuredAt.GATEWAY)
    _linked(gpu, gateway)
    post_capacity(timezone.now(), backend_ids=[gpu.pk])
    assert UsageHour.objects.filter(series=counted, estimated_cost__gt=0).exists()
    remove("command remove_demo")
    assert [hour.estimated_cost for hour in UsageHour.objects.filter(series=counted) if hour.estimated_cost] == []
    assert UsageHour.objects.filter(series=counted, output_tokens=10).exists()
    assert checking.check() == []
