"""The Amazon Bedrock connector: ambiguous metrics, dimensions, percentiles, hours that are not kept."""

from __future__ import annotations

import pytest

from metrics.connector import NotStated, PercentileStatement
from metrics.errors import ConnectorError
from tests.contracts.connector_suite import START
from tests.metrics.bedrock.asking import DAY, HOUR, NOVA, SONNET, D, cells, read


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
