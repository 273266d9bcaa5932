"""The Azure OpenAI connector: the conformance suite, sign-in, what Azure Monitor has and has not, costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connector import CostStatement, NotStated
from metrics.connectors.azure.costs import model_of
from metrics.connectors.azure_openai import AzureOpenAI
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.usage import UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import QUICK, SECRET, START, StatementConnectorSuite
from tests.doubles.azure_tenant import (
    FIRST_TOKEN,
    LATENCY,
    PROMPT,
    REQUESTS,
    RESOURCE,
    SUBSCRIPTION,
    TENANT,
    TOKEN,
    AzureTenant,
    azure_tenant,
)
from tests.doubles.source_server import Asked, Reply

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GPT = {"deployment": "chat-prod", "model": "gpt-4o"}


def parameters(url: str, **changes):
    return {
        "tenant_id": TENANT,
        "client_id": "99999999-8888-7777-6666-555555555555",
        "client_secret": SECRET,
        "resources": [RESOURCE],
        "address": url,
        "login_address": url,
        **changes,
    }


def tenant_of(*, factor: int = 1) -> AzureTenant:
    tenant = AzureTenant(SECRET)
    for hour in range(-2, 5):
        tenant.usage(START + hour * HOUR, **GPT, requests=10 * factor, tokens_in=1000, tokens_out=200)
    # The first of these days has settled when the suite pulls.
    for day in (START.date() + DAY * n for n in (-2, 0, 1)):
        tenant.charge(day, "gpt 4o 0806 Inp glbl Tokens", "1.25", currency="USD")
        tenant.charge(day, "gpt 4o 0806 Outp glbl Tokens", "3.5", currency="USD")
    return tenant


class TestSuite(StatementConnectorSuite):
    kind = "azure_openai"
    count, amount, currency = "total", "Cost", "Currency"
    more = cursor = "nextLink"
    not_applicable = {"more but not where": "A page of Cost Management without a link is the last one."}

    @pytest.fixture(autouse=True)
    def _costs_at_each_pull(self, monkeypatch):
        """So that a second pull asks for them as well; that it does not is tested in test_azure_openai_pull.py."""
        monkeypatch.setattr(AzureOpenAI, "asks_costs_once_a_day", False)

    def altered(self, field, value):
        if field == self.count:
            return super().altered(field, value)

        def change(row):
            names = [column["name"] for column in row.get("columns", [])]
            for cells in row["rows"] if field in names else []:
                cells[names.index(field)] = value

        return self._with(change)

    def repeated(self):
        return self._with(lambda row: self._put(row, lambda rows: rows * 2))

    def emptied(self):
        return self._with(lambda row: self._put(row, lambda rows: []))

    def endless(self, cursor):
        def change(row):
            if "nextLink" in row:
                row["nextLink"] = f"{self._url}/next?{cursor()}"

        return self._with(change)

    @staticmethod
    def _put(row, make):
        for name in ("timeseries", "rows"):
            if isinstance(row.get(name), list):
                row[name] = make(row[name])

    def parameters(self, url):
        return parameters(url)

    def good(self, asked):
        return self._playing(tenant_of(), asked)

    def restated(self, asked):
        return self._playing(tenant_of(factor=2), asked)

    def many_pages(self):
        tenant = tenant_of()
        tenant.page_size = 1
        return lambda asked: self._playing(tenant, asked)

    def _playing(self, tenant: AzureTenant, asked: Asked) -> Reply:
        self._url = f"http://{asked.headers['Host']}"
        tenant.server = type("Here", (), {"url": self._url})()
        if asked.path == "/next":
            asked = replace(asked, path=f"{SUBSCRIPTION}/providers/Microsoft.CostManagement/query", values=[])
        return tenant.play(asked)

    def test_no_secret_comes_back_when_the_source_repeats_it(self, source, connect):
        """The secret is in the form that signs in; Microsoft's sentence about it is shown without it."""

        def play(asked: Asked) -> Reply:
            if asked.path.endswith("/token"):
                assert asked.value("client_secret") == SECRET
                said = {"error": "invalid_client", "error_description": f"the key {SECRET} may not read this"}
                return Reply(json.dumps(said), status=401)
            return self.good(asked)

        source.play = play
        error = self.failure(connect())
        assert "may not read this" in error.message
        assert SECRET not in str(connect().test().lines)


@pytest.fixture
def tenant():
    with azure_tenant(AzureTenant(SECRET)) as running:
        yield running


