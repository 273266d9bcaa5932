"""Prometheus' HTTP API (/api/v1), as Mimir, Thanos and VictoriaMetrics speak it too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.connectors.presets import LabelMatch
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import AnswerTooLarge, HttpClient, StatusError
from metrics.words import N_, phrase

SHORTEST_QUERY = timedelta(minutes=1)
HINTS = {
    401: "Enter the header that your Prometheus asks for, for example Authorization: Bearer ...",
    403: "Ask whoever runs Prometheus for read access to its query API.",
    404: "Give the address without /api/v1 and without /graph; with the path prefix where there is one.",
    400: "Check the label selector.",
}


class PrometheusApi:
    """Asks one Prometheus. `http` checks addresses and redacts; `headers` as `headers_of` gives them."""

    def __init__(self, http: HttpClient, address: str, headers: Mapping[str, str]) -> None:
        self.http, self.address, self.headers = http, address.rstrip("/"), headers

    def with_http(self, http: HttpClient) -> PrometheusApi:
        return PrometheusApi(http, self.address, self.headers)

    def ask(self, what: str, form: Mapping[str, str]) -> Any:
        """Return the data of an answer. Raises ConnectorError, also for one that is not whole."""
        answer = self.http.post_form(
            f"{self.address}/api/v1/{what}", form=form, headers=dict(self.headers), hints=HINTS
        )
        document = answer.json()
        if not isinstance(document, dict) or document.get("status") != "success" or "data" not in document:
            raise _not_prometheus()
        if document.get("warnings"):
            said = self.http.redact(str(document["warnings"][0])[:200])
            raise ConnectorError(
                phrase("Prometheus answered in part only, so nothing was taken: %(said)s.", said=said), permanent=False
            )
        return document["data"]

    def samples(
        self, expressions: Callable[[], Iterator[str]], start: datetime, end: datetime
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the raw samples in (start, end]; an answer that is too large is asked for in halves."""
        try:
            rows = [row for expression in expressions() for row in self._matrix(expression, start, end)]
        except (AnswerTooLarge, StatusError) as error:
            is_too_much = isinstance(error, AnswerTooLarge) or "too many samples" in error.message
            if not is_too_much or end - start <= SHORTEST_QUERY:
                raise
            middle = start + (end - start) / 2
            yield from self.samples(expressions, start, middle)
            yield from self.samples(expressions, middle, end)
            return
        yield from rows

    def vector(self, query: str, at: datetime) -> list[Mapping[str, Any]]:
        """Return the rows of an instant query, each with its one value."""
        rows = _rows(self.ask("query", {"query": query, "time": unix(at)}), "vector", "value")
        return [{"metric": row["metric"], "values": [row["value"]]} for row in rows]

    def series(self, selector: str, start: datetime, end: datetime) -> list[dict[str, str]]:
        """Return the labels of each series that was there in between."""
        data = self.ask("series", {"match[]": selector, "start": unix(start), "end": unix(end)})
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            raise _not_prometheus()
        return data

    def _matrix(self, expression: str, start: datetime, end: datetime) -> list[Mapping[str, Any]]:
        seconds = math.ceil((end - start).total_seconds())
        data = self.ask("query", {"query": f"{expression}[{seconds}s]", "time": unix(end)})
        return _rows(data, "matrix", "values")


def selector_of(names: Sequence[str], conditions: Sequence[LabelMatch]) -> str:
    """Return the selector of these names, in either spelling, under these conditions."""
    pattern = "|".join(name.replace(":", "[:_]").replace(".", "[.]") for name in names)
    return "{" + ",".join([f'__name__=~"{pattern}"', *(str(condition) for condition in conditions)]) + "}"


def headers_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of lines 'Name: value'. Raises RuleViolation on `headers`."""
    headers = {}
    for line in values.get("headers") or []:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip() or " " in name.strip():
            raise RuleViolation("bad_header", N_("A header is written as Name: value, one a line."), "headers")
        headers[name.strip()] = value.strip()
    return headers


def unix(moment: datetime) -> str:
    return str(Decimal(int(moment.timestamp() * 1000)) / 1000)


def _rows(data: Any, result_type: str, field: str) -> list[Mapping[str, Any]]:
    if not isinstance(data, dict) or data.get("resultType") != result_type or not isinstance(data["result"], list):
        raise _not_prometheus()
    # Native histograms come under another key and have no bounds to compare; they are left out.
    return [row for row in data["result"] if isinstance(row, dict) and field in row and "metric" in row]


def _not_prometheus() -> ConnectorError:
    return ConnectorError(
        N_("The answer is not one of Prometheus' HTTP API."), permanent=False, hint=N_("Check the address.")
    )
