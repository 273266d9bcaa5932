"""Addresses of spend and usage that somebody made up: refused in words, never an error of our own."""

from __future__ import annotations

import base64

import pytest

pytestmark = pytest.mark.django_db


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("url", ["/api/v1/spend", "/api/v1/usage"])
@pytest.mark.parametrize(
    "query",
    [
        {"cursor": _cursor('[[Infinity, "a", "b", "c"]]')},
        {"cursor": _cursor('[[1e999, "a", "b", "c"]]')},
        {"cursor": _cursor("[" * 100_000)},
        {"cursor": _cursor("9" * 5_000)},
        {"cursor": "é"},
        {"page_size": "9" * 5_000},
        {"page_size": "²"},
    ],
)
def test_it_is_said_what_is_wrong(url, query, mixed, api, adam):
    client = api(adam, scopes=["read"])
    client.raise_request_exception = False
    answer = client.get(url, query)
    assert answer.status_code == 422, answer.content[:300]
    assert answer.json()["errors"][0]["pointer"].endswith(next(iter(query)))


@pytest.mark.parametrize(
    "query",
    [
        {"from": "0000-00-00"},
        {"to": "\0"},
        {"by": "model\0,\0"},
        {"model": "\0x"},
        {"backend": "'; DROP TABLE metrics_backend; --"},
        {"team": "%"},
        {"roadmap": "~unallocated"},
        {"grain": "x"},
        {"from": "9999-12-31", "to": "9999-12-31"},
        {"from": "2000-01-01", "to": "2000-01-01"},
        {"from": ["2026-01-01", "x"]},
    ],
)
def test_no_page_and_no_file_breaks(query, mixed, sign_in, adam, alice):
    for person in (adam, alice):
        client = sign_in(person)
        client.raise_request_exception = False
        for path in (
            "",
            "moved/",
            "reconcile/",
            "idle/",
            "prices/",
            "anomalies/",
            "spend.csv",
            "spend.xlsx",
            "focus.csv",
        ):
            answer = client.get(f"/spend/{path}", query)
            assert answer.status_code == 200, (path, answer.status_code)
            assert b"".join(answer) is not None
