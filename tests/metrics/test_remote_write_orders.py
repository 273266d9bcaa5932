"""However a Prometheus cuts, orders and repeats what it writes, and from however many queues: the sums are the same."""

from __future__ import annotations

import random
from zlib import crc32

import pytest
from django.db.models import Sum
from rest_framework.test import APIClient

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from metrics import checking, identity
from metrics.models import LedgerHistogram, Receipt, UsageHour
from tests.metrics.test_push_races import at_once
from tests.metrics.written import HEADERS, PROTOBUF, URL, histogram, one, snappy

PROMPT, LATENCY = "vllm:prompt_tokens_total", "vllm:e2e_request_latency_seconds"
SCRAPES = 24
# Over the end of an hour.
FIRST_S = 3600 - 15 * SCRAPES // 2


@pytest.fixture
def send():
    """`send(body)`: the status of the answer, from a client of its own."""
    identity.forget()
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="bob")
    Membership.objects.create(user=owner, workload=claims, role=Role.CONTRIBUTOR)
    _, token = make_token(name="prometheus", owner=owner, scopes=["push"], workload=claims)

    def _send(*parts: bytes) -> int:
        client = APIClient(headers={"Authorization": f"Bearer {token}", **HEADERS})
        return client.post(f"{URL}?preset=vllm", snappy(b"".join(parts)), content_type=PROTOBUF).status_code

    yield _send
    identity.forget()


class Servers:
    """Two servers, one of which restarts half-way. `queues`: their series, each in order, by the queue that has it."""

    def __init__(self, chance: random.Random, queues: int):
        self.tokens = self.timed = 0
        self.queues: list[list[bytes]] = [[] for _ in range(queues)]
        for server in ("a", "b"):
            tokens = 10_000
            buckets = {"0.5": 100, "2.0": 400, "+Inf": 500}
            for number in range(SCRAPES):
                at = FIRST_S + 15 * number
                if number == SCRAPES // 2 and server == "b":
                    tokens, buckets = 0, dict.fromkeys(buckets, 0)
                added = [chance.randrange(3) for _ in buckets]
                tokens += (more := chance.randrange(1, 400))
                for place, le in enumerate(buckets):
                    buckets[le] += sum(added[: place + 1])
                if number:
                    self.tokens += more
                    self.timed += sum(added)
                self._scraped(one(PROMPT, at, tokens, instance=server), f"{server} tokens")
                for le, count in buckets.items():
                    row = one(f"{LATENCY}_bucket", at, count, le=le, instance=server)
                    self._scraped(row, f"{server} {le}")
                self._scraped(one(f"{LATENCY}_count", at, buckets["+Inf"], instance=server), f"{server} count")

    def _scraped(self, row: bytes, series: str) -> None:
        self.queues[crc32(series.encode()) % len(self.queues)].append(row)


def delivered(chance: random.Random, queues: list[list[bytes]]) -> list[list[bytes]]:
    """Requests in an order in which they may arrive: each queue's own in its order, some more than once."""
    waiting = [list(rows) for rows in queues]
    requests: list[list[bytes]] = []
    while any(waiting):
        rows = chance.choice([queue for queue in waiting if queue])
        size = chance.randrange(1, 12)
        requests.append(rows[:size])
        del rows[:size]
        if chance.random() < 0.3:
            # Its answer was lost: the same again, perhaps when others have come.
            requests.append(chance.choice(requests[-4:]))
    return requests


def counted() -> tuple[int, int, int]:
    sums = UsageHour.objects.aggregate(tokens=Sum("input_tokens"), timed=Sum("duration_count"))
    windows = [row.window for row in LedgerHistogram.objects.all()]
    assert all(min(window[1:]) >= 0 for window in windows)
    return sums["tokens"], sums["timed"], sum(sum(window[1:]) for window in windows)


@pytest.mark.django_db
@pytest.mark.parametrize("queues", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_any_cut_order_and_repeat_gives_the_same(send, queues, seed):
    chance = random.Random(seed)
    servers = Servers(chance, queues)
    requests = delivered(chance, servers.queues)
    assert {send(*rows) for rows in requests} == {204}
    assert counted() == (servers.tokens, servers.timed, servers.timed)
    receipts = Receipt.objects.count()
    # All of it once more, as after a lost disk.
    assert {send(*rows) for rows in requests} == {204}
    assert counted() == (servers.tokens, servers.timed, servers.timed)
    assert Receipt.objects.count() == receipts
    assert checking.check() == []


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_time_count_once(send):
    def scrape(step: int) -> list[bytes]:
        buckets = {"0.5": 2 * step, "+Inf": 3 * step}
        return [one(PROMPT, 15 * step, 100 * step), histogram(LATENCY, 15 * step, buckets, 1.5 * step)]

    # Nobody knows these counters yet.
    assert at_once(*[lambda: send(*scrape(0)) for _ in range(4)]) == [204] * 4
    assert at_once(*[lambda step=step: send(*scrape(step)) for step in (4, 2, 4, 3)]) == [204] * 4
    assert counted() == (400, 12, 12)
    assert at_once(*[lambda step=step: send(*scrape(step)) for step in (4, 5, 5, 1)]) == [204] * 4
    assert counted() == (500, 15, 15)
