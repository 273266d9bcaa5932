"""The Amazon Bedrock connector: what Cost Explorer says, by day and model."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from metrics.connector import CostStatement
from metrics.connectors.aws.costs import category_of, model_of
from metrics.errors import ConnectorError
from tests.contracts.connector_suite import START
from tests.metrics.bedrock.asking import NOVA, SONNET, D, read


def statements(found) -> dict[tuple[date, str | None, str], Decimal]:
    return {
        (one.start.date(), one.model, one.charge_category): one.amount
        for one in found
        if isinstance(one, CostStatement)
    }


def test_costs_are_by_day_and_model_and_the_rest_of_the_whole_service(account, connect):
    day = START.date()
    account.invocations(START, model=SONNET, requests=1, tokens_in=1, tokens_out=1)
    account.charge(day, "EUC1-Claude3.5Sonnet-input-tokens", "1.2345678901")
    account.charge(day, "EUC1-Guardrail-ContentPolicyUnitsConsumed", "2")
    account.charge(day, "x", "-5", record_type="Credit")
    account.charge(day, "x", "-1", record_type="Refund")
    account.charge(day, "x", "0.7", record_type="Tax")
    account.charge(day, "x", "-0.3", record_type="Enterprise Discount Program Discount", service="Amazon Bedrock")
    account.charge(day, "BoxUsage", "999", service="Amazon Elastic Compute Cloud")
    account.charge(day, "MP:EUC1_InputTokenCount-Units", "4", service="Claude 3.5 Sonnet (Amazon Bedrock Edition)")
    found = [item for item in read(connect()) if isinstance(item, CostStatement)]
    assert sorted((one.model or "", one.charge_category, one.amount) for one in found) == [
        ("", "Adjustment", D(-1)),
        ("", "Credit", D(-5)),
        ("", "Credit", D("-0.3")),
        ("", "Tax", D("0.7")),
        ("", "Usage", D(2)),
        (SONNET, "Usage", D("1.2345678901")),
        (SONNET, "Usage", D(4)),
    ]
    assert {(one.start, one.end) for one in found} == {
        (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    }


def test_costs_take_three_requests_and_none_where_they_are_not_due(account, connect):
    read(connect())
    assert [name for name in account.questions if name.startswith("Get") and name != "GetMetricData"] == [
        "GetDimensionValues",
        "GetCostAndUsage",
        "GetCostAndUsage",
    ]
    account.questions.clear()
    asked_today = connect()
    asked_today.costs_are_due = False
    read(asked_today)
    read(connect(costs="none"))
    assert set(account.questions) == {"ListMetrics"}


def test_without_cost_explorer_it_reports_no_billed_cost(connect):
    connector = connect(costs="none")
    assert "billed_cost" not in connector.reports
    assert "billed_cost" in connector.not_offered
    assert "billed_cost" in connect().reports


@pytest.mark.parametrize(
    ("usage_type", "service", "model"),
    [
        ("USE1-Claude3.5Sonnet-input-tokens", "Amazon Bedrock", SONNET),
        ("USE1-Claude3.5Sonnetv2-output-tokens", "Amazon Bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("EUC1-NovaLite-cache-read-input-token-count", "Amazon Bedrock", NOVA),
        ("USW2-NovaLite-output-tokens-batch", "Amazon Bedrock", NOVA),
        ("USE1-Llama3-3-70B-input-tokens", "Amazon Bedrock", "meta.llama3-3-70b-instruct-v1:0"),
        ("MP:USE1_OutputTokenCount-Units", "Claude 3.5 Sonnet (Amazon Bedrock Edition)", SONNET),
        ("USE1-KnowledgeBase-Queries", "Amazon Bedrock", None),
        ("USE1-Unheard-input-tokens", "Amazon Bedrock", None),
    ],
)
def test_a_usage_type_names_a_model_or_the_whole_service(usage_type, service, model):
    models = [SONNET, "anthropic.claude-3-5-sonnet-20241022-v2:0", NOVA, "meta.llama3-3-70b-instruct-v1:0"]
    assert model_of(service, usage_type, models) == model


def test_a_name_of_two_models_names_neither():
    assert model_of("Amazon Bedrock", "USE1-NovaLite-input-tokens", [NOVA, "vendor.nova-lite-v1:0"]) is None


def test_record_types_become_charge_categories():
    assert {name: category_of(name) for name in ("Credit", "Refund", "Tax", "Fee", "BundledDiscount", "New")} == {
        "Credit": "Credit",
        "Refund": "Adjustment",
        "Tax": "Tax",
        "Fee": "Purchase",
        "BundledDiscount": "Credit",
        "New": "Adjustment",
    }


@pytest.mark.parametrize(
    "wrong",
    [{"Amount": "much", "Unit": "USD"}, {"Amount": "NaN", "Unit": "USD"}, {"Amount": "1", "Unit": "dollars"}, {}],
)
def test_a_cost_that_is_none_ends_the_pull(account, connect, wrong):
    groups = [{"Keys": ["Amazon Bedrock", "x"], "Metrics": {"UnblendedCost": wrong}}]
    period = {"Start": "2026-11-20", "End": "2026-11-21"}
    account._GetCostAndUsage = lambda question: {"ResultsByTime": [{"TimePeriod": period, "Groups": groups}]}
    with pytest.raises(ConnectorError):
        read(connect())
