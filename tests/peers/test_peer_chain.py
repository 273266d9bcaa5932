"""One real chain: an application that pushes, a LiteLLM proxy, a llama.cpp server, all three connected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.access import Asker
from accounts.models import Membership, Role, Workload
from metrics import counting, identity, series
from metrics import pull as pulling
from metrics.actions.allocations import allocate
from metrics.figures import Scope
from metrics.models import Backend, LookAlike, Series
from metrics.usage import SeriesKind

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    settings.REPORTING_CURRENCY = "USD"
    identity.forget()


def _next_hour() -> datetime:
    return datetime.now(UTC) + HOUR


def _record(model: str, used: dict) -> dict:
    """What the application knows of its own request."""
    return {
        "timestamp": datetime.now(UTC).isoformat(),
        "provider": "openai",
        "model": model,
        "input_tokens": used["prompt_tokens"],
        "output_tokens": used["completion_tokens"],
    }


def test_the_same_requests_seen_three_times_count_once(
    litellm_proxy, llama_server, client, adam, alice, claims, api, monkeypatch
):
    support = Workload.objects.create(slug="support", name="Support desk")
    Membership.objects.create(user=alice, workload=support, role=Role.CONTRIBUTOR)
    client.force_login(adam)
    form = {"pull_every_minutes": "60", "default_workload": "", "measured_at": "server"}
    made = client.post(
        "/backends/new/metrics_endpoint/",
        {**form, "name": "llama", "addresses": llama_server.url, "preset": "llamacpp"},
    )
    assert made.status_code == 303, made.text
    made = client.post(
        "/backends/new/litellm/",
        {
            **form,
            "measured_at": "gateway",
            "name": "Gateway",
            "address": litellm_proxy.url,
            "key": litellm_proxy.viewer_key(),
            "read": "requests",
        },
    )
    assert made.status_code == 303, made.text
    server, gateway = Backend.objects.get(name="llama"), Backend.objects.get(name="Gateway")
    assert pulling.pull(server.pk) is not None  # the baseline

    begun = datetime.now(UTC).replace(microsecond=0)
    keys = {claims: litellm_proxy.team("claims"), support: litellm_proxy.team("support")}
    used: dict[Workload, list[dict]] = {claims: [], support: []}
    for number in range(5):
        team = support if number == 4 else claims
        text = f"River {number}. " + "Tell me everything that you know about it, please. " * 12
        used[team].append(litellm_proxy.chat(keys[team], "gemma", text, max_tokens=8))
    past = llama_server.chat("Past the gateway", max_tokens=2)
    start, end = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (begun, _next_hour()))
    rows = litellm_proxy.wait_for_logs(5, start, end)
    for team in (claims, support):
        sent = api(alice, scopes=["push"], workload=team).post(
            "/api/v1/usage", {"records": [_record("gemma-3-270m", one) for one in used[team]]}
        )
        assert sent.status_code == 201, sent.content
    assert pulling.pull(server.pk) is not None
    with monkeypatch.context() as patch:
        patch.setattr("metrics.sources.now", _next_hour)
        assert pulling.pull(gateway.pk, clock=_next_hour) is not None, Backend.objects.get(pk=gateway.pk).problem

    # Each team has its series at the gateway, and is given what is its own.
    for team in (claims, support):
        mine = Series.objects.get(backend=gateway, labels__team=team.slug, model="gemma-3-270m")
        allocate(Asker(user=adam), mine, shares=[(team, Decimal(1))])

    once = _tokens_of([*used[claims], *used[support]])
    at_server = once + _tokens_of([past])
    # Unlinked, all three count, and the page asks.
    assert _total("tokens", None) == 2 * once + at_server
    assert _total("tokens", (claims, support)) == 2 * once
    assert counting.find_look_alikes(datetime.now(UTC).date()) == 1
    assert "Gateway" in client.get("/backends/").text
    assert "Link them?" in client.get("/backends/").text
    client.post(f"/look-alikes/{LookAlike.objects.get().pk}/", {"decision": "linked"})
    server.refresh_from_db()
    assert server.behind == gateway
    assert "Link them?" not in client.get("/backends/").text
    for pushed in Series.objects.filter(is_pushed=True, kind=SeriesKind.USAGE):
        answer = client.post(f"/series/{pushed.pk}/through/", {"backend": gateway.pk})
        assert answer.status_code == 303, answer.text

    # Linked, tokens and spend count once, and each team has its own.
    assert _total("tokens", None) == once
    spend = {team: _spend_of(rows, team.slug) for team in (claims, support)}
    for team in (claims, support):
        assert _total("tokens", (team,)) == _tokens_of(used[team])
        assert _total("spend", (team,)) == spend[team] > 0
        assert _total("requests", (team,)) == len(used[team])
    assert _total("spend", None) == spend[claims] + spend[support]

    # The cross-check shows what went past the gateway; the page says it.
    checks = {check.other_name: check for check in series.cross_checks(_scope(None))}
    check = checks["llama"]
    assert (check.counted_name, check.counted_tokens, check.other_tokens) == ("Gateway", once, at_server)
    assert check.gap_ratio == pytest.approx(Decimal(at_server) / once - 1)
    # What the application saw is the same as what the gateway did.
    assert sum(check.other_tokens for name, check in checks.items() if name != "llama") == once


def _scope(teams: Sequence[Workload] | None) -> Scope:
    today = datetime.now(UTC).date()
    ids = None if teams is None else tuple(team.pk for team in teams)
    return Scope(today - timedelta(days=1), today + timedelta(days=2), ids)


def _total(measure: str, teams: Sequence[Workload] | None) -> Decimal:
    """What the product shows of these teams, of the whole organisation where None."""
    return sum((row.sums.total(measure) or Decimal(0) for row in series.usage(_scope(teams))), Decimal(0))


def _tokens_of(answers: Sequence[dict]) -> int:
    return sum(one["prompt_tokens"] + one["completion_tokens"] for one in answers)


def _spend_of(rows: Sequence[dict], team: str) -> Decimal:
    """The proxy's own word on a team's spend."""
    mine = [row for row in rows if row["metadata"]["user_api_key_team_alias"] == team]
    return sum((Decimal(str(row["spend"])) for row in mine), Decimal(0))
