"""What a push costs in processor time: in one web process and in its connection of the database, no server between.

Rates say what a machine does when nothing else runs on it; this says what a change changed, on a busy machine as well.
A push is a call of the WSGI application that gunicorn serves, with the same settings of garbage collection, over one
kept connection with synchronous commit. Figures are medians over pushes, of time on a processor, not of time that
passed; where others use the processor as well the least are to be trusted more.

    bin/bench push_cpu [--case NAME ...] [--pushes N] [--profile] [--json]
    bin/bench push_cpu --list
"""

from __future__ import annotations

import argparse
import io
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.push_shapes import Shape, bodies
from benchmarks.stack import Report, Stack, median

# Pushes before the counted ones: plans, caches and hours are there then, as they are all day.
WARM_UP = 8
PUSHES = {10_000: 20, 1_000: 100}


def cases() -> dict[str, Shape]:
    """Those that a target stands for, by name."""
    shapes = [
        Shape(batch=1_000),
        Shape(series=100, batch=1_000),
        Shape(),
        Shape(is_gzip=True),
        Shape(series=100),
        Shape(series=1_000),
        Shape(has_ids=True),
        Shape(series=100, batch=1_000, is_otlp=True),
    ]
    return {shape.name.removesuffix("_4_clients").replace("_4_clients_", "_"): shape for shape in shapes}


class Server:
    """The WSGI application, called in this thread."""

    def __init__(self, token: str) -> None:
        from config.wsgi import application

        self._application = application
        self._token = token

    def push(self, shape: Shape, body: bytes) -> None:
        """Raises AssertionError where the push was not accepted."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/otlp/v1/metrics" if shape.is_otlp else "/api/v1/usage",
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_AUTHORIZATION": f"Bearer {self._token}",
            "HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex,
            "CONTENT_TYPE": "application/x-protobuf" if shape.is_otlp else "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }
        if shape.is_gzip:
            environ["HTTP_CONTENT_ENCODING"] = "gzip"
        said: list[str] = []
        answer: Any = self._application(environ, lambda status, headers, *rest: said.append(status))
        text = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if said[0][:3] not in ("200", "201"):
            raise AssertionError(f"{said[0]} {text[:300]!r}")


class Backends:
    """Seconds on a processor of the connections that this process has to the database."""

    def __init__(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND backend_type = 'client backend'"
            )
            self._files = [Path(f"/proc/{pid}/schedstat") for (pid,) in cursor.fetchall()]
        connection.close()

    def seconds(self) -> float:
        return sum(int(file.read_text().split()[0]) for file in self._files if file.exists()) / 1e9


def measure(report: Report, name: str, shape: Shape, server: Server, pushes: int) -> None:
    """Run one case and write it down."""
    made = list(bodies(shape, shape.batch * (pushes + WARM_UP), 1))
    for body in made[:WARM_UP]:
        server.push(shape, body)
    backends = Backends()
    server.push(shape, next(iter(bodies(shape, shape.batch, 2))))
    web, database = [], []
    for body in made[WARM_UP:]:
        held, began = backends.seconds(), time.process_time()
        server.push(shape, body)
        web.append(time.process_time() - began)
        database.append(backends.seconds() - held)
    report.row(
        name,
        round(median(web) * 1e3, 2),
        round(median(database) * 1e3, 2),
        round(median(web) / shape.batch * 1e6, 2),
        round(median(database) / shape.batch * 1e6, 2),
        round(min(web) * 1e3, 2),
        round(min(database) * 1e3, 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench push_cpu", description=__doc__)
    parser.add_argument("--case", action="append", default=[], help="one case by name; --list names them all")
    parser.add_argument("--pushes", type=int, default=0, help="pushes that are measured of each case")
    parser.add_argument("--profile", action="store_true", help="print where the web process's time goes, by function")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(sys.argv[1:])
    known = cases()
    if args.list:
        print("\n".join(known))
        return
    if unknown := [name for name in args.case if name not in known]:
        raise SystemExit(f"There is no case {unknown[0]}; bin/bench push_cpu --list names them.")
    report = Report(
        "push_cpu",
        columns=[
            "case",
            "web ms a push",
            "database ms",
            "web us a record",
            "database us",
            "least web ms",
            "least database ms",
        ],
    )
    with Stack():
        from benchmarks.push import make_token

        server = Server(make_token("bench"))
        for name, shape in known.items():
            if args.case and name not in args.case:
                continue
            pushes = args.pushes or PUSHES[shape.batch]
            if args.profile:
                _profile(shape, server, pushes)
            else:
                measure(report, name, shape, server, pushes)
    if not args.profile:
        report.finish()


def _profile(shape: Shape, server: Server, pushes: int) -> None:
    import cProfile
    import pstats

    made = list(bodies(shape, shape.batch * (pushes + WARM_UP), 1))
    for body in made[:WARM_UP]:
        server.push(shape, body)
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for body in made[WARM_UP:]:
        server.push(shape, body)
    profile.disable()
    told = pstats.Stats(profile)
    told.sort_stats("tottime").print_stats(45)
    told.sort_stats("cumtime").print_stats(60)


if __name__ == "__main__":
    main()