@pytest.fixture
def connect(tenant):
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=QUICK)

    def _connect(**changes) -> AzureOpenAI:
        values = AzureOpenAI.clean_parameters(parameters(tenant.url, **changes))
        return AzureOpenAI(values, http, lambda: START + 3 * HOUR)

    yield _connect
    http.close()


def read(connector, *, hours: int = 1, start: datetime = START):
    return list(connector.fetch(Window(start, start + hours * HOUR)))


def cells(found) -> list[UsageCell]:
    return [item for item in found if isinstance(item, UsageCell)]


# --- Usage


def test_an_hour_is_what_azure_monitor_says_of_it(tenant, connect):
    tenant.usage(START, **GPT, requests=10, tokens_in=1000, tokens_out=200)
    tenant.put(REQUESTS, START, **GPT, status="429", total=3)
    tenant.put(REQUESTS, START, **GPT, status="500", total=1)
    (cell,) = cells(read(connect()))
    assert (cell.key.provider, cell.key.model) == ("azure.ai.openai", "gpt-4o")
    assert dict(cell.key.labels) == {"deployment": "chat-prod", "resource": "contoso-ai"}
    assert cell.sums == {
        "requests": 14,
        "errors": 4,
        "input_tokens": 1000,
        "output_tokens": 200,
        "duration_count": 10,
        "duration_sum_ms": D(15_000),
        "time_to_first_token_count": 10,
        "time_to_first_token_sum_ms": D(4_000),
    }
    assert not cell.histograms


def test_deployments_of_one_model_are_series_of_their_own(tenant, connect):
    tenant.usage(START, deployment="a", model="gpt-4o", requests=1, tokens_in=1, tokens_out=1)
    tenant.usage(START, deployment="b", model="gpt-4o", requests=2, tokens_in=1, tokens_out=1)
    tenant.usage(START, deployment="c", model="text-embedding-3-large", requests=3, tokens_in=1, tokens_out=0)
    found = {dict(cell.key.labels)["deployment"]: cell for cell in cells(read(connect()))}
    assert {name: cell.sums["requests"] for name, cell in found.items()} == {"a": 1, "b": 2, "c": 3}
    assert found["c"].key.operation == "embeddings"


def test_without_a_split_by_status_errors_are_unknown_and_not_zero(tenant, connect):
    tenant.status_is_no_dimension = True
    tenant.usage(START, **GPT, requests=10, tokens_in=1000, tokens_out=200)
    (cell,) = cells(read(connect()))
    assert cell.sums["requests"] == 10
    assert "errors" not in cell.sums


def test_a_resource_without_latency_has_none_and_the_rest_counts(tenant, connect):
    tenant.lacks = {LATENCY, FIRST_TOKEN, "AzureOpenAINormalizedTBTInMS"}
    tenant.usage(START, **GPT, requests=10, tokens_in=1000, tokens_out=200)
    (cell,) = cells(read(connect()))
    assert set(cell.sums) == {"requests", "errors", "input_tokens", "output_tokens"}
    assert any("No latency" in text for _, text in connect().test().lines)


def test_an_average_without_a_count_is_that_of_the_successful_requests(tenant, connect):
    tenant.counts_times = False
    tenant.usage(START, **GPT, requests=10, tokens_in=1000, tokens_out=200)
    tenant.put(REQUESTS, START, **GPT, status="500", total=4)
    (cell,) = cells(read(connect()))
    assert (cell.sums["duration_count"], cell.sums["duration_sum_ms"]) == (10, D(15_000))


def test_a_resource_without_requests_is_an_error_in_words(tenant, connect):
    tenant.lacks = {REQUESTS}
    with pytest.raises(ConnectorError, match="does not accept the request"):
        read(connect())


def test_idle_hours_that_azure_fills_with_zeros_are_no_cells(tenant, connect):
    tenant.usage(START, **GPT, requests=0, tokens_in=0, tokens_out=0)
    assert cells(read(connect())) == []


def test_hours_that_are_kept_no_longer_are_not_hours_without_usage(tenant, connect):
    start = START - 95 * DAY
    assert read(connect(costs="none"), start=start) == [NotStated(start, start + HOUR)]
    assert tenant.questions == []


@pytest.mark.parametrize("value", [-1, 2.5, 1e300, [1]])
def test_a_value_that_is_no_count_ends_the_pull(tenant, connect, value):
    tenant.put(PROMPT, START, **GPT, total=value)
    with pytest.raises(ConnectorError):
        read(connect())


