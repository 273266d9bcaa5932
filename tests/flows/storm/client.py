"""The storm's client: threads that push until they are told to stop, send again until acknowledged, and keep a tally.

    python -m tests.flows.storm.client < order.json

The order: `port`, `tokens` (by way), `ways` (one a thread), `progress` (a file that grows by a byte with each
acknowledged push), `stop` (a file; once it is there no new record is made), `records` a push, `cells` ("few" or "one").
It prints one JSON object: `cells` ({way: {"model hour": [requests, input tokens]}}), `receipts` ({way: [uuid]}),
`answers` ({status or name of the error: how many}), `refusals` (answers that say neither 'kept' nor 'send again'),
`slowest` (seconds of the slowest answer), `left` (records that were never acknowledged).

Three ways to send, as clients do: `body` has nothing but the body itself, `key` an Idempotency-Key, `ids` an id a
record: what was not acknowledged goes into other batches, with new records, and some of it is sent once more anyway.
A fourth, `otlp`, is a replica that exports cumulative metrics: what was not acknowledged is sent again or is part of a
newer export, and now and then the replica starts anew. It tallies what it had counted at its last acknowledged export.
Imports nothing of Phaseline.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# A request that takes longer hangs: the server gives up on its database before.
ANSWERS_WITHIN = 60
SEND_AGAIN = {409, 429, 502, 503, 504}
PATIENCE = 120


class Sender(threading.Thread):
    """One client: a connection, a way to send, and what it knows of its records."""

    def __init__(self, order: dict[str, Any], number: int, way: str) -> None:
        super().__init__(daemon=True)
        self.order, self.way = order, way
        self.random = random.Random(f"{order.get('seed', 1)} {number}")
        self.link: http.client.HTTPConnection | None = None
        self.stop_file = Path(order["stop"])
        self.progress = os.open(order["progress"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.cells: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.receipts: list[str] = []
        self.answers: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.slowest = 0.0
        self.left = 0
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.hours = [hour - timedelta(hours=back) for back in range(1, 4)]

    def run(self) -> None:
        if self.way == "ids":
            self.send_with_ids()
        elif self.way == "otlp":
            Replica(self).export()
        else:
            self.send_bodies()

    # --- The same again until it is acknowledged

    def send_bodies(self) -> None:
        while not self.stop_file.exists():
            records = [self.record() for _ in range(self.order["records"])]
            headers = {"Content-Type": "application/json"}
            if self.way == "key":
                headers["Idempotency-Key"] = uuid.uuid4().hex
            body = json.dumps({"records": records}).encode()
            until = time.monotonic() + PATIENCE
            while (answer := self.post(body, headers)) is None and time.monotonic() < until:
                pass
            if answer is None:
                self.left += len(records)
                return
            self.acknowledged(answer, records)

    # --- What was not acknowledged goes with other records

    def send_with_ids(self) -> None:
        waiting: list[dict[str, Any]] = []
        sent: list[dict[str, Any]] = []
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        until = float("inf")
        while waiting or not self.stop_file.exists():
            if self.stop_file.exists():
                until = min(until, time.monotonic() + PATIENCE)
                if time.monotonic() > until:
                    break
                batch, waiting = waiting[: self.order["records"]], waiting[self.order["records"] :]
            else:
                self.random.shuffle(waiting)
                half = self.order["records"] // 2
                batch, waiting = waiting[:half], waiting[half:]
                batch += [self.record(id=uuid.uuid4().hex) for _ in range(self.order["records"] - len(batch))]
            twice = self.random.sample(sent, min(len(sent), 2))
            lines = "\n".join(json.dumps(one) for one in [*batch, *twice])
            answer = self.post(gzip.compress(lines.encode(), 1), headers)
            if answer is None:
                waiting += batch
            else:
                self.acknowledged(answer, batch)
                sent = (sent + batch)[-50:]
        self.left += len(waiting)

    def record(self, **more: str) -> dict[str, Any]:
        is_one = self.order.get("cells") == "one"
        at = self.hours[0] if is_one else self.random.choice(self.hours)
        at += timedelta(seconds=self.random.randrange(3600))
        return {
            "timestamp": at.isoformat(),
            "model": "m0" if is_one else f"m{self.random.randrange(4)}",
            # No two records have the same, so that the sum of a cell says which of them it holds.
            "input_tokens": self.random.getrandbits(38),
            "output_tokens": self.random.randrange(500),
            "duration_ms": self.random.randrange(1, 60_000),
            **more,
        }

    def acknowledged(self, answer: dict[str, Any], records: list[dict[str, Any]]) -> None:
        if answer["rejected"]:
            self.refusals.append(f"rejected {answer['rejected'][0]}")
        self.receipts.append(answer["receipt"])
        for one in records:
            cell = self.cells[f"{one['model']} {one['timestamp'][:13]}"]
            cell[0] += 1
            cell[1] += one["input_tokens"]
        os.write(self.progress, b".")

    def post(self, body: bytes, headers: dict[str, str], path: str = "/api/v1/usage") -> dict[str, Any] | None:
        """The answer where it was acknowledged; None where the client has to send again, after the time it is told."""
        headers = {**headers, "Authorization": f"Bearer {self.order['tokens'][self.way]}"}
        began = time.monotonic()
        wait = 0.05
        try:
            if self.link is None:
                self.link = http.client.HTTPConnection("127.0.0.1", self.order["port"], timeout=ANSWERS_WITHIN)
            self.link.request("POST", path, body, headers)
            answer = self.link.getresponse()
            text = answer.read()
            status, again = answer.status, answer.headers.get("Retry-After")
        except (OSError, http.client.HTTPException) as error:
            self.answers[type(error).__name__] += 1
            if self.link is not None:
                self.link.close()
            self.link = None
        else:
            self.answers[str(status)] += 1
            if status in (200, 201):
                self.slowest = max(self.slowest, time.monotonic() - began)
                return dict(json.loads(text))
            if status not in SEND_AGAIN:
                self.refusals.append(f"{status} {text[:600].decode(errors='replace')}")
                wait = 1.0
            elif again is None or not again.isdigit():
                self.refusals.append(f"{status} without Retry-After")
            else:
                # A patient client waits as long as it is told; this one comes sooner, which is harder to stand.
                wait = min(float(again), 0.3)
        self.slowest = max(self.slowest, time.monotonic() - began)
        time.sleep(wait * self.random.uniform(0.5, 1))
        return None


class Replica:
    """A program with OpenTelemetry's metrics: what it counted by model since its start, exported over and over."""

    models = tuple(f"m{number}" for number in range(4))

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.name = uuid.uuid4().hex
        # All in one hour that is over: nanoseconds since 1970.
        self.now = int(sender.hours[0].timestamp()) * 10**9
        self.before = {model: [0, 0] for model in self.models}
        self.start()

    def start(self) -> None:
        """Starts anew: its sums begin at zero, under the same name."""
        self.since = self.now
        self.sums = {model: [0, 0] for model in self.models}

    def export(self) -> None:
        """Until it is told to stop, and then until the last export is acknowledged."""
        chance, body, until = self.sender.random, b"", float("inf")
        is_acknowledged = True
        while not (self.sender.stop_file.exists() and is_acknowledged):
            if self.sender.stop_file.exists():
                until = min(until, time.monotonic() + PATIENCE)
                if time.monotonic() > until:
                    self.sender.left += 1
                    return
            # What was not acknowledged: the same once more, or all that has been counted by now.
            if is_acknowledged or chance.random() < 0.5:
                self.work()
                body = json.dumps(self.document()).encode()
            headers = {"Content-Type": "application/json"}
            answer = self.sender.post(body, headers, "/otlp/v1/metrics")
            is_acknowledged = answer is not None
            if answer is not None:
                self.acknowledged(answer)

    def work(self) -> None:
        self.now += 1_000_000
        for sums in self.sums.values():
            sums[0] += self.sender.random.randrange(3)
            sums[1] += self.sender.random.getrandbits(30)

    def acknowledged(self, answer: dict[str, Any]) -> None:
        if answer:
            self.sender.refusals.append(f"partial success {answer}")
        hour = self.sender.hours[0].isoformat()[:13]
        for model, sums in self.sums.items():
            total = [past + now for past, now in zip(self.before[model], sums, strict=True)]
            self.sender.cells[f"{model} {hour}"] = total
        os.write(self.sender.progress, b".")
        if self.sender.random.random() < 0.1:
            for model in self.models:
                self.before[model] = list(self.sender.cells[f"{model} {hour}"])
            self.start()

    def document(self) -> dict[str, Any]:
        """The export, in OTLP's JSON."""
        about = {"service.name": "storm", "service.instance.id": self.name}
        requests = [
            {"count": str(count), "sum": count * 0.5, "bucketCounts": [str(count), "0"], "explicitBounds": [1.0]}
            for count, _ in self.sums.values()
        ]
        tokens = [{"asInt": str(tokens)} for _, tokens in self.sums.values()]
        metrics = [
            {
                "name": "gen_ai.client.operation.duration",
                "unit": "s",
                "histogram": {"aggregationTemporality": 2, "dataPoints": self.points(requests)},
            },
            {
                "name": "gen_ai.client.inference.usage.input_tokens",
                "unit": "{token}",
                "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": self.points(tokens)},
            },
        ]
        scopes = [{"scope": {"name": "storm"}, "metrics": metrics}]
        return {"resourceMetrics": [{"resource": {"attributes": pairs(about)}, "scopeMetrics": scopes}]}

    def points(self, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
        times = {"startTimeUnixNano": str(self.since), "timeUnixNano": str(self.now)}
        return [
            {"attributes": pairs({"gen_ai.request.model": model}), **times, **value}
            for model, value in zip(self.models, values, strict=True)
        ]


def pairs(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def main() -> None:
    order = json.load(sys.stdin)
    senders = [Sender(order, number, way) for number, way in enumerate(order["ways"])]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    cells: dict[str, dict[str, list[int]]] = defaultdict(dict)
    receipts: dict[str, list[str]] = defaultdict(list)
    answers: Counter[str] = Counter()
    for sender in senders:
        answers += sender.answers
        receipts[sender.way] += sender.receipts
        for name, (requests, tokens) in sender.cells.items():
            there = cells[sender.way].setdefault(name, [0, 0])
            there[0] += requests
            there[1] += tokens
    print(
        json.dumps(
            {
                "cells": cells,
                "receipts": receipts,
                "answers": answers,
                "refusals": [text for sender in senders for text in sender.refusals],
                "slowest": max(sender.slowest for sender in senders),
                "left": sum(sender.left for sender in senders),
            }
        )
    )


if __name__ == "__main__":
    main()
