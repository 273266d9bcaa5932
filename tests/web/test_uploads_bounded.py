"""Forms with files: too large ones are refused by their declared length, before anything of them is read."""

from __future__ import annotations

import io

import pytest

pytestmark = pytest.mark.django_db
MULTIPART = "multipart/form-data; boundary=x"
GIB = 1024**3


class Untouched(io.RawIOBase):
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("it was read")


def _send(client, url: str, length: int, **more):
    environ = {"wsgi.input": Untouched(), "CONTENT_LENGTH": str(length), "CONTENT_TYPE": MULTIPART, **more}
    client.raise_request_exception = True
    return client.generic("POST", url, b"", MULTIPART, **environ)


@pytest.fixture
def client():
    from django.test import Client

    # As browsers send it: with a cookie, so that Django looks for the token in the form.
    made = Client(enforce_csrf_checks=True)
    made.get("/accounts/login/")
    assert made.cookies
    return made


@pytest.mark.parametrize("url", ["/imports/new/", "/accounts/login/", "/send/token/", "/nowhere/"])
def test_nobody_fills_the_disk(client, url):
    answer = _send(client, url, 200 * 1024 * 1024)
    assert answer.status_code == 413
    assert "What was sent is larger than 17 MiB" in answer.text


def test_nor_does_who_is_signed_in(client, adam):
    client.force_login(adam)
    assert "larger than 17 MiB" in _send(client, "/rules/new/", 18 * 1024 * 1024).text
    answer = _send(client, "/imports/new/", 2 * GIB)
    assert answer.status_code == 413
    assert "larger than 257 MiB" in answer.text
    assert "gzip" in answer.text


def test_the_api_says_it_as_a_problem(api, adam):
    answer = _send(api(adam, scopes=["manage"]), "/api/v1/imports", 2 * GIB)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:phaseline:too_large"


def test_the_api_asks_who_is_there_before_it_reads(client, api, erin):
    assert _send(client, "/api/v1/imports", 200 * 1024 * 1024).status_code == 401
    assert _send(api(erin, scopes=["manage"]), "/api/v1/imports", 200 * 1024 * 1024).status_code == 403


def test_what_a_file_may_hold_gets_through(client, adam):
    client.force_login(adam)
    with pytest.raises(AssertionError, match="it was read"):
        _send(client, "/imports/new/", 200 * 1024 * 1024)