def test_more_series_than_azure_gives_at_once_is_said_and_not_cut_off(tenant, connect):
    for number in range(1000):
        tenant.put(PROMPT, START, deployment=f"d{number}", model="m", total=1)
    connector = connect()
    connector.http = connector.http.with_limits(max_bytes=5_000_000)
    with pytest.raises(ConnectorError, match="would be cut off"):
        read(connector)


# --- Costs


def statements(found) -> list[CostStatement]:
    return [item for item in found if isinstance(item, CostStatement)]


def test_costs_are_by_day_and_model_in_the_currency_of_the_bill(tenant, connect):
    day = START.date()
    tenant.usage(START, **GPT, requests=1, tokens_in=1, tokens_out=1)
    tenant.charge(day, "gpt 4o 0806 Inp glbl Tokens", "7.1932")
    tenant.charge(day, "gpt 4o mini 0718 Inp glbl Tokens", "2")
    tenant.charge(day, "Support", "1", charge_type="Purchase")
    tenant.charge(day, "gpt 4o 0806 Inp glbl Tokens", "-0.5", charge_type="Refund")
    tenant.charge(day, "VAT", "0.7", charge_type="Tax")
    tenant.charge(day - DAY, "gpt 4o 0806 Inp glbl Tokens", "99")
    found = statements(read(connect()))
    assert sorted((one.model or "", one.charge_category, one.amount) for one in found) == [
        ("", "Adjustment", D("-0.5")),
        ("", "Purchase", D(1)),
        ("", "Tax", D("0.7")),
        # Another model than gpt-4o, which is not in use here: the whole resource.
        ("", "Usage", D(2)),
        ("gpt-4o", "Usage", D("7.1932")),
    ]
    assert {(one.start, one.end, one.currency) for one in found} == {
        (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC), "EUR")
    }


def test_a_long_window_is_asked_for_in_parts_that_azure_does_not_cut_off(tenant, connect):
    tenant.charge(date(2026, 9, 15), "m", "1")
    tenant.charge(date(2026, 10, 30), "m", "2")
    found = statements(read(connect(), start=datetime(2026, 9, 1, tzinfo=UTC), hours=70 * 24))
    assert sorted(one.amount for one in found) == [1, 2]
    assert tenant.questions.count("costs") == 3


def test_columns_are_found_by_name_in_any_order_and_spelling(tenant, connect):
    def play(asked: Asked) -> Reply:
        if not asked.path.endswith("/query"):
            return tenant.play(asked)
        columns = [
            {"name": name} for name in ("currency", "BillingMonth", "PreTaxCost", "Meter", "ChargeType", "UsageDate")
        ]
        rows = [["USD", "x", 1.5, "m", "Usage", "2026-11-20T00:00:00"]]
        return Reply(json.dumps({"properties": {"nextLink": None, "columns": columns, "rows": rows}}))

    tenant.server.play = play
    (one,) = statements(read(connect()))
    assert (one.amount, one.currency, one.start.date()) == (D("1.5"), "USD", date(2026, 11, 20))


@pytest.mark.parametrize(
    "properties",
    [
        {"columns": [], "rows": []},
        {"columns": [{"name": "Cost"}], "rows": [[1]]},
        {"rows": []},
        None,
    ],
)
def test_an_answer_about_costs_without_its_columns_ends_the_pull(tenant, connect, properties):
    tenant.server.play = lambda asked: (
        Reply(json.dumps({"properties": properties})) if asked.path.endswith("/query") else tenant.play(asked)
    )
    with pytest.raises(ConnectorError, match="Azure's answer cannot be used"):
        read(connect())


@pytest.mark.parametrize(("link", "words"), [("https://elsewhere.example/x", "another address"), ("", "same page")])
def test_a_next_page_that_lies_elsewhere_or_repeats_is_not_followed(tenant, connect, link, words):
    def play(asked: Asked) -> Reply:
        if not asked.path.endswith("/query"):
            return tenant.play(asked)
        answer = json.loads(tenant.play(asked).body)
        answer["properties"]["nextLink"] = link or f"{tenant.url}{asked.path}?again"
        return Reply(json.dumps(answer))

    tenant.server.play = play
    with pytest.raises(ConnectorError, match=words):
        read(connect())


