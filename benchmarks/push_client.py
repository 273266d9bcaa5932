"""The load client of `bin/bench push`, a process of its own: makes its bodies first, then sends them when told to.

Reads one line of JSON from standard input: address, token, shape, records, seed. Prints 'ready' when the bodies are
made, waits for another line, and prints one JSON object: seconds, latencies in ms, CPU seconds, statuses, and the first
failure. A 429 is waited out as the server asks and sent again, as a good client does.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.push_shapes import Shape, bodies

ATTEMPTS = 100


@dataclass(slots=True)
class Load:
    """Requests that wait to be sent, and how those went that were."""

    host: str
    port: int
    waiting: list[bytes]
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """One client: a connection that is kept, and one request after the other."""
        link = None
        while True:
            with self.lock:
                if not self.waiting or self.failure:
                    return
                request = self.waiting.pop()
            began = time.perf_counter()
            status, text = 0, b"the server closed every connection without an answer"
            for _ in range(ATTEMPTS):
                link = link or self._connect()
                try:
                    link.sendall(request)
                    status, wait, closes, text = _answer(link)
                except OSError:
                    # Refused before its body was read, a request leaves a connection that ends. Its key makes the
                    # second attempt harmless.
                    link.close()
                    link = None
                    with self.lock:
                        self.statuses["closed"] += 1
                    continue
                with self.lock:
                    self.statuses[str(status)] += 1
                if closes:
                    link.close()
                    link = None
                if status != 429:
                    break
                time.sleep(wait)
            took = (time.perf_counter() - began) * 1000
            with self.lock:
                self.latencies_ms.append(took)
                if not 200 <= status < 300:
                    self.failure = f"{status} {text[:300]!r}"

    def _connect(self) -> socket.socket:
        link = socket.create_connection((self.host, self.port), timeout=120)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link


def _answer(link: socket.socket) -> tuple[int, float, bool, bytes]:
    """Status, Retry-After, whether the server closes, and the body."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = link.recv(65536)
        if not piece:
            raise ConnectionResetError("closed without an answer")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        piece = link.recv(65536)
        if not piece:
            raise ConnectionResetError("closed within an answer")
        body += piece
    closes = headers.get("connection", "").lower() == "close"
    return int(lines[0].split()[1]), float(headers.get("retry-after", 0)), closes, body


def requests_of(address: str, token: str, shape: Shape, records: int, seed: int) -> list[bytes]:
    """Whole requests, so that sending costs the cores that the server shares as little as can be."""
    path = "/otlp/v1/metrics" if shape.is_otlp else "/api/v1/usage"
    content_type = "application/x-protobuf" if shape.is_otlp else "application/json"
    made = []
    for body in bodies(shape, records, seed):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            + ("Content-Encoding: gzip\r\n" if shape.is_gzip else "")
            + f"Idempotency-Key: {uuid.uuid4().hex}\r\n\r\n"
        )
        made.append(head.encode() + body)
    made.reverse()
    return made


def main() -> None:
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    shape = Shape(**asked["shape"])
    parts = urlsplit(asked["address"])
    requests = requests_of(asked["address"], asked["token"], shape, asked["records"], asked["seed"])
    load = Load(parts.hostname or "", parts.port or 80, requests)
    sizes = sum(map(len, requests))
    threads = [threading.Thread(target=load.run) for _ in range(shape.clients)]
    print("ready", flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = {"seconds": seconds, "cpu": cpu, "statuses": load.statuses, "failure": load.failure, "bytes": sizes}
    print(json.dumps({**told, "latencies_ms": load.latencies_ms}), flush=True)
