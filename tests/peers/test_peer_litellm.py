"""A real LiteLLM proxy and a real Prometheus that scrapes it: what we show is what they compute."""

from __future__ import annotations

import math
import subprocess
import urllib.error
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.access import Asker
from metrics import identity
from metrics import pull as pulling
from metrics.connectors import connector_for
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.models import Backend, Series, UsageHour
from metrics.windows import Window
from roadmap.actions.roadmaps import make_roadmap
from tests.doubles.litellm_proxy import LiteLLMProxy as Double
from tests.doubles.litellm_proxy import Request
from tests.doubles.source_server import Asked
from tests.peers import litellm_home

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    identity.forget()


@pytest.fixture
def begun() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _next_hour() -> datetime:
    """As if the hour were over, so that what happened a moment ago may be pulled."""
    return datetime.now(UTC) + HOUR


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _use(proxy, key: str) -> int:
    """Some requests of one team; how many there were."""
    for number in range(6):
        proxy.chat(key, "fast", f"Question {number}")
    for number in range(3):
        proxy.chat(key, "slow", f"A longer question, number {number}")
    proxy.stream(key, "slow", "Tell me bit by bit")
    proxy.chat(key, "free", "A house model")
    with pytest.raises(urllib.error.HTTPError):
        proxy.chat(key, "broken", "This one fails")
    return 12


def _counters(prometheus_server) -> dict[str, Decimal]:
    """What Prometheus makes of the proxy's counters."""
    found = {}
    for name in ("input_tokens", "output_tokens", "spend"):
        metric = f"litellm_{name}_metric_total"
        answer = prometheus_server.ask(f"sum({metric})")
        found[metric] = Decimal(str(answer[0]["value"][1])) if answer else Decimal(0)
    return found


def _roadmap(adam, alice, name: str):
    today = datetime.now(UTC).date()
    plan = make_roadmap(Asker(adam), name=name, owner=alice, start_on=today - timedelta(days=1), currency="USD")
    return plan, plan.phases.get(kind="poc")


def _add(client, kind: str, workload, **values) -> Backend:
    answer = client.post(
        f"/backends/new/{kind}/",
        {"measured_at": "gateway", "pull_every_minutes": "60", "default_workload": workload.pk, **values},
    )
    assert answer.status_code == 303, answer.text
    return Backend.objects.get(name=values["name"])


def _pull(backend: Backend, monkeypatch) -> pulling.Found:
    monkeypatch.setattr("metrics.sources.now", _next_hour)
    found = pulling.pull(backend.pk, clock=_next_hour)
    backend.refresh_from_db()
    assert found is not None, backend.problem
    return found


def _figures(api, person, phase) -> dict[str, dict]:
    answer = api(person, scopes=["read"]).get(f"/api/v1/phases/{phase.pk}/dashboard")
    assert answer.status_code == 200, answer.content
    document = answer.json()
    return {**{one["name"]: one for one in document["figures"]}, "money": document["money"]}


