"""The Amazon Bedrock connector: the conformance suite, ambiguous metrics, dimensions, costs, and what AWS refuses."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import packages
from metrics.connector import CostStatement, NotStated, PercentileStatement
from metrics.connectors import connector_for
from metrics.connectors.aws.costs import category_of, model_of
from metrics.connectors.bedrock import Bedrock
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.models import Backend
from metrics.usage import UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import QUICK, SECRET, START, StatementConnectorSuite
from tests.doubles.aws_bedrock import BedrockAccount, bedrock_account
from tests.doubles.source_server import Asked, Reply

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SONNET = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "amazon.nova-lite-v1:0"
KEY_ID = "AKIAEXAMPLE"


def parameters(url: str, **changes):
    return {
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "regions": ["eu-central-1"],
        "cloudwatch_address": url,
        "cost_explorer_address": url,
        **changes,
    }


def account_of(*, factor: int = 1) -> BedrockAccount:
    account = BedrockAccount()
    for hour in range(-2, 5):
        account.invocations(START + hour * HOUR, model=SONNET, requests=10 * factor, tokens_in=1000, tokens_out=200)
    # The first of these days has settled when the suite pulls.
    for day in (START.date() + DAY * n for n in (-2, 0, 1)):
        account.charge(day, "EUC1-Claude3.5Sonnet-input-tokens", "1.25")
        account.charge(day, "EUC1-Claude3.5Sonnet-output-tokens", "3.5")
        account.charge(day, "Tax", "0.9", record_type="Tax")
    return account


class TestSuite(StatementConnectorSuite):
    kind = "bedrock"
    count, amount, currency = "Values", "Amount", "Unit"
    amount_is_text = True
    not_applicable = {"more but not where": "A page of AWS without a cursor is the last one."}

    @pytest.fixture(autouse=True)
    def _costs_at_each_pull(self, monkeypatch):
        """So that a second pull asks for them as well; that it does not is tested in test_bedrock_pull.py."""
        monkeypatch.setattr(Bedrock, "asks_costs_once_a_day", False)

    def altered(self, field, value):
        if field != self.count:
            return super().altered(field, value)

        def change(row):
            if row.get("Values"):
                row["Values"] = [value] * len(row["Values"])

        return self._with(change)

    def repeated(self):
        def change(row):
            for name in ("Metrics", "MetricDataResults", "ResultsByTime"):
                if isinstance(row.get(name), list):
                    row[name] = row[name] * 2

        return self._with(change)

    def emptied(self):
        def change(row):
            for name in ("Metrics", "MetricDataResults", "ResultsByTime"):
                if isinstance(row.get(name), list):
                    row[name] = []

        return self._with(change)

    def endless(self, cursor):
        def change(row):
            if "MetricDataResults" in row:
                row["NextToken"] = cursor()

        return self._with(change)

    def parameters(self, url):
        return parameters(url)

    def good(self, asked):
        return account_of().play(asked)

    def restated(self, asked):
        return account_of(factor=2).play(asked)

    def many_pages(self):
        account = account_of()
        account.page_size = 1
        return account.play

    def test_no_secret_comes_back_when_the_source_repeats_it(self, source, connect):
        """The secret signs and is never sent; where somebody repeats it all the same it is taken out."""

        def play(asked: Asked) -> Reply:
            assert SECRET not in str(asked.headers) + asked.body
            return Reply(status=403, body=json.dumps({"message": f"key {SECRET} may not read this"}))

        source.play = play
        error = self.failure(connect())
        assert "may not read this" in error.message
        assert SECRET not in str(connect().test().lines)


@pytest.fixture
def account():
    with bedrock_account(BedrockAccount()) as running:
        yield running


@pytest.fixture
def connect(account):
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=QUICK)

    def _connect(**changes) -> Bedrock:
        values = Bedrock.clean_parameters(parameters(account.url, **changes))
        return Bedrock(values, http, lambda: START + 3 * HOUR)

    yield _connect
    http.close()


def read(connector, *, hours: int = 1, start: datetime = START):
    return list(connector.fetch(Window(start, start + hours * HOUR)))


def cells(found) -> list[UsageCell]:
    return [item for item in found if isinstance(item, UsageCell)]


# --- Usage


def test_an_hour_is_what_cloudwatch_says_of_it(account, connect):
    account.invocations(START, model=SONNET, requests=10, tokens_in=1000, tokens_out=200)
    account.put("InvocationClientErrors", START, model=SONNET, Sum=2)
    account.put("InvocationServerErrors", START, model=SONNET, Sum=1)
    account.put("InvocationThrottles", START, model=SONNET, Sum=99)
    (cell,) = cells(read(connect()))
    assert (cell.key.provider, cell.key.model, dict(cell.key.labels)) == (
        "aws.bedrock",
        SONNET,
        {"region": "eu-central-1"},
    )
    # Throttles are in neither.
    assert cell.sums == {
        "requests": 10,
        "errors": 3,
        "input_tokens": 1000,
        "output_tokens": 200,
        "duration_count": 10,
        "duration_sum_ms": 10_000,
        "time_to_first_token_count": 10,
        "time_to_first_token_sum_ms": 5_000,
    }


def test_percentiles_are_stated_as_cloudwatchs_own(account, connect):
    account.invocations(START, model=SONNET, requests=10, tokens_in=1000, tokens_out=200)
    found = [item for item in read(connect()) if isinstance(item, PercentileStatement)]
    stated = {(one.measure, int(one.percent)): one.value_ms for one in found}
    assert stated == {
        ("duration", 50): 900,
        ("duration", 95): D("1800.5"),
        ("duration", 99): 2500,
        ("time_to_first_token", 50): 450,
        ("time_to_first_token", 95): D("900.25"),
        ("time_to_first_token", 99): 1250,
    }
    assert {(one.start, one.end, one.count) for one in found} == {(START, START + HOUR, 10)}
    assert not any(cell.histograms for cell in cells(read(connect())))


def test_requests_are_invocations_and_errors_where_these_are_apart(account, connect):
    account.put("Invocations", START, model=SONNET, Sum=10)
    account.put("InvocationClientErrors", START, model=SONNET, Sum=2)
    (cell,) = cells(read(connect(invocations="successful")))
    assert (cell.sums["requests"], cell.sums["errors"]) == (12, 2)


def test_more_errors_than_invocations_can_only_be_apart(account, connect):
    account.put("Invocations", START, model=SONNET, Sum=2)
    account.put("InvocationServerErrors", START, model=SONNET, Sum=5)
    (cell,) = cells(read(connect()))
    assert (cell.sums["requests"], cell.sums["errors"]) == (7, 5)


@pytest.mark.parametrize("suffix", ["Tokens", "TokenCount"])
def test_cached_tokens_have_two_names_and_are_added_to_the_input(account, connect, suffix):
    account.put("Invocations", START, model=SONNET, Sum=1)
    account.put("InputTokenCount", START, model=SONNET, Sum=100)
    account.put(f"CacheReadInput{suffix}", START, model=SONNET, Sum=40)
    account.put(f"CacheWriteInput{suffix}", START, model=SONNET, Sum=7)
    (apart,) = cells(read(connect()))
    assert apart.sums["input_tokens"] == 147
    assert (apart.sums["cached_input_tokens"], apart.sums["cache_write_input_tokens"]) == (40, 7)
    (inside,) = cells(read(connect(cache="inside")))
    assert inside.sums["input_tokens"] == 100


def test_no_point_is_zero_for_what_the_model_has_and_unknown_for_what_it_has_not(account, connect):
    account.put("Invocations", START, model=SONNET, Sum=1)
    account.put("Invocations", START + HOUR, model=SONNET, Sum=1)
    account.put("CacheReadInputTokens", START, model=SONNET, Sum=5)
    account.put("InputTokenCount", START, model=SONNET, Sum=5)
    first, second = sorted(cells(read(connect(), hours=2)), key=lambda cell: cell.hour)
    assert second.sums["cached_input_tokens"] == 0
    assert "cache_write_input_tokens" not in first.sums
    assert "output_tokens" not in first.sums
    assert first.sums["errors"] == 0


def test_the_same_traffic_under_several_dimensions_counts_once(account, connect):
    account.put("Invocations", START, model=SONNET, Sum=10)
    account.put("Invocations", START, model=SONNET, more=[("ServiceTier", "default")], Sum=10)
    # Only with tiers: a series for each, with the percentile of each.
    times = {"Sum": 500, "SampleCount": 1, "p95": 500}
    account.put("TimeToFirstToken", START, model=SONNET, more=[("ServiceTier", "flex")], **times)
    account.put("TimeToFirstToken", START, model=SONNET, more=[("ServiceTier", "priority")], **times)
    found = read(connect())
    assert sorted((cell.key.service_tier, cell.sums.get("requests")) for cell in cells(found)) == [
        ("flex", None),
        ("priority", None),
        ("standard", 10),
    ]
    assert {one.key.service_tier for one in found if isinstance(one, PercentileStatement)} == {"flex", "priority"}


def test_two_percentiles_of_one_series_are_not_made_one(account, connect):
    for tier in ("a", "b"):
        more = [("ServiceTier", tier), ("ResolvedServiceTier", "default")]
        account.put("TimeToFirstToken", START, model=SONNET, more=more, Sum=500, SampleCount=1, p95=500)
    found = read(connect())
    assert [cell.sums["time_to_first_token_count"] for cell in cells(found)] == [2]
    assert not [one for one in found if isinstance(one, PercentileStatement)]


def test_mantle_is_read_at_its_finest_with_the_project(account, connect):
    mantle = {"namespace": "AWS/BedrockMantle", "model": "openai.gpt-oss-120b"}
    for more in ([], [("Project", "p1")], [("Project", "p2")]):
        account.put("Inferences", START, **mantle, more=more, Sum=len(more) + 3)
        account.put("TotalInputTokens", START, **mantle, more=more, Sum=100)
        account.put("TotalOutputTokens", START, **mantle, more=more, Sum=20)
    account.put("InferenceClientErrors", START, **mantle, more=[("Project", "p1")], Sum=1)
    found = {dict(cell.key.labels)["project"]: cell for cell in cells(read(connect()))}
    assert set(found) == {"p1", "p2"}
    assert found["p1"].sums == {"requests": 4, "errors": 1, "input_tokens": 100, "output_tokens": 20}
    assert dict(found["p1"].key.labels)["endpoint"] == "mantle"


@pytest.mark.parametrize(
    ("model_id", "model", "profile"),
    [
        ("us.anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0", "us"),
        ("arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", None),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.meta.llama-x", "meta.llama-x", "eu"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1",
            "application-inference-profile/abc1",
            "abc1",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/team9", SONNET, "team9"),
    ],
)
def test_an_inference_profile_is_a_label_and_not_another_model(account, connect, model_id, model, profile):
    account.put("Invocations", START, model=model_id, Sum=1)
    (cell,) = cells(read(connect(profiles=[f"team9 = {SONNET}"])))
    assert (cell.key.model, dict(cell.key.labels).get("inference_profile")) == (model, profile)


def test_each_region_is_a_series_of_its_own(account, connect):
    account.put("Invocations", START, model=NOVA, Sum=1)
    found = cells(read(connect(regions=["eu-central-1"])))
    found += cells(read(connect(regions=["us-gov-west-1"])))
    assert [dict(cell.key.labels)["region"] for cell in found] == ["eu-central-1", "us-gov-west-1"]


def test_models_that_are_listed_no_more_are_asked_for_by_name(account, connect):
    account.put("Invocations", START, model=NOVA, Sum=3)
    hidden = account.metrics.copy()
    account._ListMetrics = lambda question: {"Metrics": []}
    assert cells(read(connect())) == []
    (cell,) = cells(read(connect(more_models=[NOVA])))
    assert cell.sums["requests"] == 3
    assert account.metrics == hidden


def test_hours_that_cloudwatch_no_longer_keeps_are_not_hours_without_usage(account, connect):
    start = START - 460 * DAY
    assert NotStated(start, start + HOUR) in read(connect(), start=start)
    assert not [item for item in read(connect()) if isinstance(item, NotStated)]


@pytest.mark.parametrize("state", ["InternalError", "PartialData", "Forbidden"])
def test_a_metric_that_is_not_whole_ends_the_pull(account, connect, state):
    account.put("Invocations", START, model=NOVA, Sum=3)
    account.states = {"Invocations": state}
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert caught.value.permanent is (state == "Forbidden")
    assert "Invocations" in str(caught.value)


@pytest.mark.parametrize("value", [-1, 2.5, 1e300, True, "7", None, float("nan")])
def test_a_value_that_is_no_count_ends_the_pull(account, connect, value):
    account.put("Invocations", START, model=NOVA, Sum=value)
    with pytest.raises(ConnectorError):
        read(connect())


def test_a_cursor_that_repeats_and_pages_without_end_stop(account, connect):
    account._ListMetrics = lambda question: {"Metrics": [], "NextToken": "again"}
    with pytest.raises(ConnectorError, match="same page again"):
        read(connect())
    turn = iter(range(10_000))
    account._ListMetrics = lambda question: {"Metrics": [], "NextToken": str(next(turn))}
    with pytest.raises(ConnectorError, match="more than 500 pages"):
        read(connect())


# --- Costs


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


# --- What AWS refuses


@pytest.mark.parametrize(
    ("status", "code", "said", "words", "is_permanent"),
    [
        (403, "InvalidSignatureException", "Signature expired: 20261120T2200Z is now earlier", "clock", True),
        (400, "RequestTimeTooSkewed", "The difference is too large", "clock", True),
        (403, "InvalidSignatureException", "Signature not yet current: 2026", "clock", True),
        (403, "UnrecognizedClientException", "The security token included is invalid", "access key", True),
        (403, "InvalidSignatureException", "The request signature we calculated does not match", "access key", True),
        (400, "AccessDeniedException", "User is not authorized", "cloudwatch:ListMetrics", True),
        (400, "ThrottlingException", "Rate exceeded", "slow down", False),
        (500, "InternalServiceFault", "", "status 500", False),
    ],
)
def test_a_refusal_says_what_to_do(account, connect, status, code, said, words, is_permanent):
    account.refuses = (status, code, said)
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert words in str(caught.value)
    assert caught.value.permanent is is_permanent
    result = connect().test()
    assert not result.ok
    assert words.replace("ListMetrics", "") in str(result.lines)


def test_a_wrong_clock_says_to_set_the_clock_and_by_how_much(account, connect):
    late = (datetime.now(UTC) + timedelta(minutes=20)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def play(asked: Asked) -> Reply:
        body = json.dumps({"__type": "InvalidSignatureException", "message": "Signature expired: it is earlier"})
        return Reply(body, status=403, headers={"Date": late})

    account.server.play = play
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert "Set the clock" in caught.value.hint
    assert "clock is wrong" in caught.value.message


def test_a_right_that_only_cost_explorer_lacks_is_named(account, connect):
    def play(asked: Asked) -> Reply:
        if "AWSInsightsIndexService" in asked.headers["X-Amz-Target"]:
            return Reply(json.dumps({"__type": "AccessDeniedException", "Message": "not authorized"}), status=400)
        return account.play(asked)

    account.server.play = play
    with pytest.raises(ConnectorError, match="Cost Explorer in us-east-1 does not allow GetDimensionValues"):
        read(connect())


def test_a_wrong_region_is_refused_before_anything_is_asked():
    for wrong in ("Frankfurt", "eu-central", "eu-central-1.evil.example"):
        with pytest.raises(RuleViolation) as caught:
            Bedrock.clean_parameters({**parameters("https://x.example"), "regions": [wrong]})
        assert caught.value.field == "regions"
    with pytest.raises(RuleViolation, match="one region"):
        Bedrock.clean_parameters({**parameters("https://x.example"), "regions": ["eu-west-1", "us-east-1"]})


def test_addresses_are_those_of_the_region_and_its_partition():
    values = Bedrock.clean_parameters(
        {**parameters("x"), "regions": ["cn-north-1"], "cloudwatch_address": "", "cost_explorer_address": ""}
    )
    connector = Bedrock(values, HttpClient(OutboundPolicy()), lambda: START)
    assert connector._watch(connector.http, "cn-north-1").address == "https://monitoring.cn-north-1.amazonaws.com.cn/"
    assert connector._costs(connector.http).address == "https://ce.cn-northwest-1.amazonaws.com.cn/"
    assert connector._watch(connector.http, "us-gov-west-1").address.endswith("us-gov-west-1.amazonaws.com/")


# --- Credentials and packages


def test_no_other_credentials_than_those_given_are_used(account, connect, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-from-environment")
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAFROMFILE\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    read(connect())
    for asked in account.server.asked:
        assert f"Credential={KEY_ID}/" in asked.headers["Authorization"]
        assert "X-Amz-Security-Token" not in asked.headers


def test_without_its_package_nothing_is_tried_or_saved(connect, monkeypatch):
    ready = connect()
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "botocore" else real(name))
    with pytest.raises(RuleViolation) as caught:
        connector_for("bedrock").clean_parameters(parameters("https://x.example"))
    assert "botocore" in caught.value.message
    assert "-r requirements-clouds.txt" in caught.value.message
    # One that was added before says the same.
    with pytest.raises(ConnectorError, match="requirements-clouds") as failed:
        read(ready)
    assert failed.value.permanent
    assert not ready.test().ok


@pytest.mark.django_db
def test_the_form_says_what_to_install_and_saves_nothing_without_it(adam, sign_in, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "botocore" else real(name))
    client = sign_in(adam)
    page = client.get("/backends/new/bedrock/")
    assert page.status_code == 200
    assert "Something has to be installed first." in page.text
    assert "-r requirements-clouds.txt" in page.text
    entered = {"name": "Bedrock", "p_access_key_id": KEY_ID, "p_secret_access_key": SECRET, "p_regions": "eu-central-1"}
    for name in list(entered):
        entered[name.removeprefix("p_")] = entered[name]
    for do in ("", "test"):
        refused = client.post("/backends/new/bedrock/", {**entered, "do": do})
        assert "requirements-clouds.txt" in refused.text
        assert SECRET not in refused.text
    assert not Backend.objects.exists()
