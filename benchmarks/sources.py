"""Doubles of sources for `bin/bench pull`, in a process of their own: OpenAI organizations and vLLM servers.

`/openai/<n>/...` answers as OpenAI's usage and costs do, with five models that are priced; `/vllm/<n>/metrics` as
vLLM's page with five models, counters and three histograms. `/round/<n>` turns all of them to the hourly round `n`: one
more hour is known, the hour before it is restated, counters have gone on. It prints its port and serves until killed.
"""

import asyncio
import json
import sys
import time
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "o4-mini")
SERVED = ("llama-8b", "llama-70b", "qwen-32b", "mistral-small", "gemma-27b")
# Bounds of vLLM's histograms, in seconds.
BOUNDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)
HISTOGRAMS = ("e2e_request_latency_seconds", "time_to_first_token_seconds", "time_per_output_token_seconds")
HOUR, DAY = 3600, 86400
STARTED_AT = int(time.time()) - 30 * DAY


class Sources:
    """Which round it is, and how often anything was asked."""

    def __init__(self, rounds: int) -> None:
        self.round, self.rounds, self.asked = 0, rounds, 0
        self.pages: dict[tuple[int, int], bytes] = {}

    def answer(self, path: str, query: str) -> tuple[int, bytes]:
        """Return status and body."""
        kind, _, rest = path.lstrip("/").partition("/")
        if kind == "round":
            self.round = int(rest)
            return 200, json.dumps({"asked": self.asked}).encode()
        self.asked += 1
        if kind == "vllm":
            return 200, self._metrics()
        if kind == "openai":
            values = {name: found[0] for name, found in parse_qs(query).items()}
            if "start_time" not in values:
                # Lists of projects and keys, by which labels get names.
                return 200, _page(())
            start, end = int(values["start_time"]), int(values["end_time"])
            if path.endswith("/costs"):
                return 200, _page(_cost_day(day) for day in range(start, end, DAY))
            if path.endswith("/usage/completions"):
                known = int(time.time()) // HOUR * HOUR - (self.rounds - self.round) * HOUR
                return 200, _page(
                    _usage_hour(hour, is_partial=hour >= known - HOUR) for hour in range(start, min(end, known), HOUR)
                )
            return 200, _page(())
        return 404, b"{}"

    def _metrics(self) -> bytes:
        found = self.pages.get((self.round, 0))
        if found is None:
            found = self.pages[self.round, 0] = _metrics_page(self.round + 1)
        return found


def _page(buckets) -> bytes:
    return b'{"object":"page","has_more":false,"next_page":null,"data":[' + b",".join(buckets) + b"]}"


@lru_cache(maxsize=10_000)
def _usage_hour(hour: int, *, is_partial: bool) -> bytes:
    """An hour of five models; the newest one is stated again, higher, an hour later."""
    size = hour // HOUR % 24 + 1
    if is_partial:
        size = size / 2
    rows = [
        {
            "object": "organization.usage.completions.result",
            "model": model,
            "project_id": "proj_bench",
            "batch": False,
            "service_tier": "default",
            "num_model_requests": int(100 * size),
            "input_tokens": int(90_000 * size),
            "input_cached_tokens": int(20_000 * size),
            "output_tokens": int(12_000 * size),
        }
        for model in MODELS
    ]
    return json.dumps({"object": "bucket", "start_time": hour, "end_time": hour + HOUR, "results": rows}).encode()


@lru_cache(maxsize=2_000)
def _cost_day(day: int) -> bytes:
    rows = [
        {
            "object": "organization.costs.result",
            "amount": {"value": round(12.5 + number, 4), "currency": "usd"},
            "line_item": f"{model}, {part}_tokens",
            "project_id": "proj_bench",
        }
        for number, model in enumerate(MODELS)
        for part in ("input", "output")
    ]
    return json.dumps({"object": "bucket", "start_time": day, "end_time": day + DAY, "results": rows}).encode()


def _metrics_page(size: int) -> bytes:
    lines = ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {STARTED_AT}"]
    for name in ("request_success_total", "prompt_tokens_total", "generation_tokens_total"):
        lines.append(f"# TYPE vllm:{name} counter")
        for model in SERVED:
            labels = f'model_name="{model}",engine="0"' + (',finished_reason="stop"' if "request" in name else "")
            each = {"request_success_total": 100, "prompt_tokens_total": 90_000}.get(name, 12_000)
            lines.append(f"vllm:{name}{{{labels}}} {each * size}.0")
    for name in HISTOGRAMS:
        lines.append(f"# TYPE vllm:{name} histogram")
        for model in SERVED:
            labels = f'model_name="{model}",engine="0"'
            for place, bound in enumerate((*BOUNDS, "+Inf"), start=1):
                count = min(100, 7 * place) * size
                lines.append(f'vllm:{name}_bucket{{{labels},le="{bound}"}} {count}.0')
            lines.append(f"vllm:{name}_sum{{{labels}}} {250 * size}.0")
            lines.append(f"vllm:{name}_count{{{labels}}} {100 * size}.0")
    return "\n".join([*lines, ""]).encode()


async def _serve(rounds: int) -> None:
    sources = Sources(rounds)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                parts = urlsplit(line.split()[1].decode())
                status, body = sources.answer(parts.path, parts.query)
                writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def serve() -> None:
    """`python -c 'from benchmarks.sources import serve; serve()' ROUNDS`."""
    asyncio.run(_serve(int(sys.argv[1])))
