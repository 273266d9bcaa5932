"""A billing file becomes a receipt: counted once, replaced by a newer one, taken back without a trace."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.access import Asker
from metrics import checking
from metrics.actions.usage import reverse_receipt
from metrics.models import BillingImport, ImportedCharge, LedgerEntry, Receipt, Series, UsageHour
from metrics.usage import SeriesKind
from tests.metrics.billing_files import DAY, billed, bring, csv_of, focus_row, gzipped, total

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]


@pytest.fixture
def take_back(adam):
    return lambda one: reverse_receipt(Asker(user=adam), Receipt.objects.get(pk=one.receipt_id))


def october() -> list[dict[str, str]]:
    return [
        focus_row(BilledCost="2.50", ConsumedQuantity="1000000"),
        focus_row(BilledCost="10.00", ConsumedQuantity="0.5", ConsumedUnit="1M Tokens", SkuMeter="Output Tokens"),
        focus_row(BilledCost="0.40", ConsumedQuantity="320", ConsumedUnit="1K Tokens", SkuMeter="Cached Input Tokens"),
        focus_row(day=DAY + timedelta(days=1), BilledCost="3.00", ConsumedQuantity="7", ConsumedUnit="Tokens"),
    ]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_it_counts_money_and_tokens_of_every_version(adam, version):
    rows = [focus_row(version, BilledCost="2.50"), focus_row(version, BilledCost="0.25", day=DAY + timedelta(days=1))]
    one = bring(adam, csv_of(rows))
    assert (one.state, one.focus_version, one.layout) == ("done", version, f"FOCUS {version}")
    assert (one.rows_accepted, one.rows_rejected) == (2, 0)
    assert billed() == Decimal("2.75")
    # 1.0 has no SkuMeter: without a direction tokens stay unknown.
    assert total("input_tokens") == (None if version == "1.0" else 2000)
    assert one.receipt.kind == "import"
    assert {(s.provider, s.model) for s in Series.objects.all()} == {("openai", "gpt-4o")}


def test_units_are_read_and_never_assumed(adam):
    bring(adam, csv_of(october()))
    assert billed() == Decimal("15.90")
    # Input holds what was cached: 1,000,000 + 320,000 + 7.
    assert total("input_tokens") == 1_320_007
    assert total("cached_input_tokens") == 320_000
    assert total("output_tokens") == 500_000
    assert total("requests") is None


def test_the_same_file_twice_adds_nothing(adam):
    from metrics.actions.imports import upload

    data = csv_of(october())
    first = bring(adam, data)
    entries = LedgerEntry.objects.count()
    again = upload(Asker(user=adam), pieces=[data], name="copy.csv", is_confirmed=True)
    assert again.is_repeat
    assert again.one.pk == first.pk
    assert again.one.receipt_id == first.receipt_id
    assert LedgerEntry.objects.count() == entries
    # The same rows packed otherwise are another file of the same period: no difference to post.
    packed = bring(adam, gzipped(data), name="bill.csv.gz")
    assert packed.state == "done"
    assert LedgerEntry.objects.count() == entries
    assert billed() == Decimal("15.90")


def test_taking_back_leaves_nothing(adam, take_back):
    data = csv_of(october())
    one = bring(adam, data)
    take_back(one)
    one.refresh_from_db()
    assert one.state == "taken_back"
    assert billed() is None
    assert total("input_tokens") is None
    assert not UsageHour.objects.exclude(billed_cost=None).exists()
    assert checking.check() == []
    # Its digest is free again.
    again = bring(adam, data)
    assert again.pk != one.pk
    assert billed() == Decimal("15.90")
    assert checking.check() == []


def test_a_newer_file_of_the_same_period_replaces_and_its_reversal_brings_the_older_back(adam, take_back):
    first = bring(adam, csv_of(october()))
    newer = [focus_row(BilledCost="5.00"), focus_row(day=DAY + timedelta(days=3), BilledCost="1.00")]
    second = bring(adam, csv_of(newer))
    assert second.source_id == first.source_id
    assert billed() == Decimal("6.00")
    assert checking.check() == []
    take_back(second)
    assert billed() == Decimal("15.90")
    take_back(first)
    assert billed() is None
    assert checking.check() == []


def test_taking_the_replaced_file_back_leaves_the_newer_one(adam, take_back):
    first = bring(adam, csv_of(october()))
    bring(adam, csv_of([focus_row(BilledCost="5.00")]))
    take_back(first)
    assert billed() == Decimal("5.00")
    assert total("input_tokens") == 1000
    assert checking.check() == []


def test_another_month_and_another_account_stand_beside(adam):
    first = bring(adam, csv_of(october()))
    bring(adam, csv_of([focus_row(day=DAY - timedelta(days=30), BilledCost="7.00")]))
    other = bring(adam, csv_of([focus_row(BilledCost="1.00", BillingAccountId="org-2")]), source=first.source)
    assert other.source_id == first.source_id
    assert billed() == Decimal("23.90")


def test_a_part_of_an_export_adds(adam):
    from metrics.actions.imports import Choices

    bring(adam, csv_of(october()))
    bring(adam, csv_of([focus_row(BilledCost="5.00")]), choices=Choices(mode="add"))
    assert billed() == Decimal("20.90")


def test_corrections_add_to_the_old_period(adam):
    bring(adam, csv_of(october()))
    correction = focus_row(
        BilledCost="-2.50",
        ChargeClass="Correction",
        BillingPeriodStart="2026-11-01T00:00:00Z",
        BillingPeriodEnd="2026-12-01T00:00:00Z",
        ConsumedQuantity="",
    )
    bring(adam, csv_of([correction, focus_row(day=DAY + timedelta(days=31), BilledCost="4.00")]))
    assert billed() == Decimal("17.40")
    hours = UsageHour.objects.filter(hour__lt=DAY + timedelta(days=20))
    assert sum(h.billed_cost for h in hours if h.billed_cost) == Decimal("13.40")


def test_credits_stand_apart_and_tax_is_left_out(adam):
    rows = [
        focus_row(BilledCost="10"),
        focus_row(BilledCost="-4", ChargeCategory="Credit", ConsumedQuantity="", ConsumedUnit=""),
        focus_row(BilledCost="2.10", ChargeCategory="Tax", ConsumedQuantity="", ConsumedUnit=""),
    ]
    one = bring(adam, csv_of(rows))
    assert billed() == Decimal("6")
    apart = Series.objects.get(kind=SeriesKind.OTHER_CHARGES)
    assert apart.labels["charge_category"] == "Credit"
    assert one.left_out == [{"what": "tax", "currency": "USD", "amount": "2.1", "rows": 1}]


def test_a_purchase_and_a_month_are_spread_over_their_days(adam):
    rows = [
        focus_row(
            day=DAY.replace(day=1),
            ChargePeriodEnd="2026-11-01T00:00:00Z",
            BilledCost="100",
            ChargeCategory="Purchase",
            SkuId="seat",
            ConsumedQuantity="",
            ConsumedUnit="",
            PricingUnit="",
        )
    ]
    bring(adam, csv_of(rows))
    amounts = [h.billed_cost for h in UsageHour.objects.order_by("hour")]
    assert len(amounts) == 31
    assert sum(amounts) == Decimal("100")
    assert max(amounts) - min(amounts) <= Decimal("1E-10")


def test_mixed_currencies_are_kept_apart(adam):
    bring(adam, csv_of([focus_row(BilledCost="1"), focus_row(BilledCost="2", BillingCurrency="EUR")]))
    assert billed("USD") == Decimal("1")
    assert billed("EUR") == Decimal("2")


def test_rows_that_repeat_add_and_it_says_so(adam):
    one = bring(adam, csv_of([focus_row(), focus_row(), focus_row()]))
    assert billed() == Decimal("3.75")
    assert one.rows_repeated == 2
    assert ImportedCharge.objects.count() == 1


def test_the_effective_cost_counts_where_that_was_chosen(adam):
    from metrics.actions.imports import Choices

    bring(adam, csv_of([focus_row(BilledCost="0", EffectiveCost="3.30")]), choices=Choices(cost="effective"))
    assert billed() == Decimal("3.30")


def test_of_a_whole_clouds_bill_the_ai_services_count(adam):
    rows = [
        focus_row(BilledCost="1"),
        focus_row(BilledCost="50", ServiceName="Compute", ServiceCategory="Compute", ConsumedUnit="Hours"),
    ]
    one = bring(adam, csv_of(rows))
    assert one.services == ["API"]
    assert billed() == Decimal("1")
    assert one.left_out[0]["what"] == "services"
    assert Decimal(one.left_out[0]["amount"]) == 50


def test_all_services_count_where_that_was_said(adam):
    from metrics.actions.imports import Choices

    rows = [focus_row(BilledCost="1"), focus_row(BilledCost="50", ServiceName="Seats", ServiceCategory="Other")]
    one = bring(adam, csv_of(rows), choices=Choices(services=["*"]))
    assert one.services is None
    assert billed() == Decimal("51")


def test_projects_and_kept_tags_become_labels_and_people_do_not(adam):
    tags = '{"user:Team": "search", "user_email": "a@example.org", "CostCenter": "7", "environment": "prod"}'
    bring(adam, csv_of([focus_row(Tags=tags, SubAccountId="proj_1", SubAccountName="Claims")]))
    assert Series.objects.get().labels == {"team": "search", "environment": "prod", "project": "Claims"}


def test_killed_between_steps_it_goes_on_where_it_was(adam, monkeypatch):
    from metrics import importing
    from metrics.actions.imports import upload

    monkeypatch.setattr(importing, "STEP_ROWS", 2)
    rows = [focus_row(BilledCost="1"), *[focus_row(BilledCost=f"0.0{n}") for n in range(1, 8)]]
    one = upload(Asker(user=adam), pieces=[gzipped(csv_of(rows))], name="b.gz", is_confirmed=True).one
    steps = 0
    while importing.read_step(one.pk).state == BillingImport.State.READING:
        steps += 1
        one.refresh_from_db()
        assert one.rows_read == steps * 2
    importing.post_step(one.pk)
    # Done again, as after a kill between the commit and the acknowledgement.
    assert importing.post_step(one.pk) is None
    assert importing.read_step(one.pk) is None
    assert steps == 3
    assert billed() == Decimal("1.28")
