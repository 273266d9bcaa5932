"""OpenAI's usage and costs as far as pulls ask for them: one model that is priced, the same figures every time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.doubles.source_server import Asked, Reply

HOUR, DAY = 3600, 86400


class OpenAIDouble:
    """Usage in every `every_hours`th hour from `start` on, and 2.50 USD a UTC day."""

    def __init__(self, *, start: datetime, every_hours: int = 1, model: str = "gpt-4o-mini") -> None:
        self.first = int(start.timestamp()) // HOUR * HOUR
        self.every, self.model = every_hours * HOUR, model

    def play(self, asked: Asked) -> Reply:
        start, end = int(asked.value("start_time") or 0), int(asked.value("end_time") or 0)
        if asked.path.endswith("/usage/completions"):
            first = max(start, self.first)
            return _page(
                self._bucket(hour, HOUR, [self._usage(hour)])
                for hour in range(first, end, HOUR)
                if (hour - self.first) % self.every == 0
            )
        if asked.path.endswith("/costs"):
            return _page(self._bucket(day, DAY, [self._cost()]) for day in range(start, end, DAY) if day >= self.first)
        return _page(())

    def requests_until_now(self, days: int) -> int:
        """Requests of the complete hours of the last days, from midnight UTC on."""
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start = int((end.replace(hour=0) - timedelta(days=days)).timestamp())
        hours = range(start, int(end.timestamp()), HOUR)
        return sum(self._usage(h)["num_model_requests"] for h in hours if (h - self.first) % self.every == 0)

    def _usage(self, hour: int) -> dict:
        size = hour // HOUR % 24 + 1
        return {
            "object": "organization.usage.completions.result",
            "model": self.model,
            "project_id": "proj_1",
            "num_model_requests": size,
            "input_tokens": 1000 * size,
            "input_cached_tokens": 100 * size,
            "output_tokens": 150 * size,
        }

    def _cost(self) -> dict:
        return {
            "object": "organization.costs.result",
            "amount": {"value": 2.5, "currency": "usd"},
            "line_item": f"{self.model}, input_tokens",
            "project_id": "proj_1",
        }

    @staticmethod
    def _bucket(start: int, length: int, results: list[dict]) -> dict:
        return {"object": "bucket", "start_time": start, "end_time": start + length, "results": results}


def _page(buckets) -> Reply:
    return Reply(json.dumps({"object": "page", "has_more": False, "next_page": None, "data": list(buckets)}))
