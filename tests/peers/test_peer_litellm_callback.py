"""A real LiteLLM proxy with the configuration that the Send data page prints, word for word: its requests arrive."""

from __future__ import annotations

import html
import os
import re
import time
import urllib.error
from decimal import Decimal

import pytest

from metrics.models import Receipt, UsageHour
from tests.peers import litellm_home
from tests.peers.litellm_proxy import LiteLLMProxy

pytestmark = pytest.mark.django_db(transaction=True)
WITHIN_SECONDS = 40.0


@pytest.fixture
def printed(sign_in, alice, claims, live_server, settings):
    """What the page prints for LiteLLM after Make a token was pressed."""
    settings.ALLOWED_HOSTS = ["*"]
    browser = sign_in(alice)
    page = browser.post("/send/token/", {"roadmap": "claims"}, headers={"host": live_server.url.split("//")[1]})
    text = html.unescape(re.search(r"<code>(litellm_settings:.*?)</code>", page.text, re.S)[1])
    assert live_server.url in text
    return text


@pytest.fixture
def proxy(printed, tmp_path):
    lacking = litellm_home.missing()
    if lacking or not litellm_home.is_made():
        pytest.skip(lacking or "LiteLLM has no environment yet (python -m tests.peers.litellm_home)")

    def model(name: str, called: str, **more: object) -> dict[str, object]:
        return {"model_name": name, "litellm_params": {"model": called, "api_key": "none", **more}}

    made = LiteLLMProxy(
        folder=tmp_path / "litellm",
        server=os.environ["DATABASE_URL"],
        models=[
            model("fast", "openai/gpt-4o-mini", mock_response="A short answer."),
            model("free", "openai/house-model", mock_response="Nobody knows what this costs."),
            model("broken", "openai/gpt-4o-mini", mock_response="litellm.RateLimitError"),
        ],
        settings=printed,
    )
    made.start()
    yield made
    made.stop()


def _wait_for(requests: int) -> list[UsageHour]:
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        rows = list(UsageHour.objects.select_related("series"))
        if sum(row.requests or 0 for row in rows) >= requests:
            return rows
        time.sleep(0.5)
    raise AssertionError(f"{requests} requests did not arrive: {list(Receipt.objects.values())}")


def test_what_the_proxy_served_arrives_by_itself(proxy, claims):

    key = proxy.team("measured")
    told = [proxy.chat(key, "fast", "A secret question") for _ in range(5)]
    proxy.stream(key, "fast", "Bit by bit")
    proxy.chat(key, "free", "A house model")
    with pytest.raises(urllib.error.HTTPError):
        proxy.chat(key, "broken", "This one fails")
    rows = _wait_for(8)
    by_model = {row.series.model: row for row in rows}
    assert sum(row.requests for row in rows) == 8
    assert sum(row.errors for row in rows) == 1
    mini, house = by_model["gpt-4o-mini"], by_model["house-model"]
    assert (mini.series.provider, mini.series.operation) == ("openai", "chat")
    assert mini.series.labels["team"] == "measured"
    assert mini.series.labels["api_key_name"] == "measured-app"
    assert mini.input_tokens >= sum(one["prompt_tokens"] for one in told)
    assert mini.output_tokens >= sum(one["completion_tokens"] for one in told)
    # The proxy's own spend, and none where it has no price.
    logged = proxy.wait_for_day("measured-app", 8)
    assert sum(row.estimated_cost or 0 for row in rows) == pytest.approx(
        Decimal(str(logged["spend"])), rel=Decimal("1e-6")
    )
    assert house.estimated_cost is None
    assert mini.series.workload_id == claims.pk
    assert mini.series.measured_at == "gateway"