def test_spend_tokens_and_percentiles_are_those_that_the_peers_compute(
    litellm_proxy, prometheus_server, client, api, adam, alice, monkeypatch, settings, begun
):
    settings.REPORTING_CURRENCY = "USD"
    prometheus_server.start(targets={"litellm": [f"127.0.0.1:{litellm_proxy.port}"]})
    prometheus_server.wait_for('up{job="litellm"} == 1')
    prometheus_server.wait_for('process_start_time_seconds{job="litellm"}', seconds=30)
    before = _counters(prometheus_server)
    key = litellm_proxy.team("measured")
    made = _use(litellm_proxy, key)
    rows = litellm_proxy.wait_for_logs(made, _text(begun), _text(begun + HOUR))
    assert len(rows) == made
    seen = "sum(litellm_requests_metric_total) or sum(litellm_proxy_total_requests_metric_total)"
    prometheus_server.wait_for(f"({seen}) >= {made - 1}")

    client.force_login(adam)
    (one, phase_one), (two, phase_two) = (_roadmap(adam, alice, name) for name in ("By REST", "By Prometheus"))
    form = {"address": litellm_proxy.url, "key": litellm_proxy.viewer_key(), "read": "requests"}
    asked = {**form, "name": "Gateway", "measured_at": "gateway", "pull_every_minutes": "60", "do": "test"}
    said = client.post("/backends/new/litellm/", asked, headers={"HX-Request": "true"})
    assert "The key reads all teams" in said.text
    rest = _add(client, "litellm", one.workload, name="Gateway", **form)
    scraped = _add(
        client,
        "prometheus",
        two.workload,
        name="Scraped",
        address=prometheus_server.url,
        preset="litellm",
        selector='job="litellm"',
    )
    for backend in (rest, scraped):
        _pull(backend, monkeypatch)

    # Spend and tokens: LiteLLM's own totals of the day, and the sum of its rows.
    day = litellm_proxy.ask(f"/user/daily/activity?start_date={begun.date()}&end_date={_next_hour().date()}")
    spend = sum(Decimal(str(one["metrics"]["spend"])) for one in day["results"])
    tokens_in = sum(one["metrics"]["prompt_tokens"] for one in day["results"])
    tokens_out = sum(one["metrics"]["completion_tokens"] for one in day["results"])
    assert spend == sum(Decimal(str(row["spend"])) for row in rows) > 0
    sums = Counter()
    money = {rest.pk: Decimal(0), scraped.pk: Decimal(0)}
    for hour in UsageHour.objects.select_related("series"):
        backend = hour.series.backend_id
        sums[backend, "requests"] += hour.requests or 0
        sums[backend, "errors"] += hour.errors or 0
        sums[backend, "in"] += hour.input_tokens or 0
        sums[backend, "out"] += hour.output_tokens or 0
        if hour.series.model != "house-model":
            money[backend] += hour.estimated_cost or 0
    assert sums[rest.pk, "requests"] == made
    assert sums[rest.pk, "errors"] == 1
    assert (sums[rest.pk, "in"], sums[rest.pk, "out"]) == (tokens_in, tokens_out)
    assert money[rest.pk] == spend
    # Prometheus' own counters: LiteLLM adds the tokens of a request that failed to its totals, and not to these.
    grown = {name: value - before[name] for name, value in _counters(prometheus_server).items()}
    assert sums[scraped.pk, "in"] == grown["litellm_input_tokens_metric_total"]
    assert sums[scraped.pk, "out"] == grown["litellm_output_tokens_metric_total"] == tokens_out
    assert abs(money[scraped.pk] - grown["litellm_spend_metric_total"]) < Decimal("0.000000001")
    assert abs(grown["litellm_spend_metric_total"] - spend) < Decimal("0.000000001")
    # A model without a price is not priced, in no total as zero.
    assert not UsageHour.objects.filter(series__model="house-model", estimated_cost=0).exists()

    # The dashboards of both say the same.
    for phase in (phase_one, phase_two):
        shown = _figures(api, alice, phase)
        assert abs(Decimal(shown["money"]["spent"]) - spend) < Decimal("0.000000001")
    series = Series.objects.filter(backend=rest, labels__team="measured")
    assert {one.labels["api_key_name"] for one in series} == {"measured-app"}

    # Percentiles: within 2.5% of the nearest rank of LiteLLM's rows, and in the bucket of histogram_quantile.
    timed = sorted(
        (datetime.fromisoformat(row["endTime"]) - datetime.fromisoformat(row["startTime"])) / timedelta(milliseconds=1)
        for row in rows
        if row["status"] != "failure"
    )
    by_rest, by_prometheus = _figures(api, alice, phase_one), _figures(api, alice, phase_two)
    bounds = sorted(
        float(one["metric"]["le"])
        for one in prometheus_server.ask("sum by (le) (litellm_request_total_latency_metric_bucket)")
    )
    for percent in (50, 95):
        exact = timed[math.ceil(len(timed) * percent / 100) - 1]
        figure = by_rest[f"p{percent}"]
        assert abs(float(figure["value"]) / max(exact, 0.1) - 1) < 0.025
        quantile = f"histogram_quantile({percent / 100}, sum by (le) (litellm_request_total_latency_metric_bucket))"
        theirs = float(prometheus_server.ask(quantile)[0]["value"][1])
        high = next(bound for bound in bounds if bound >= theirs)
        low = max((bound for bound in bounds if bound < high), default=0.0)
        figure = by_prometheus[f"p{percent}"]
        assert float(figure["high"]) == pytest.approx(high * 1000)
        assert float(figure["low"] or 0) == pytest.approx(low * 1000)


