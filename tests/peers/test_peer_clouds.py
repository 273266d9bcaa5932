"""The clouds' own clients and moto's server: they write what we read, and read what our doubles say."""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import pull as pulling
from metrics.connectors.bedrock import Bedrock
from metrics.models import Backend, UsageHour
from metrics.secrets import seal
from tests.contracts.pull_suite import ENCRYPTION_KEY, SECRET
from tests.doubles.aws_bedrock import BedrockAccount, bedrock_account
from tests.doubles.azure_tenant import RESOURCE, SUBSCRIPTION, TOKEN, AzureTenant, azure_tenant
from tests.doubles.google_project import PROJECT, GoogleProject, distribution, google_project
from tests.doubles.google_project import TOKEN as GOOGLE_TOKEN
from tests.doubles.source_server import Asked, Reply, source_server

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
SETTLED = datetime(2026, 11, 19, 11, tzinfo=UTC)
SONNET = "anthropic.claude-3-5-sonnet-20240620-v1:0"
RESPONSE_MS = (100, 200, 900)


def needs(*packages: str) -> None:
    for package in packages:
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{package} is not installed (requirements-peers.txt)")


# --- AWS


@pytest.fixture
def moto() -> Iterator[str]:
    """moto's server: its address."""
    needs("moto", "flask", "boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto):
    """`aws(service)`: AWS's own client of moto."""
    import boto3

    def _aws(service: str, region: str = "us-east-1"):
        return boto3.client(service, region, endpoint_url=moto, aws_access_key_id="AKIAX", aws_secret_access_key=SECRET)

    return _aws


@pytest.fixture
def in_front_of_moto(moto):
    """Answers what moto 5.2.5 cannot (500): percentiles and names of services. The rest is moto's answer."""

    def play(asked: Asked) -> Reply:
        action = asked.headers["X-Amz-Target"].rpartition(".")[2]
        if action == "GetDimensionValues":
            return Reply('{"DimensionValues": []}')
        question = json.loads(asked.body)
        own = []
        if action == "GetMetricData":
            queries = question["MetricDataQueries"]
            own = [query for query in queries if query["MetricStat"]["Stat"].startswith("p")]
            question["MetricDataQueries"] = [query for query in queries if query not in own]
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: asked.headers[name] for name in names}
        request = urllib.request.Request(moto, data=json.dumps(question).encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=20) as reply:
            answer = json.load(reply)
        for query in own:
            empty = {"Timestamps": [], "Values": [], "StatusCode": "Complete"}
            answer["MetricDataResults"].append({"Id": query["Id"], **empty})
        return Reply(json.dumps(answer))

    with source_server() as server:
        server.play = play
        yield server


@pytest.fixture
def backend(db, settings, in_front_of_moto) -> Backend:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = [ENCRYPTION_KEY]
    values = Bedrock.clean_parameters(
        {
            "access_key_id": "AKIAX",
            "secret_access_key": SECRET,
            "regions": ["us-east-1"],
            "cloudwatch_address": in_front_of_moto.url,
            "cost_explorer_address": in_front_of_moto.url,
        }
    )
    secret = values.pop("secret_access_key")
    return Backend.objects.create(
        slug="bedrock",
        name="Bedrock",
        connector="bedrock",
        provider="aws.bedrock",
        parameters=values,
        secrets=seal({"secret_access_key": secret}),
    )


