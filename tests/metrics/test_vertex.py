"""The Google Vertex AI connector: the conformance suite, sign-in, counts, distributions in all kinds of buckets."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from metrics.connector import NotStated
from metrics.connectors.google.monitoring import bounds_of
from metrics.connectors.vertex import VertexAI
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.usage import UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import QUICK, SECRET, START, StatementConnectorSuite
from tests.doubles.google_project import (
    DURATION,
    FIRST_TOKEN,
    REQUESTS,
    TOKEN,
    TOKENS,
    GoogleProject,
    distribution,
    google_project,
    service_account_key,
)
from tests.doubles.source_server import Asked, Reply

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GEMINI = "gemini-2.5-flash"


def parameters(url: str, **changes):
    return {
        "service_account_key": service_account_key(SECRET),
        "address": url,
        "token_address": f"{url}/token",
        **changes,
    }


def project_of(*, factor: int = 1) -> GoogleProject:
    project = GoogleProject()
    for hour in range(-2, 5):
        project.usage(START + hour * HOUR, model=GEMINI, requests=10 * factor, tokens_in=1000, tokens_out=200)
    return project


class TestSuite(StatementConnectorSuite):
    kind = "vertex"
    rows, count = "timeSeries", "int64Value"
    more = cursor = "nextPageToken"
    not_applicable = {
        "more but not where": "A page of Cloud Monitoring without a token is the last one.",
        **dict.fromkeys(
            ("negative amount", "amount NaN", "currency never seen", "currency that is none"),
            "Google has no API for what Vertex AI costs.",
        ),
    }

    def endless(self, cursor):
        def change(row):
            if "timeSeries" in row:
                row["nextPageToken"] = cursor()

        return self._with(change)

    def parameters(self, url):
        return parameters(url)

    def good(self, asked):
        return project_of().play(asked)

    def restated(self, asked):
        return project_of(factor=2).play(asked)

    def many_pages(self):
        project = project_of()
        project.page_size = 1
        return project.play

    def test_no_secret_comes_back_when_the_source_repeats_it(self, source, connect):
        """The key signs and is never sent; where somebody repeats a part of it all the same it is taken out."""
        private = json.loads("\n".join(service_account_key(SECRET)))["private_key"].splitlines()[3]

        def play(asked: Asked) -> Reply:
            assert private not in str(asked.headers) + asked.body
            if asked.path == "/token":
                return self.good(asked)
            said = f"key {SECRET} {private} {TOKEN} may not read this"
            return Reply(json.dumps({"error": {"message": said}}), status=403)

        source.play = play
        error = self.failure(connect())
        assert "may not read this" in error.message
        shown = str(error) + str(connect().test().lines)
        assert not any(secret in shown for secret in (SECRET, private, TOKEN))


@pytest.fixture
def project():
    with google_project(GoogleProject()) as running:
        yield running


@pytest.fixture
def connect(project):
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=QUICK)

    def _connect(**changes) -> VertexAI:
        values = VertexAI.clean_parameters(parameters(project.url, **changes))
        return VertexAI(values, http, lambda: START + 3 * HOUR)

    yield _connect
    http.close()


def read(connector, *, hours: int = 1, start=START):
    return list(connector.fetch(Window(start, start + hours * HOUR)))


def cells(found) -> list[UsageCell]:
    return [item for item in found if isinstance(item, UsageCell)]


# --- Usage


def test_an_hour_is_what_cloud_monitoring_says_of_it(project, connect):
    project.usage(START, model=GEMINI, requests=10, tokens_in=1000, tokens_out=200)
    there = {"model": GEMINI, "request_type": "shared"}
    project.put(REQUESTS, START, 3, **there, response_code="429")
    project.put(REQUESTS, START, 1, **there, response_code="500")
    (cell,) = cells(read(connect()))
    assert (cell.key.provider, cell.key.model, cell.key.service_tier) == ("gcp.vertex_ai", GEMINI, "standard")
    assert dict(cell.key.labels) == {"location": "europe-west4"}
    assert cell.sums == {
        "requests": 14,
        "errors": 4,
        "input_tokens": 1000,
        "output_tokens": 200,
        "duration_count": 10,
        "duration_sum_ms": D(5000),
        "time_to_first_token_count": 10,
        "time_to_first_token_sum_ms": D(500),
    }
    histogram = cell.histograms["duration"]
    assert (histogram.bounds_ms, histogram.counts) == ((100, 1000, 10000), (0, 10, 0, 0))


def test_provisioned_requests_locations_and_publishers_are_told_apart(project, connect):
    project.put(REQUESTS, START, 1, model=GEMINI, request_type="dedicated", response_code="200")
    project.put(REQUESTS, START, 2, model=GEMINI, request_type="shared", response_code="200", location="us-central1")
    project.put(REQUESTS, START, 3, model="claude-x", request_type="shared", response_code="200", publisher="anthropic")
    told = cells(read(connect()))
    found = {(cell.key.model, cell.key.service_tier, cell.key.labels): cell.sums["requests"] for cell in told}
    assert found == {
        (GEMINI, "dedicated", (("location", "europe-west4"),)): 1,
        (GEMINI, "standard", (("location", "us-central1"),)): 2,
        ("claude-x", "standard", (("location", "europe-west4"), ("publisher", "anthropic"))): 3,
    }


def test_of_latencies_in_parts_the_models_own_is_read_and_the_overhead_is_not_added(project, connect):
    there = {"model": GEMINI, "request_type": "shared"}
    project.put(DURATION, START, distribution(500, [0, 4]), **there, latency_type="model")
    project.put(DURATION, START, distribution(30, [4]), **there, latency_type="overhead")
    (cell,) = cells(read(connect()))
    assert (cell.sums["duration_count"], cell.sums["duration_sum_ms"]) == (4, 2000)
    assert cell.histograms["duration"].counts == (0, 4, 0, 0)


def test_a_size_of_tokens_that_is_neither_input_nor_output_is_left_out(project, connect):
    project.put(TOKENS, START, 7, model=GEMINI, type="thoughts")
    project.put(TOKENS, START, 5, model=GEMINI, type="input")
    assert [cell.sums for cell in cells(read(connect()))] == [{"input_tokens": 5}]


# --- Distributions


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"explicitBuckets": {"bounds": [1, 2.5, 10]}}, [1, 2.5, 10]),
        ({"exponentialBuckets": {"numFiniteBuckets": 3, "growthFactor": 2, "scale": 1}}, [1, 2, 4, 8]),
        ({"linearBuckets": {"numFiniteBuckets": 3, "width": 10, "offset": 5}}, [5, 15, 25, 35]),
        ({"linearBuckets": {"numFiniteBuckets": 2, "width": 10}}, [0, 10, 20]),
    ],
)
def test_the_three_kinds_of_buckets_have_these_bounds(options, bounds):
    assert bounds_of(json.loads(json.dumps(options), parse_float=Decimal)) == bounds


def test_exponential_buckets_are_a_histogram_of_our_own_kind(project, connect):
    options = {"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 10.0, "scale": 1.5}}
    # Under 1.5 ms, 1.5 to 15, 15 to 150, above.
    project.put(FIRST_TOKEN, START, distribution(20, [1, 2, 3, 4], options=options), model=GEMINI)
    histogram = cells(read(connect()))[0].histograms["time_to_first_token"]
    assert (histogram.bounds_ms, histogram.counts) == ((1.5, 15.0, 150.0), (1, 2, 3, 4))


def test_a_bucket_below_zero_belongs_to_the_first_one_above(project, connect):
    options = {"explicitBuckets": {"bounds": [0, 10]}}
    project.put(FIRST_TOKEN, START, distribution(5, [1, 2, 3], options=options), model=GEMINI)
    histogram = cells(read(connect()))[0].histograms["time_to_first_token"]
    assert (histogram.bounds_ms, histogram.counts) == ((10,), (3, 3))


def test_series_with_other_bounds_are_not_mixed(project, connect):
    options = {"explicitBuckets": {"bounds": [50, 500]}}
    shared = {"model": GEMINI, "request_type": "shared"}
    project.put(DURATION, START, distribution(500, [0, 4]), **shared, latency_type="model")
    project.put(
        DURATION, START, distribution(60, [1, 1], options=options), **shared, latency_type="model", publisher="x"
    )
    found = cells(read(connect()))
    assert sorted(cell.histograms["duration"].bounds_ms for cell in found) == [(50, 500), (100, 1000, 10000)]


def test_a_distribution_without_buckets_has_a_mean_alone(project, connect):
    value = {"count": "4", "mean": 250.5}
    project.put(DURATION, START, value, model=GEMINI, latency_type="model")
    (cell,) = cells(read(connect()))
    assert (cell.sums["duration_count"], cell.sums["duration_sum_ms"]) == (4, D(1002))
    assert cell.histograms == {}


@pytest.mark.parametrize(
    "value",
    [
        {"count": "3", "mean": 1, "bucketOptions": {"explicitBuckets": {"bounds": [1]}}, "bucketCounts": ["1", "1"]},
        {"count": "3", "mean": -1},
        {"count": "1.5", "mean": 1},
        {"count": "1", "mean": 1, "bucketOptions": {"novel": {}}, "bucketCounts": ["1"]},
        {"count": "1", "mean": 1, "bucketOptions": {"explicitBuckets": {"bounds": [5, 1]}}, "bucketCounts": ["1"]},
        {
            "count": "1",
            "mean": 1,
            "bucketOptions": {"explicitBuckets": {"bounds": [5]}},
            "bucketCounts": ["1", "0", "0"],
        },
        {
            "count": "1",
            "mean": 1,
            "bucketOptions": {"exponentialBuckets": {"numFiniteBuckets": 900, "growthFactor": 99, "scale": 9}},
            "bucketCounts": ["1"],
        },
    ],
)
def test_a_distribution_that_cannot_be_one_ends_the_pull(project, connect, value):
    project.put(DURATION, START, value, model=GEMINI, latency_type="model")
    with pytest.raises(ConnectorError, match="Cloud Monitoring's answer cannot be used"):
        read(connect())


@pytest.mark.parametrize("value", ["-1", "2.5", "many", True, None, 10**30])
def test_a_value_that_is_no_count_ends_the_pull(project, connect, value):
    project.put(REQUESTS, START, value, model=GEMINI, response_code="200")
    with pytest.raises(ConnectorError):
        read(connect())


def test_hours_that_are_kept_no_longer_are_not_hours_without_usage(project, connect):
    start = START - 60 * DAY
    assert NotStated(start, start + HOUR) in read(connect(), start=start)
    assert not [item for item in read(connect()) if isinstance(item, NotStated)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"timeSeries": [], "nextPageToken": "again"}, "same page again"),
        ({"timeSeries": [], "executionErrors": [{"code": 14}]}, "only a part"),
        ({"timeSeries": [{"points": [{"interval": {}, "value": {}}]}]}, "a time is not a time"),
        ({"timeSeries": 3}, "list of series"),
    ],
)
def test_an_answer_that_is_not_whole_ends_the_pull(project, connect, answer, words):
    project.server.play = lambda asked: project.play(asked) if asked.path == "/token" else Reply(json.dumps(answer))
    with pytest.raises(ConnectorError, match=words):
        read(connect())


# --- Sign-in


def test_it_signs_in_once_a_pull_with_the_key_that_was_given_alone(project, connect, monkeypatch, tmp_path):
    elsewhere = tmp_path / "key.json"
    elsewhere.write_text('{"type": "service_account", "client_email": "from-file@x"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(elsewhere))
    monkeypatch.setenv("GCE_METADATA_HOST", "169.254.169.254")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-environment")
    monkeypatch.setenv("GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED", "true")
    project.usage(START, model=GEMINI, requests=1, tokens_in=1, tokens_out=1)
    read(connect())
    assert project.signed_in == 1
    assert {asked.path for asked in project.server.asked} == {"/token", "/v3/projects/contoso-ai-123/timeSeries"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
            "clock is wrong",
        ),
        ("Invalid JWT Signature.", "refuses the sign-in"),
        ("Invalid grant: account not found", "account not found"),
    ],
)
def test_a_refused_sign_in_says_what_to_do(project, connect, said, words):
    project.server.play = lambda asked: Reply(
        json.dumps({"error": "invalid_grant", "error_description": said}), status=400
    )
    with pytest.raises(ConnectorError, match=words) as caught:
        read(connect())
    assert caught.value.permanent
    assert caught.value.hint
    if "clock" in words:
        assert "Set the clock" in caught.value.hint


def test_a_missing_role_names_the_role(project, connect):
    project.server.play = lambda asked: (
        project.play(asked)
        if asked.path == "/token"
        else Reply(json.dumps({"error": {"message": "Permission monitoring.timeSeries.list denied"}}), status=403)
    )
    with pytest.raises(ConnectorError, match="Monitoring Viewer"):
        read(connect())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service_account_key": ["no json"]}, "service_account_key"),
        ({"service_account_key": ['{"type": "authorized_user", "refresh_token": "x"}']}, "service_account_key"),
        ({"project": "../other"}, "project"),
    ],
)
def test_what_is_no_key_is_refused_before_anything_is_asked(changes, field):
    with pytest.raises(RuleViolation) as caught:
        VertexAI.clean_parameters(parameters("https://x.example", **changes))
    assert caught.value.field == field


def test_a_key_that_cannot_sign_says_so(project, connect):
    broken = service_account_key(SECRET, private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConnectorError, match="cannot be read"):
        read(connect(service_account_key=broken))


def test_costs_are_not_offered_with_what_to_do_instead():
    assert "billed_cost" not in VertexAI.reports
    assert "FOCUS" in VertexAI.not_offered["billed_cost"]
