"""Pulls of a server's /metrics page: what its counters grew by, whatever happens to the process."""

from __future__ import annotations

from tests.contracts.pull_suite import SECRET, CounterPullSuite, running
from tests.doubles.source_server import Reply, SourceServer
from tests.metrics.pulling import vllm_text


class TestPull(CounterPullSuite):
    kind = "metrics_endpoint"
    grown = {"llama": {"requests": 3, "input_tokens": 300, "output_tokens": 60}}
    after_restart = {"llama": {"requests": 4, "input_tokens": 40, "output_tokens": 8}}

    def double(self):
        server = SourceServer()
        self._say(server, requests=1000, tokens_in=90_000, tokens_out=50_000)
        return running(server)

    def parameters(self, url):
        return {"addresses": [url], "preset": "vllm", "token": SECRET}

    def grow(self, source):
        self._say(source, requests=1003, tokens_in=90_300, tokens_out=50_060)

    def restart(self, source):
        self._say(source, requests=4, tokens_in=40, tokens_out=8, started_at=1_790_003_600)

    def _say(self, source, **totals):
        source.play = lambda asked: Reply(vllm_text(**totals))
