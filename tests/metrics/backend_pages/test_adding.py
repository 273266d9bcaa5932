"""Backends are added and tested in the browser; their secrets are on no page."""

from __future__ import annotations

import pytest
from django.utils.html import escape

from accounts.models import AuditEvent
from metrics.connectors.presets.catalogue import PRESETS
from metrics.models import Backend
from metrics.secrets import open_sealed
from tests.doubles.source_server import Reply
from tests.metrics.pulling import SECRET

pytestmark = pytest.mark.django_db


def _form(server, **more) -> dict[str, object]:
    return {
        "name": "GPU box",
        "addresses": server.url,
        "preset": "vllm",
        "measured_at": "server",
        "pull_every_minutes": "5",
        **more,
    }


NEW = "/backends/new/metrics_endpoint/"


def test_it_adds_a_backend_and_pulls_it_at_once(server, adam, sign_in, claims, started):
    answer = sign_in(adam).post(NEW, _form(server, default_workload=claims.pk, token=SECRET))
    backend = Backend.objects.get()
    assert answer.status_code == 303
    assert answer.url == "/backends/gpu-box/"
    assert started == [("metrics.pull_backend", backend.pk)]
    assert backend.parameters["addresses"] == [server.url]
    assert open_sealed(backend.secrets) == {"token": SECRET}


def test_it_says_in_words_what_works(server, adam, sign_in):
    answer = sign_in(adam).post(NEW, _form(server, do="test"), headers={"HX-Request": "true"})
    assert "It works." in answer.text
    assert "<html" not in answer.text
    assert Backend.objects.count() == 0


def test_it_says_in_words_what_does_not_work(server, adam, sign_in):
    server.play = lambda asked: Reply(status=404)
    answer = sign_in(adam).post(NEW, _form(server, do="test"))
    assert "It does not work yet." in answer.text
    assert "--metrics" in answer.text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "required"),
        ("addresses", "10.0.0.5:8000", "starts with http://"),
        ("addresses", "http://me:secret@10.0.0.5", "leave name and password out"),
        ("addresses", "", "required"),
        ("preset", "abacus", "not one of the available choices"),
        ("pull_every_minutes", "7", "not one of the available choices"),
        ("default_workload", "999999", "not one of the available choices"),
    ],
)
def test_it_says_beside_the_field_what_is_wrong(server, adam, sign_in, field, value, said):
    answer = sign_in(adam).post(NEW, _form(server, **{field: value}))
    assert answer.status_code == 422
    assert said in answer.text
    assert Backend.objects.count() == 0


def test_the_example_server_is_offered_first_while_the_demo_is_here(adam, sign_in, settings, claims):
    settings.EXAMPLE_SERVER_URL = "http://127.0.0.1:8100"
    assert "Example server" not in sign_in(adam).get("/backends/new/").text
    claims.is_demo = True
    claims.save()
    text = sign_in(adam).get("/backends/new/").text
    assert 0 < text.index("Example server") < text.index("Prometheus")
    assert "http://127.0.0.1:8100" in sign_in(adam).get(f"{NEW}?example=1").text


@pytest.mark.parametrize("url", [NEW, "/backends/new/prometheus/"])
def test_the_form_says_what_each_kind_of_server_gives_and_what_to_do_about_the_rest(adam, sign_in, url):
    text = sign_in(adam).get(url).text
    for preset in PRESETS:
        assert f">{preset.title}<" in text
        assert all(escape(instead) in text for _, instead in preset.not_offered)
    assert "mean only" in text


def test_a_gateway_chosen_as_kind_is_a_gateway_unless_somebody_says_otherwise(server, adam, sign_in):
    for kind, said, expected in (("litellm", "", "gateway"), ("vllm", "", "server"), ("vllm", "gateway", "gateway")):
        answer = sign_in(adam).post(NEW, _form(server, preset=kind, measured_at=said, name=f"{kind} {said}"))
        assert answer.status_code == 303, answer.text
        assert Backend.objects.latest("pk").measured_at == expected


def test_an_unknown_kind_is_not_found(adam, sign_in):
    assert sign_in(adam).get("/backends/new/abacus/").status_code == 404


def test_a_secret_is_on_no_page_and_in_no_audit_row(source, adam, sign_in):
    client = sign_in(adam)
    client.post(
        f"/backends/{source.slug}/change/",
        {"name": "Renamed", "address": "https://example.org", "measured_at": "server", "pull_every_minutes": "60"},
    )
    for url in ("/backends/", f"/backends/{source.slug}/", f"/backends/{source.slug}/change/"):
        assert SECRET not in client.get(url).text
    assert SECRET not in str(list(AuditEvent.objects.values("before", "after")))
    assert AuditEvent.objects.filter(action="change_backend").exists()
    source.refresh_from_db()
    assert open_sealed(source.secrets) == {"key": SECRET}


def test_a_stored_secret_is_not_sent_to_another_address(source, adam, sign_in):
    form = {"name": "Source", "address": "https://evil.example", "measured_at": "server", "pull_every_minutes": "60"}
    answer = sign_in(adam).post(f"/backends/{source.slug}/change/", form)
    assert answer.status_code == 422
    assert "enter the key again" in answer.text
    source.refresh_from_db()
    assert source.parameters["address"] == "https://example.org"


def test_testing_does_not_send_a_stored_secret_to_another_address_either(source, adam, sign_in):
    form = {
        "name": "Source",
        "address": "https://evil.example",
        "measured_at": "server",
        "pull_every_minutes": "60",
        "do": "test",
    }
    answer = sign_in(adam).post(f"/backends/{source.slug}/change/", form)
    assert answer.status_code == 422
    assert "enter the key again" in answer.text