def test_it_waits_as_long_as_the_longest_of_azures_limits_asks(tenant, connect):
    names = ("qpu", "entity", "tenant")
    waits = {f"x-ms-ratelimit-microsoft.costmanagement-{name}-retry-after": str(40 + n) for n, name in enumerate(names)}
    tenant.server.play = lambda asked: (
        Reply("{}", status=429, headers=waits) if asked.path.endswith("/query") else tenant.play(asked)
    )
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert (caught.value.permanent, caught.value.retry_after_seconds) == (False, 42)


def test_costs_that_are_not_due_or_not_wanted_are_not_asked_for(tenant, connect):
    asked_today = connect()
    asked_today.costs_are_due = False
    read(asked_today)
    read(connect(costs="none"))
    assert "costs" not in tenant.questions
    assert "billed_cost" not in connect(costs="none").reports


@pytest.mark.parametrize(
    ("meter", "model"),
    [
        ("gpt 4o 0806 Inp glbl Tokens", "gpt-4o"),
        ("gpt-4o-mini-0718-Outp-glbl Tokens", "gpt-4o-mini"),
        ("gpt 4o realtime Aud Inp Tokens", None),
        ("text embedding 3 large glbl Tokens", "text-embedding-3-large"),
        ("Provisioned Managed Global Unit", None),
    ],
)
def test_a_meter_names_a_model_or_all(meter, model):
    assert model_of(meter, ["gpt-4o", "gpt-4o-mini", "text-embedding-3-large"]) == model


# --- Sign-in


def test_it_signs_in_once_a_pull_with_what_was_given_alone(tenant, connect, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "from-environment")
    monkeypatch.setenv("AZURE_CLIENT_ID", "from-environment")
    monkeypatch.setenv("AZURE_REGIONAL_AUTHORITY_NAME", "tryautodetect")
    monkeypatch.setenv("REGION_NAME", "westeurope")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://169.254.169.254/identity")
    tenant.usage(START, **GPT, requests=1, tokens_in=1, tokens_out=1)
    read(connect())
    assert tenant.signed_in == 1
    assert "from-environment" not in str([(asked.values, asked.headers) for asked in tenant.server.asked])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (7000215, "does not accept the client secret"),
        (7000222, "has expired"),
        (700016, "no app registration"),
        (90002, "no such tenant"),
        (12345, "AADSTS12345"),
    ],
)
def test_a_refused_sign_in_says_what_to_do(tenant, connect, code, words):
    said = {"error": "invalid_client", "error_description": f"AADSTS{code}: no.\r\nTrace ID: x", "error_codes": [code]}
    tenant.server.play = lambda asked: (
        Reply(json.dumps(said), status=401) if asked.path.endswith("/token") else tenant.play(asked)
    )
    with pytest.raises(ConnectorError, match=words) as caught:
        read(connect())
    assert caught.value.permanent
    assert caught.value.hint
    assert "Trace" not in str(caught.value)


def test_a_sign_in_that_sends_us_elsewhere_is_not_followed(tenant, connect):
    def play(asked: Asked) -> Reply:
        if asked.path.endswith("openid-configuration"):
            place = "https://evil.example/steal"
            return Reply(json.dumps({"issuer": place, "authorization_endpoint": place, "token_endpoint": place}))
        return tenant.play(asked)

    tenant.server.play = play
    with pytest.raises(ConnectorError):
        read(connect())
    assert all(asked.value("client_secret") is None for asked in tenant.server.asked)


def test_a_missing_role_names_the_roles(tenant, connect):
    tenant.server.play = lambda asked: (
        Reply(json.dumps({"error": {"code": "AuthorizationFailed", "message": "no"}}), status=403)
        if "Microsoft.Insights" in asked.path
        else tenant.play(asked)
    )
    with pytest.raises(ConnectorError, match="Monitoring Reader"):
        read(connect())


def test_the_token_is_never_shown(tenant, connect):
    tenant.server.play = lambda asked: (
        Reply(json.dumps({"error": {"message": f"token {TOKEN} is wrong"}}), status=403)
        if "Microsoft.Insights" in asked.path
        else tenant.play(asked)
    )
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("resources", ["contoso-ai"]), ("resources", [f"{RESOURCE}/deployments/x"]), ("tenant_id", "a/../b")],
)
def test_ids_that_are_none_are_refused_before_anything_is_asked(name, value):
    with pytest.raises(RuleViolation) as caught:
        AzureOpenAI.clean_parameters(parameters("https://x.example", **{name: value}))
    assert caught.value.field == name
