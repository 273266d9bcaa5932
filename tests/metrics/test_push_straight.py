"""The straight way of pushes answers as the usual way does: the same headers, documents and refusals."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from accounts import tokens
from accounts.tokens import make_token
from metrics.api.intake import body_of
from metrics.models import UsageHour

URL = "/api/v1/usage"
STRAIGHT = "metrics.api.straight.PushesStraight"


@pytest.fixture
def token(alice, claims) -> str:
    return make_token(name="t", owner=alice, scopes=["push"], workload=claims)[1]


def body(count: int = 1, **more: object) -> bytes:
    return json.dumps({"records": [{"timestamp": timezone.now().isoformat(), "model": "m", **more}] * count}).encode()


def both_ways(settings, content: bytes, *, content_type: str = "application/json", **headers: str):
    """The answers of the straight and of the usual way."""
    assert STRAIGHT in settings.MIDDLEWARE
    answers = []
    for middleware in (settings.MIDDLEWARE, [one for one in settings.MIDDLEWARE if one != STRAIGHT]):
        with override_settings(MIDDLEWARE=middleware):
            client = Client(raise_request_exception=False)
            answers.append(client.post(URL, content, content_type=content_type, headers=headers))
    return answers


def told(answer) -> tuple[int, dict[str, object], dict[str, object]]:
    """Status, headers and document, without what is another's in each answer."""
    headers = {name: value for name, value in answer.items() if name != "Location"}
    policy = sorted(str(headers.pop("Content-Security-Policy")).split("; "))
    return answer.status_code, headers | {"policy": policy}, {**answer.json(), "receipt": None}


# What is sent, how, and what it is answered.
CASES = {
    "plain": (body, {}, 201),
    "asks for JSON": (body, {"Accept": "application/json"}, 201),
    "asks for HTML": (body, {"Accept": "text/html"}, 406),
    "gzip": (lambda: gzip.compress(body()), {"Content-Encoding": "gzip"}, 201),
    "said to be gzip": (body, {"Content-Encoding": "gzip"}, 400),
    "gzip cut": (lambda: gzip.compress(body())[:-3], {"Content-Encoding": "gzip"}, 400),
    "gzip and three bytes": (lambda: gzip.compress(body()) + b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}, 400),
    "gzip in members": (
        lambda: b"".join(map(gzip.compress, (body()[:5], b"", body()[5:9], body()[9:]))),
        {"Content-Encoding": "gzip"},
        201,
    ),
    "gzip cut in a member": (
        lambda: gzip.compress(b" ") + gzip.compress(body())[:-9],
        {"Content-Encoding": "gzip"},
        400,
    ),
    "gzip and rubbish": (lambda: gzip.compress(body()) + b"rubbish", {"Content-Encoding": "gzip"}, 400),
    "gzip of gigabytes": (lambda: gzip.compress(bytes(40 << 20)), {"Content-Encoding": "gzip"}, 413),
    "empty": (lambda: b" ", {}, 400),
    "no object": (lambda: b"[]", {}, 400),
    "nothing good": (lambda: body(duration_ms=-1), {}, 422),
    "long key": (body, {"Idempotency-Key": "x" * 300}, 400),
    "other encoding": (body, {"Content-Encoding": "br"}, 415),
    "other type": (body, {"content_type": "text/plain"}, 415),
    "charset": (body, {"content_type": "application/json; charset=utf-8"}, 201),
    "unknown token": (body, {"Authorization": "Bearer nobody"}, 401),
    "two words": (body, {"Authorization": "Bearer two words"}, 401),
    "other scheme": (body, {"Authorization": "Basic YTpi"}, 401),
    "no token": (body, {"Authorization": ""}, 401),
}


@pytest.mark.parametrize("case", list(CASES))
def test_both_ways_answer_alike(settings, token, case):
    make, headers, status = CASES[case]
    content, headers = make(), dict(headers)
    told_type = headers.pop("content_type", "application/json")
    straight, usual = both_ways(
        settings, content, content_type=told_type, **{"Authorization": f"Bearer {token}", **headers}
    )
    if status == 201:
        # The same body again is answered from the first answer, on either way.
        assert usual["Idempotency-Replayed"] == "true"
        del usual.headers["Idempotency-Replayed"]
    assert told(straight) == told(usual)
    assert straight.status_code == status