def test_a_pull_of_moto_has_the_sums_that_moto_computes(moto, aws, backend):
    cloudwatch = aws("cloudwatch")
    dimensions = [{"Name": "ModelId", "Value": SONNET}]

    def put(name: str, *values: float) -> None:
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": SETTLED + timedelta(minutes=5)}
            for value in values
        ]
        cloudwatch.put_metric_data(Namespace="AWS/Bedrock", MetricData=data)

    put("Invocations", 1, 1, 1)
    put("InputTokenCount", 1000, 500, 12)
    put("OutputTokenCount", 10, 20, 30)
    put("InvocationLatency", *RESPONSE_MS)
    day = SETTLED.date()
    groups = [
        {"Keys": ["Amazon Bedrock", "USE1-Claude3.5Sonnet-input-tokens"], "Amount": "12.3400000000"},
        {"Keys": ["Amazon Bedrock", "USE1-Guardrail-Units"], "Amount": "0.66"},
    ]
    said = {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": day.isoformat(), "End": (day + DAY).isoformat()},
                "Total": {},
                "Groups": [
                    {
                        "Keys": one["Keys"],
                        "Metrics": {"UnblendedCost": {"Amount": one["Amount"], "Unit": "USD"}},
                    }
                    for one in groups
                ],
                "Estimated": True,
            }
        ]
    }
    queue = {"results": [said, {"ResultsByTime": []}]}
    request = urllib.request.Request(
        f"{moto}/moto-api/static/ce/cost-and-usage-results",
        data=json.dumps(queue).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=20).close()
    assert pulling.pull(backend.pk, clock=lambda: NOW) is not None, Backend.objects.get(pk=backend.pk).problem
    row = UsageHour.objects.get(series__model=SONNET, currency="")
    assert (row.hour, row.requests, row.input_tokens, row.output_tokens) == (SETTLED, 3, 1512, 60)
    peer = cloudwatch.get_metric_statistics(
        Namespace="AWS/Bedrock",
        MetricName="InvocationLatency",
        Dimensions=dimensions,
        StartTime=SETTLED,
        EndTime=SETTLED + HOUR,
        Period=3600,
        Statistics=["Average", "Sum", "SampleCount"],
    )["Datapoints"][0]
    assert float(row.duration_sum_ms) == peer["Sum"] == sum(RESPONSE_MS)
    assert row.duration_count == peer["SampleCount"]
    assert float(row.duration_sum_ms / row.duration_count) == peer["Average"]
    billed = [hour.billed_cost for hour in UsageHour.objects.filter(currency="USD") if hour.billed_cost is not None]
    assert sum(billed) == Decimal("13.00")


