"""Allocation rules and prices in a real browser: what would move stands below the form before anything does."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from accounts.models import Workload
from metrics import identity, ledger, pricing
from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.identity import SeriesIdentity, series_ids
from metrics.ledger import PostedCell
from metrics.models import AllocationRule, Backend, OwnPrice, Receipt
from metrics.usage import FeedKind, SeriesKey


@pytest.fixture
def used(transactional_db, settings) -> Backend:
    """Three weeks of usage by two teams, nobody's yet."""
    identity.forget()
    pricing.forget_prices()
    backend = Backend.objects.create(slug="gw", name="LiteLLM", connector="x", provider="acme", measured_at="gateway")
    start = timezone.now().replace(minute=0, second=0, microsecond=0)
    for team, model, amount in (("claims", "gpt-4o", "41.20"), ("fraud", "gpt-4o-mini", "3.75"), ("", "llama-3", "")):
        labels = (("team", team),) if team else ()
        wanted = SeriesIdentity(SeriesKey(provider="acme", model=model, labels=labels), backend.pk)
        series_id = series_ids([wanted])[wanted]
        for back in (1, 9, 40):
            sums = {"requests": 120, "input_tokens": 90_000, "output_tokens": 12_000}
            sums |= {"estimated_cost": Decimal(amount)} if amount else {}
            cell = PostedCell(
                series_id, start - timedelta(days=back), sums, {}, settings.REPORTING_CURRENCY if amount else ""
            )
            ledger.post(Receipt(kind=FeedKind.USAGE, backend=backend), ledger.feed(FeedKind.USAGE, backend), [cell])
    return backend


def test_a_rule_is_begun_from_what_is_unallocated_tried_and_saved(page, used, adam, claims, picture, accessible):
    fraud = Workload.objects.create(slug="fraud", name="Fraud desk")
    page.goto("/rules/")
    expect(page.get_by_text("Nobody has said yet whose usage is whose.")).to_be_visible()
    accessible(page)
    page.get_by_role("link", name="Make a rule for gpt-4o on LiteLLM").click()
    expect(page.get_by_label("Model")).to_have_value("gpt-4o")
    page.get_by_label("Claims assistant").fill("75")
    page.get_by_role("button", name="What would move?").click()
    expect(page.get_by_text("1 series would be placed otherwise")).to_be_visible()
    assert not AllocationRule.objects.exists()
    picture(page, "rule-form")
    accessible(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The rule is saved. 1 series moved.")).to_be_visible()
    change_rules(
        Asker(adam),
        adding(RuleFields([(fraud, Decimal(1))], label_name="team", label_value="f*", note="Desk in Utrecht")),
    )
    change_rules(Asker(adam), adding(RuleFields([(fraud, Decimal(1))], model="gpt*", provider="acme")))
    page.goto("/rules/")
    picture(page, "rules")
    accessible(page)
    page.get_by_role("button", name=re.compile("Up.*model gpt")).click()
    page.wait_for_load_state()
    page.goto("/rules/")
    page.get_by_role("button", name=re.compile("Remove.*model gpt-4o")).click()
    expect(page.get_by_role("heading", name="Remove rule")).to_be_visible()
    picture(page, "rule-confirm")
    accessible(page)


def test_usage_is_priced_again_after_a_look(page, used, picture, accessible):
    OwnPrice.objects.create(
        provider="acme",
        model="llama-3",
        currency="EUR",
        input_per_million=Decimal("0.40"),
        output_per_million=Decimal("1.20"),
        valid_from_on=(timezone.now() - timedelta(days=90)).date(),
    )
    page.goto("/prices/")
    accessible(page)
    page.get_by_label("From", exact=True).last.fill(str((timezone.now() - timedelta(days=60)).date()))
    page.get_by_role("button", name="What would change?").click()
    expect(page.get_by_text("3 hours would change")).to_be_visible()
    page.get_by_role("button", name="Price again").click()
    expect(page.get_by_text("3 hours priced again.")).to_be_visible()
    picture(page, "prices")
    accessible(page)
    page.goto("/backends/gw/")
    expect(page.get_by_text("Priced again, Adam Admin")).to_be_visible()
    picture(page, "backend-restated")
    accessible(page)
