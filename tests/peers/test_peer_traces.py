"""Three instrumentations of OpenAI's client, unchanged, told where to send by the three variables alone.

Each runs in a program of its own (tests/peers/otel_program.py) against a double of the OpenAI API, and what the
dashboard reads afterwards is what the program printed that it did.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from metrics import identity, series
from metrics.figures import Scope, merged
from metrics.models import Receipt, UsageHour
from tests.doubles.openai_inference import OpenAIInference
from tests.doubles.source_server import source_server
from tests.flows.web_process import running_product
from tests.peers.otel_program import PLANTED
from tests.peers.programs import ROOT

MODULES = {
    "traceloop": "opentelemetry.instrumentation.openai",
    "openinference": "openinference.instrumentation.openai",
    "openai-v2": "opentelemetry.instrumentation.openai_v2",
}
# What an instrumentation leaves out of its spans.
SAYS_CACHED = {"traceloop", "openinference"}
SAYS_FIRST = {"traceloop", "openinference"}


@pytest.fixture
def product(transactional_db, tmp_path):
    identity.forget()
    with running_product(tmp_path) as running:
        yield running
    identity.forget()


@pytest.fixture
def owner(transactional_db) -> User:
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="bob")
    Membership.objects.create(user=owner, workload=claims, role=Role.CONTRIBUTOR)
    return owner


def run_program(product, token: str, package: str, *signals: str) -> list[dict]:
    """What the program says that it did, call by call."""
    try:
        found = importlib.util.find_spec(MODULES[package])
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{MODULES[package]} is not installed (requirements-peers.txt)")
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{product.url}/otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer{quote(' ')}{token}",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with source_server() as source:
        double = OpenAIInference(answer=f"It is about {PLANTED}, in short.")
        source.play = double.play
        done = subprocess.run(
            [sys.executable, "-m", "tests.peers.otel_program", package, f"{source.url}/v1", *signals],
            cwd=ROOT,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert len(double.told) == 5
    return [json.loads(line) for line in done.stdout.splitlines()]


def dashboard(measure: str):
    """The sum of the roadmap's last two days, as its pages read it."""
    claims, today = Workload.objects.get(), timezone.now().date()
    scope = Scope(today - timedelta(days=1), today + timedelta(days=1), (claims.pk,))
    return merged(row.sums for row in series.usage(scope)).total(measure)


def hours(measure: str):
    return sum(getattr(hour, measure) or 0 for hour in UsageHour.objects.all())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("package", sorted(MODULES))
def test_the_dashboard_says_what_the_program_did(product, owner, package):
    _, token = make_token(name="bot", owner=owner, scopes=["push"], workload=Workload.objects.get(), signal="traces")
    did = run_program(product, token, package, "traces")
    good = [call for call in did if not call["error"]]
    assert (dashboard("requests"), dashboard("errors")) == (len(did), len(did) - len(good)) == (5, 2)
    assert dashboard("input_tokens") == sum(call["input_tokens"] for call in good) == 1865
    assert dashboard("output_tokens") == sum(call["output_tokens"] or 0 for call in good) == 212
    cached = sum(call["cached"] or 0 for call in good)
    assert cached == 768
    assert dashboard("cached_input_tokens") == (cached if package in SAYS_CACHED else None)
    # Each duration as the program's own clock saw it, a few milliseconds of its own beside.
    spent_ms = sum(call["seconds"] for call in good) * 1000
    assert float(hours("duration_sum_ms")) == pytest.approx(spent_ms, rel=0.2, abs=60)
    assert hours("duration_count") == len(good)
    assert hours("time_to_first_token_count") == (1 if package in SAYS_FIRST else 0)
    if package in SAYS_FIRST:
        (streamed,) = (call for call in did if call["first"])
        assert float(hours("time_to_first_token_sum_ms")) == pytest.approx(streamed["first"] * 1000, rel=0.2, abs=30)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("package", ["traceloop", "openai-v2"])
@pytest.mark.parametrize("counted", ["traces", "metrics"])
def test_a_program_that_sends_both_signals_is_counted_once(product, owner, package, counted):
    _, token = make_token(name="bot", owner=owner, scopes=["push"], workload=Workload.objects.get(), signal=counted)
    did = run_program(product, token, package, "traces", "metrics")
    good = [call for call in did if not call["error"]]
    assert dashboard("input_tokens") == sum(call["input_tokens"] for call in good)
    assert dashboard("output_tokens") == sum(call["output_tokens"] or 0 for call in good)
    assert dashboard("requests") == len(did)
    assert Receipt.objects.filter(token__name="bot").exists()


@pytest.mark.django_db(transaction=True)
def test_nothing_that_was_asked_or_answered_is_in_a_log(product, owner):
    _, token = make_token(name="bot", owner=owner, scopes=["push"], workload=Workload.objects.get(), signal="traces")
    run_program(product, token, "openinference", "traces")
    assert "POST /otlp/v1/traces" in product.logs()
    assert PLANTED not in product.logs()