def test_the_key_of_the_documentation_reads_everything_and_calls_nothing(litellm_proxy):
    key = litellm_proxy.viewer_key()
    with pytest.raises(urllib.error.HTTPError) as refused:
        litellm_proxy.chat(key, "fast", "May I?")
    assert refused.value.code == 403
    with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))) as http:
        kind = connector_for("litellm")

        def tested(key):
            values = kind.clean_parameters({"address": litellm_proxy.url, "key": key})
            return kind(values, http, lambda: datetime.now(UTC)).test()

        assert tested(key).ok
        # An application's own key is answered, and would see nothing but itself.
        refused = tested(litellm_proxy.team("ordinary"))
        assert not refused.ok
        assert "proxy_admin_viewer" in str(refused.lines)


def test_the_proxys_own_models_read_our_doubles_answers():
    """The double is honest: LiteLLM's response models take its answers, whole."""
    if not litellm_home.is_made():
        pytest.skip("LiteLLM has no environment yet (python -m tests.peers.litellm_home)")
    at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    double = Double([Request("a", at), Request("b", at + HOUR, team="support", key_alias="k2", status="failure")])
    double.close()
    days = double.answer(
        Asked("GET", "/user/daily/activity", [("start_date", "2026-11-20"), ("end_date", "2026-11-20")], {})
    ).body
    logs = double.answer(
        Asked("GET", "/spend/logs/v2", [("start_date", _text(at)), ("end_date", _text(at + 2 * HOUR))], {})
    ).body
    code = (
        "import json, sys\n"
        "from litellm.types.proxy.management_endpoints.common_daily_activity import SpendAnalyticsPaginatedResponse\n"
        "from prisma.models import LiteLLM_SpendLogs\n"
        "days, logs = (json.loads(line) for line in sys.stdin)\n"
        "read = SpendAnalyticsPaginatedResponse(**days)\n"
        "row = read.results[0]\n"
        "known = set(LiteLLM_SpendLogs.model_fields) | {'request_duration_ms'}\n"
        "unknown = [name for entry in logs['data'] for name in entry if name not in known]\n"
        "keys = row.breakdown.models['openai/gpt-x-mini'].api_key_breakdown.values()\n"
        "names = sorted(key.metadata.key_alias for key in keys)\n"
        "print(row.metrics.api_requests, row.metrics.failed_requests, names, unknown)\n"
    )
    done = subprocess.run(
        [str(litellm_home.PYTHON), "-c", code],
        input=f"{days}\n{logs}\n",
        capture_output=True,
        text=True,
        check=True,
        env={**litellm_home.environment(), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.stdout.split("\n")[-2] == "2 1 ['claims-key', 'k2'] []"


def test_totals_of_days_are_the_same_as_the_requests(litellm_proxy, begun):
    key = litellm_proxy.team("totals")
    before = len(litellm_proxy.logs(_text(begun - 24 * HOUR), _text(begun + HOUR)))
    for number in range(3):
        litellm_proxy.chat(key, "fast", f"Question {number}")
    litellm_proxy.wait_for_logs(before + 3, _text(begun - 24 * HOUR), _text(begun + HOUR))
    with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))) as http:
        kind = connector_for("litellm")
        day = begun.replace(hour=0, minute=0, second=0)
        sums = {}
        for read in ("requests", "days"):
            values = kind.clean_parameters(
                {"address": litellm_proxy.url, "key": litellm_proxy.viewer_key(), "read": read}
            )
            cells = list(kind(values, http, _next_hour).fetch(Window(day, day + 24 * HOUR)))
            mine = [cell for cell in cells if dict(cell.key.labels).get("team") == "totals"]
            assert {(cell.key.provider, cell.key.model) for cell in mine} == {("openai", "gpt-4o-mini")}
            names = ("requests", "errors", "input_tokens", "output_tokens", "estimated_cost")
            sums[read] = {name: sum(cell.sums[name] for cell in mine) for name in names}
        assert sums["requests"] == sums["days"]
        assert sums["days"]["requests"] == 3
