"""Addresses that people gave: kept encrypted, checked like every other, and in no message but by their host."""

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from accounts.models import PersonAddress
from metrics.errors import ConnectorError, RuleViolation
from metrics.webhooks import post_document, seal_address, secret_of
from tests.doubles.source_server import Reply, source_server

PATH = "/services/T0000AAAA/B0000BBBB/very-secret-token-123"


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]


@pytest.fixture
def server():
    with source_server() as one:
        one.play = lambda asked: Reply(body="ok")
        yield one


def test_a_document_is_posted_and_nothing_of_the_address_is_readable(server):
    sealed, shown = seal_address(server.url + PATH, secret="whsec_c2VjcmV0", may_be_private=True)
    assert shown == "127.0.0.1"
    assert b"secret" not in sealed
    assert secret_of(sealed) == "whsec_c2VjcmV0"
    post_document(sealed, b'{"text": "x"}', headers={"Content-Type": "application/json"}, may_be_private=True)
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", PATH, '{"text": "x"}')


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "whole address"),
        ("https://hooks.example.org/a b", "whole address"),
        ("https://hooks.example.org/a\nb", "whole address"),
        ("https://x/" + "y" * 2000, "whole address"),
        ("hooks.slack.com/services/T0", "http:// or https://"),
        ("ftp://127.0.0.1/x", "ftp:// addresses are not called"),
        ("https://", "no host"),
        ("https://127.0.0.1:port/", "not an address"),
        ("https://jo:pw@127.0.0.1/", "user and password"),
        ("http://8.8.8.8/x", "https only"),
        ("https://169.254.169.254/latest", "never called"),
    ],
    ids=str,
)
def test_an_address_that_would_not_be_called_is_not_kept(address, words):
    with pytest.raises(RuleViolation) as caught:
        seal_address(address, may_be_private=True)
    assert words in caught.value.message
    assert caught.value.field == "address"


def test_private_addresses_are_for_admins_alone(server):
    sealed, _ = seal_address(server.url, may_be_private=True)
    with pytest.raises(RuleViolation) as caught:
        seal_address(server.url, may_be_private=False)
    assert "this machine itself" in caught.value.message
    assert "OUTBOUND_ALLOW" not in caught.value.message
    # Also later: who is no admin any more does not reach what an admin had set.
    with pytest.raises(ConnectorError) as later:
        post_document(sealed, b"{}", headers={}, may_be_private=False)
    assert later.value.permanent
    assert server.asked == []


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (410, True), (302, True), (429, False), (503, False)])
def test_what_goes_wrong_names_the_host_and_no_more(server, status, permanent):
    headers = {"Location": server.url + PATH, "Retry-After": "7"}
    server.play = lambda asked: Reply(status=status, body=f'{{"error": "no {PATH}"}}', headers=headers)
    sealed, _ = seal_address(server.url + PATH, may_be_private=True)
    with pytest.raises(ConnectorError) as caught:
        post_document(sealed, b"{}", headers={}, may_be_private=True)
    assert caught.value.permanent is permanent
    assert "127.0.0.1" in str(caught.value)
    for word in PATH.split("/")[1:]:
        assert word not in str(caught.value).replace("services", "") or word == "services"
    # Once: what is tried again, and when, is the outbox's.
    assert len(server.asked) == 1
    assert caught.value.retry_after_seconds == 7


def test_the_keys_of_addresses_are_rotated_with_those_of_backends(settings, bob):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    sealed, shown = seal_address("https://8.8.8.8/x", secret="whsec_c2VjcmV0", may_be_private=False)
    PersonAddress.objects.create(person=bob, channel="webhook", sealed=sealed, shown=shown)
    settings.ENCRYPTION_KEYS = [new, old]
    out = io.StringIO()
    call_command("rotate_secrets", stdout=out)
    assert "1 secrets are encrypted with the first key now" in out.getvalue()
    settings.ENCRYPTION_KEYS = [new]
    assert secret_of(PersonAddress.objects.get().sealed) == "whsec_c2VjcmV0"