def test_members_of_all_sizes_are_put_together(rf):
    whole = os.urandom(3_000_000)
    cuts = [0, 1, 2, 1000, 1000, 17_000, 60_000, 2_000_000, 2_000_001, len(whole)]
    members = [gzip.compress(whole[begin:end]) for begin, end in itertools.pairwise(cuts)]
    request = rf.post(URL, b"".join(members), content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert body_of(request) == whole


def test_a_great_many_empty_members_take_no_minutes(rf):
    content = gzip.compress(b"") * 300_000 + gzip.compress(b"end")
    request = rf.post(URL, content, content_type="application/json", headers={"Content-Encoding": "gzip"})
    began = time.process_time()
    assert body_of(request) == b"end"
    # With the whole rest given to each member it was 24 s.
    assert time.process_time() - began < 5


def test_a_token_without_the_scope_is_refused_alike(settings, alice, claims):
    reader = make_token(name="r", owner=alice, scopes=["read", "manage"], workload=claims)[1]
    straight, usual = both_ways(settings, body(), Authorization=f"Bearer {reader}")
    assert told(straight) == told(usual)
    assert straight.status_code == 403
    assert not UsageHour.objects.exists()


def test_a_host_that_is_not_ours_is_refused_alike(settings, token):
    straight, usual = both_ways(settings, body(), Authorization=f"Bearer {token}", Host="evil.example")
    assert straight.status_code == usual.status_code == 400
    assert not UsageHour.objects.exists()


def test_plain_http_is_sent_to_https_first(settings, token):
    with override_settings(SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=60):
        straight, usual = both_ways(settings, body(), Authorization=f"Bearer {token}")
        assert (straight.status_code, straight["Location"]) == (301, usual["Location"])
        secure = Client().post(
            URL, body(), content_type="application/json", secure=True, headers={"Authorization": f"Bearer {token}"}
        )
    assert secure.status_code == 201
    assert "max-age=60" in secure["Strict-Transport-Security"]


def test_it_is_the_way_that_is_taken(settings, token, monkeypatch):
    """No session is opened and no address resolved for a push that is fine."""
    monkeypatch.setattr("django.urls.resolvers.URLResolver.resolve", lambda *args: pytest.fail("resolved"))
    answer = Client().post(
        URL, body(), content_type="application/json", headers={"Authorization": f"Bearer {token}", "Accept": "*/*"}
    )
    assert answer.status_code == 201


def test_a_database_that_is_away_is_said(settings, token, monkeypatch):
    from django.db import OperationalError

    def away(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(tokens, "ask", away)
    straight, usual = both_ways(settings, body(), Authorization=f"Bearer {token}")
    assert told(straight) == told(usual)
    assert (straight.status_code, straight["Retry-After"]) == (503, "5")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("more", [{}, {"id": "a"}], ids=["at once", "the longer way"])
def test_a_database_that_is_migrated_meanwhile_is_no_500_and_the_repeat_counts(settings, token, more):
    """During an update either the program or the database is ahead; a client that is told so sends again."""
    content = body(**more)
    before, _ = both_ways(settings, body(2), Authorization=f"Bearer {token}")
    assert before.status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION metrics_post RENAME TO metrics_post_of_another_version")
    try:
        straight, usual = both_ways(settings, content, Authorization=f"Bearer {token}")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER FUNCTION metrics_post_of_another_version RENAME TO metrics_post")
    assert (straight.status_code, straight.json()["code"], straight["Retry-After"]) == (503, "being_updated", "5")
    assert (usual.status_code, usual.json(), usual["Retry-After"]) == (503, straight.json(), "5")
    again, _ = both_ways(settings, content, Authorization=f"Bearer {token}")
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again
