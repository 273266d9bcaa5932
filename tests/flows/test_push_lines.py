"""What arrives on the line at the server that teams push to: in pieces, cut, broken, or not at all."""

from __future__ import annotations

import http.client
import json
import socket
import time
from datetime import UTC, datetime

from tests.flows.storm.ground import Ground


def body(records: int = 300) -> bytes:
    at = datetime.now(UTC).isoformat()
    return json.dumps({"records": [{"timestamp": at, "model": "m"}] * records}).encode()


def head(ground: Ground, *lines: str, token: str = "body") -> bytes:
    first = ["POST /api/v1/usage HTTP/1.1", "Host: localhost", f"Authorization: Bearer {ground.seed.tokens[token]}"]
    return "\r\n".join([*first, "Content-Type: application/json", *lines, "", ""]).encode()


def line(ground: Ground, sent: bytes, *, is_ended: bool = True) -> socket.socket:
    """A connection on which this was sent; ended, no more will come."""
    link = socket.create_connection(("127.0.0.1", ground.port), timeout=20)
    link.sendall(sent)
    if is_ended:
        link.shutdown(socket.SHUT_WR)
    return link


def answer(link: socket.socket) -> tuple[int, dict]:
    found = http.client.HTTPResponse(link)
    found.begin()
    text = found.read()
    link.close()
    return found.status, json.loads(text)


def chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def test_a_body_sent_in_pieces_counts_like_any_other_and_a_broken_one_not_at_all(start):
    ground = start()
    whole = body()
    pieces = b"".join(chunk(whole[start : start + 1000]) for start in range(0, len(whole), 1000))
    chunked = head(ground, "Transfer-Encoding: chunked")
    cases = {
        "cut in a piece": chunked + pieces[:-700],
        "cut after a piece": chunked + chunk(whole),
        "cut before the last line's end": chunked + chunk(whole) + b"0\r\n",
        "a length that is none": chunked + chunk(whole[:100]) + b"zz\r\n" + whole[100:],
        "a piece longer than it says": chunked + b"5\r\n" + whole + b"\r\n0\r\n\r\n",
        "cut, with its length": head(ground, f"Content-Length: {len(whole)}") + whole[:-1],
    }
    for name, sent in cases.items():
        status, told = answer(line(ground, sent))
        assert (name, status, told["code"]) == (name, 400, "truncated")
    assert ground.counted() == {}
    status, told = answer(line(ground, chunked + pieces + b"0\r\n\r\n"))
    assert (status, told["accepted"]) == (201, 300)


def test_clients_that_fall_silent_keep_no_thread(start):
    ground = start(CLIENT_SILENCE_SECONDS="2")
    whole = body()
    cases = [
        head(ground)[:-30],
        head(ground, "Content-Length: 20000") + whole[:500],
        head(ground, "Transfer-Encoding: chunked") + chunk(whole),
    ]
    for sent in cases:
        # Twice as many as there are threads.
        silent = [line(ground, sent, is_ended=False) for _ in range(32)]
        time.sleep(0.5)
        began = time.monotonic()
        # Of another team: the silent ones may well be all that their own token may have in flight.
        more = body(200)
        status, told = answer(line(ground, head(ground, f"Content-Length: {len(more)}", token="key") + more))
        assert (status, told.get("accepted"), told.get("detail")) == (201, 200, None)
        assert time.monotonic() - began < 12
        for link in silent:
            link.close()
