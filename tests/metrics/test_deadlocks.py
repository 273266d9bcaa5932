"""What a person does is done again where the database gave it up for a posting that waited for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from accounts.access import Asker
from accounts.models import AuditEvent
from metrics import importing
from metrics.actions import allocations, imports, links, rules
from metrics.models import Allocation, AllocationRule, Backend, BillingImport, LookAlike, Series
from tests.metrics.billing_files import bring, csv_of, focus_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gpu() -> Backend:
    return Backend.objects.create(slug="gpu", name="GPU", connector="x", measured_at="server", provider="vllm")


@pytest.fixture
def gateway() -> Backend:
    return Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="litellm")


@pytest.fixture
def gives_up_once(monkeypatch) -> Callable[[object], None]:
    """`gives_up_once(module)`: as if the database gave the module's next action up at its very end."""

    def patch(module: object) -> None:
        record, left = module.record, [1]

        def record_or_give_up(*args, **kwargs):
            if left:
                left.pop()
                raise OperationalError("deadlock detected") from DeadlockDetected("deadlock detected")
            return record(*args, **kwargs)

        monkeypatch.setattr(module, "record", record_or_give_up)

    return patch


def audited(action: str) -> int:
    return AuditEvent.objects.filter(action=action).count()


def test_a_link_of_a_backend(adam, asker, gpu, gateway, gives_up_once):
    gives_up_once(links)
    links.link_backend(asker(adam), gpu, gateway=gateway)
    gpu.refresh_from_db()
    assert gpu.behind == gateway
    assert audited("link_backend") == 1


def test_a_link_of_a_push_and_the_decision_that_makes_it(adam, asker, gpu, gateway, make_series, gives_up_once):
    pushed = Series.objects.get(pk=make_series("m", on=gateway, is_pushed=True, measured_at="application"))
    gives_up_once(links)
    links.link_push(asker(adam), pushed, backend=gpu)
    pushed.refresh_from_db()
    assert pushed.through == gpu
    assert audited("link_push") == 1
    served = Series.objects.get(pk=make_series("m", on=gpu, measured_at="server"))
    pair = LookAlike.objects.create(
        first=pushed, second=served, model="m", on=date(2026, 11, 1), first_tokens=1, second_tokens=1
    )
    gives_up_once(links)
    links.decide_look_alike(asker(adam), pair, decision="linked")
    pair.refresh_from_db()
    assert pair.decision == LookAlike.Decision.LINKED
    # The link within the decision gave up; the decision was done again as a whole.
    assert (audited("link_push"), audited("decide_look_alike")) == (2, 1)


def test_what_a_bill_pays_for(adam, asker, gpu, gives_up_once):
    source = bring(adam, csv_of([focus_row()])).source
    gives_up_once(imports)
    imports.set_pays_for(asker(adam), source, [gpu])
    assert list(source.pays_for.all()) == [gpu]
    assert audited("set_pays_for") == 1


def test_an_allocation(adam, asker, claims, gpu, make_series, gives_up_once):
    one = Series.objects.get(pk=make_series("m", on=gpu))
    gives_up_once(allocations)
    allocations.allocate(asker(adam), one, shares=[(claims, Decimal(1))])
    assert Allocation.objects.get().workload == claims
    assert audited("allocate_series") == 1


def test_a_rule(adam, asker, claims, gpu, make_series, gives_up_once):
    one = Series.objects.get(pk=make_series("m", on=gpu))
    gives_up_once(rules)
    rules.change_rules(asker(adam), rules.adding(rules.RuleFields(shares=[(claims, Decimal(1))], model="m")))
    assert AllocationRule.objects.count() == 1
    assert Allocation.objects.get().series == one
    assert audited("add_allocation_rule") == 1


def test_an_upload_that_somebody_is_at_is_not_forgotten(adam):
    one = imports.upload(Asker(user=adam), pieces=[csv_of([focus_row()])], name="bill.csv").one
    importing.read_step(one.pk)
    later = datetime.now(UTC) + importing.WAITS_FOR + timedelta(days=1)
    is_held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            BillingImport.objects.select_for_update().get(pk=one.pk)
            is_held.set()
            assert go_on.wait(20)
        connection.close()

    somebody = threading.Thread(target=hold)
    somebody.start()
    assert is_held.wait(20)
    importing.discard_forgotten(later)
    go_on.set()
    somebody.join()
    one.refresh_from_db()
    assert one.state == BillingImport.State.READY
    importing.discard_forgotten(later)
    one.refresh_from_db()
    assert one.state == BillingImport.State.DISCARDED
