"""The product as other processes meet it: gunicorn and a Celery worker on the test's database, each with its log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.flows.database_address import database_url


@dataclass
class Product:
    """`url`: where it answers. `logs()`: everything that its processes wrote."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, name: str, *command: str, **environment: str) -> None:
        """Start a module in a process group of its own; its output goes to `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env={**os.environ, "DATABASE_URL": database_url(), "PLAIN_STATIC": "1", **environment},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def wait(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"the server does not start: {self.logs()[-2000:]}")

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@contextmanager
def running_product(folder: Path, *, log_level: str = "WARNING") -> Iterator[Product]:
    """gunicorn, that logs each request and, at DEBUG, whatever Django has to say."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        product = Product(folder, int(probe.getsockname()[1]))
    address = f"127.0.0.1:{product.port}"
    options = ["--bind", address, "--threads", "4", "--access-logfile", "-", "--log-level", "debug"]
    product.run("web", "gunicorn", "config.wsgi:application", *options, LOG_LEVEL=log_level)
    try:
        product.wait()
        yield product
    finally:
        product.stop()
