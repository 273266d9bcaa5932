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
from metrics.actions.allocations import allocate
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
TEAM = "measured"
BUCKETS = f'sum by (le) (litellm_request_total_latency_metric_bucket{{team_alias="{TEAM}"}})'


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
    """What Prometheus has of this team's tokens and spend."""
    found = {}
    for name in ("input_tokens", "output_tokens", "spend"):
        answer = prometheus_server.ask(f'sum(litellm_{name}_metric_total{{team_alias="{TEAM}"}})')
        found[name] = Decimal(str(answer[0]["value"][1])) if answer else Decimal(0)
    return found


def _roadmap(adam, alice, name: str):
    today = datetime.now(UTC).date()
    plan = make_roadmap(Asker(adam), name=name, owner=alice, start_on=today - timedelta(days=1), currency="USD")
    return plan, plan.phases.get(kind="poc")


def _add(client, kind: str, **values) -> Backend:
    answer = client.post(
        f"/backends/new/{kind}/",
        {"measured_at": "gateway", "pull_every_minutes": "60", "default_workload": "", **values},
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
    made = _use(litellm_proxy, litellm_proxy.team(TEAM))
    day = litellm_proxy.wait_for_day(f"{TEAM}-app", made)
    rows = [
        row
        for row in litellm_proxy.logs(_text(begun), _text(begun + HOUR))
        if row["metadata"]["user_api_key_team_alias"] == TEAM
    ]
    assert len(rows) == made
    done = f'sum(litellm_request_total_latency_metric_count{{team_alias="{TEAM}"}})'
    prometheus_server.wait_for(f"{done} >= {made - 1}")

    client.force_login(adam)
    (one, phase_one), (two, phase_two) = (_roadmap(adam, alice, name) for name in ("By REST", "By Prometheus"))
    form = {"address": litellm_proxy.url, "key": litellm_proxy.viewer_key(), "read": "requests"}
    asked = {**form, "name": "Gateway", "measured_at": "gateway", "pull_every_minutes": "60", "do": "test"}
    said = client.post("/backends/new/litellm/", asked, headers={"HX-Request": "true"})
    assert "The key reads all teams" in said.text
    rest = _add(client, "litellm", name="Gateway", **form)
    scraped = _add(
        client,
        "prometheus",
        name="Scraped",
        address=prometheus_server.url,
        preset="litellm",
        selector='job="litellm"',
    )
    for backend in (rest, scraped):
        _pull(backend, monkeypatch)

    # Other tests use the same proxy: of what was pulled, this team's series are given to the roadmaps.
    for backend, plan in ((rest, one), (scraped, two)):
        for mine in Series.objects.filter(backend=backend, labels__team=TEAM):
            assert mine.labels["api_key_name"] == f"{TEAM}-app"
            allocate(Asker(user=adam), mine, shares=[(plan.workload, Decimal(1))])

    # Spend and tokens: LiteLLM's own totals of the day, the sum of its rows, and Prometheus' counters.
    spend = sum(Decimal(str(row["spend"])) for row in rows)
    assert spend > 0
    assert float(spend) == pytest.approx(day["spend"])
    sums: Counter[tuple[int, str]] = Counter()
    for hour in UsageHour.objects.filter(series__labels__team=TEAM).select_related("series"):
        for measure in ("requests", "errors", "input_tokens", "output_tokens"):
            sums[hour.series.backend_id, measure] += getattr(hour, measure) or 0
        if hour.series.model != "house-model":
            sums[hour.series.backend_id, "spend"] += hour.estimated_cost or 0
    assert (sums[rest.pk, "requests"], sums[rest.pk, "errors"]) == (made, 1)
    assert sums[rest.pk, "input_tokens"] == day["prompt_tokens"]
    assert sums[rest.pk, "output_tokens"] == day["completion_tokens"]
    assert sums[rest.pk, "spend"] == spend
    # LiteLLM adds the tokens of a request that failed to its totals, and not to these counters.
    counters = _counters(prometheus_server)
    assert sums[scraped.pk, "input_tokens"] == counters["input_tokens"]
    assert sums[scraped.pk, "output_tokens"] == counters["output_tokens"] == day["completion_tokens"]
    for theirs in (counters["spend"], spend):
        assert abs(sums[scraped.pk, "spend"] - theirs) < Decimal("0.000000001")
    # A model without a price is not priced, in no total as zero.
    assert not UsageHour.objects.filter(series__model="house-model", estimated_cost=0).exists()

    # The dashboards of both say the same.
    for phase in (phase_one, phase_two):
        shown = _figures(api, alice, phase)
        assert abs(Decimal(shown["money"]["spent"]) - spend) < Decimal("0.000000001")

    # Percentiles: within 2.5% of the nearest rank of LiteLLM's rows, and in the bucket of histogram_quantile.
    timed = sorted(
        (datetime.fromisoformat(row["endTime"]) - datetime.fromisoformat(row["startTime"])) / timedelta(milliseconds=1)
        for row in rows
        if row["status"] != "failure"
    )
    by_rest, by_prometheus = _figures(api, alice, phase_one), _figures(api, alice, phase_two)
    bounds = sorted(float(one["metric"]["le"]) for one in prometheus_server.ask(BUCKETS))
    exact = timed[math.ceil(len(timed) * 95 / 100) - 1]
    assert abs(float(by_rest["duration_p95"]["value"]) * 1000 / exact - 1) < 0.025
    theirs = float(prometheus_server.ask(f"histogram_quantile(0.95, {BUCKETS})")[0]["value"][1])
    high = next(bound for bound in bounds if bound >= theirs)
    low = max(bound for bound in bounds if bound < high)
    shown = by_prometheus["duration_p95"]
    assert (float(shown["low"]), float(shown["high"])) == (pytest.approx(low), pytest.approx(high))
    # LiteLLM's rows lie in the bucket of its histogram too.
    assert low <= float(by_rest["duration_p95"]["value"]) * 1.025
    assert float(by_rest["duration_p95"]["value"]) <= high


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
