"""A real HTTP server in a thread that plays a source, good or bad. It records what it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request: `values` are the query's or the form's (name, value) pairs."""

    method: str
    path: str
    values: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: str = ""

    def value(self, name: str) -> str | None:
        return dict(self.values).get(name)


@dataclass(frozen=True)
class Reply:
    """`wait_seconds` before anything is sent; `cut_after`: bytes after which the connection breaks off.

    `pieces`, instead of a body: (seconds to wait, what is sent then), as a stream that ends with the connection.
    """

    body: bytes | str = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0
    cut_after: int | None = None
    pieces: tuple[tuple[float, bytes], ...] = ()


Play = Callable[[Asked], Reply]


class SourceServer:
    """`play` answers each request; set it to change what the source says. `url` is its address."""

    def __init__(self) -> None:
        self.play: Play = lambda asked: Reply(status=404)
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                parts = urlsplit(self.path)
                values = parse_qsl(parts.query) + parse_qsl(body)
                asked = Asked(self.command, parts.path, values, dict(self.headers.items()), body)
                server.asked.append(asked)
                reply = server.play(asked)
                if reply.wait_seconds:
                    time.sleep(reply.wait_seconds)
                content = reply.body.encode() if isinstance(reply.body, str) else reply.body
                try:
                    if "Date" in reply.headers:
                        self.send_response_only(reply.status)
                    else:
                        self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    if reply.pieces:
                        self._stream(reply.pieces)
                        return
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content if reply.cut_after is None else content[: reply.cut_after])
                    if reply.cut_after is not None:
                        self.close_connection = True
                except OSError:
                    self.close_connection = True

            def _stream(self, pieces: tuple[tuple[float, bytes], ...]) -> None:
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for seconds, piece in pieces:
                    time.sleep(seconds)
                    self.wfile.write(piece)
                    self.wfile.flush()

            do_GET = do_POST = _answer  # noqa: N815 - names that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def source_server() -> Iterator[SourceServer]:
    server = SourceServer()
    try:
        yield server
    finally:
        server.close()