def test_aws_own_parser_reads_what_our_double_says():
    needs("botocore")
    from botocore.parsers import create_parser
    from botocore.session import Session

    def parsed(service: str, operation: str, body: str) -> dict:
        model = Session().get_service_model(service).operation_model(operation)
        response = {"status_code": 200, "headers": {}, "body": body.encode(), "context": {}}
        return create_parser("json").parse(response, model.output_shape)

    account = BedrockAccount()
    account.invocations(SETTLED, model=SONNET, requests=3, tokens_in=5, tokens_out=7)
    account.charge(SETTLED.date(), "USE1-Claude3.5Sonnet-input-tokens", "12.34")
    with bedrock_account(account):
        metric = {"Namespace": "AWS/Bedrock", "MetricName": "InvocationLatency"}
        dimensions = {"Dimensions": [{"Name": "ModelId", "Value": SONNET}]}
        stat = {"Metric": {**metric, **dimensions}, "Period": 3600, "Stat": "p95"}
        question = {
            "MetricDataQueries": [{"Id": "q0", "MetricStat": stat}],
            "StartTime": SETTLED.timestamp(),
            "EndTime": (SETTLED + HOUR).timestamp(),
        }
        said = json.dumps(account._GetMetricData(question))
        (result,) = parsed("cloudwatch", "GetMetricData", said)["MetricDataResults"]
        assert (result["Timestamps"], result["Values"], result["StatusCode"]) == ([SETTLED], [1800.5], "Complete")
        listed = parsed("cloudwatch", "ListMetrics", json.dumps(account._ListMetrics({"Namespace": "AWS/Bedrock"})))
        assert {one["MetricName"] for one in listed["Metrics"]} >= {"Invocations", "TimeToFirstToken"}
        of = {"Dimensions": {"Key": "SERVICE", "Values": ["Amazon Bedrock"]}}
        usage = {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Usage"]}}
        question = {
            "TimePeriod": {"Start": "2026-11-19", "End": "2026-11-20"},
            "Metrics": ["UnblendedCost"],
            "Filter": {"And": [of, usage]},
            "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "USAGE_TYPE")],
        }
        (day,) = parsed("ce", "GetCostAndUsage", json.dumps(account._GetCostAndUsage(question)))["ResultsByTime"]
        assert day["Groups"][0]["Metrics"]["UnblendedCost"] == {"Amount": "12.34", "Unit": "USD"}


# --- Azure


def test_azures_own_clients_read_what_our_double_says():
    needs("azure.mgmt.monitor", "azure.mgmt.costmanagement")
    from azure.core.pipeline.policies import HeadersPolicy
    from azure.mgmt.costmanagement import CostManagementClient
    from azure.mgmt.monitor import MonitorManagementClient

    class NoCredential:
        """The clients ask for one; the header below is what is sent."""

        def get_token(self, *scopes: str, **_: object) -> None:
            raise AssertionError("the double's token is in the header")

    tenant = AzureTenant(SECRET)
    gpt = {"deployment": "chat-prod", "model": "gpt-4o"}
    tenant.usage(SETTLED, **gpt, requests=3, tokens_in=500, tokens_out=7)
    tenant.charge(SETTLED.date(), "gpt 4o 0806 Inp glbl Tokens", "7.1932")
    with azure_tenant(tenant):
        there = {
            "base_url": tenant.url,
            "authentication_policy": HeadersPolicy({"Authorization": f"Bearer {TOKEN}"}),
        }
        monitor = MonitorManagementClient(NoCredential(), SUBSCRIPTION.rpartition("/")[2], **there)
        found = monitor.metrics.list(
            RESOURCE.removeprefix("/"),
            timespan=f"{SETTLED:%Y-%m-%dT%H:%M:%SZ}/{SETTLED + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}",
            interval="PT1H",
            metricnames="ProcessedPromptTokens",
            aggregation="total",
            filter="ModelName eq '*' and ModelDeploymentName eq '*'",
        )
        (one,) = found.value[0].timeseries
        assert {pair.name.value: pair.value for pair in one.metadatavalues} == {
            "modelname": "gpt-4o",
            "modeldeploymentname": "chat-prod",
        }
        # The idle hour comes without a value.
        assert [(point.time_stamp, point.total) for point in one.data] == [(SETTLED, 500), (SETTLED + HOUR, None)]
        costs = CostManagementClient(NoCredential(), **there)
        question = {
            "type": "ActualCost",
            "timeframe": "Custom",
            "timePeriod": {"from": "2026-11-19T00:00:00Z", "to": "2026-11-19T23:59:59Z"},
            "dataset": {
                "granularity": "Daily",
                "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
                "grouping": [{"type": "Dimension", "name": "Meter"}, {"type": "Dimension", "name": "ChargeType"}],
                "filter": {"dimensions": {"name": "ResourceId", "operator": "In", "values": [RESOURCE]}},
            },
        }
        answer = costs.query.usage(SUBSCRIPTION.removeprefix("/"), question)
        assert [column.name for column in answer.columns] == ["Cost", "UsageDate", "Meter", "ChargeType", "Currency"]
        assert answer.rows == [[7.1932, 20261119, "gpt 4o 0806 Inp glbl Tokens", "Usage", "EUR"]]


# --- Google


def test_googles_own_types_read_what_our_double_says():
    needs("google.cloud.monitoring_v3")
    from google.cloud.monitoring_v3 import ListTimeSeriesResponse

    project = GoogleProject()
    project.usage(SETTLED, model="gemini-x", requests=3, tokens_in=500, tokens_out=7)
    exponential = {"exponentialBuckets": {"numFiniteBuckets": 2, "growthFactor": 10.0, "scale": 1.5}}
    value = distribution(20.5, [1, 2, 3, 4], options=exponential)
    project.put("first_token_latencies", SETTLED, value, model="gemini-y")
    with google_project(project):

        def said(metric: str) -> ListTimeSeriesResponse:
            query = [
                ("filter", f'metric.type = "aiplatform.googleapis.com/publisher/online_serving/{metric}"'),
                ("interval.startTime", f"{SETTLED:%Y-%m-%dT%H:%M:%SZ}"),
                ("interval.endTime", f"{SETTLED + HOUR:%Y-%m-%dT%H:%M:%SZ}"),
                ("aggregation.perSeriesAligner", "ALIGN_DELTA"),
                ("aggregation.groupByFields", "resource.label.model_user_id"),
                ("aggregation.groupByFields", "metric.label.type"),
            ]
            headers = {"Authorization": f"Bearer {GOOGLE_TOKEN}"}
            asked = Asked("GET", f"/v3/projects/{PROJECT}/timeSeries", query, headers)
            return ListTimeSeriesResponse.from_json(project.play(asked).body)

        tokens = {one.metric.labels["type"]: one.points[0] for one in said("token_count").time_series}
        assert {name: point.value.int64_value for name, point in tokens.items()} == {"input": 500, "output": 7}
        assert tokens["input"].interval.end_time == SETTLED + HOUR
        found = {one.resource.labels["model_user_id"]: one for one in said("first_token_latencies").time_series}
        stated = found["gemini-y"].points[0].value.distribution_value
        assert (stated.count, stated.mean, list(stated.bucket_counts)) == (10, 20.5, [1, 2, 3, 4])
        assert stated.bucket_options.exponential_buckets.growth_factor == 10.0
