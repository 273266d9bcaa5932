"""A LiteLLM proxy: its spend logs by the request (`/spend/logs/v2`), else its totals of a day (`/user/daily/activity`).

Spend is LiteLLM's own estimate in USD, from its price list. `prompt_tokens` contain cached and cache-write tokens. A
request counts in the hour in which it started, as in LiteLLM's own totals of a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from metrics.answers import Reader
from metrics.connector import Group, Stated, StatementConnector, TestResult
from metrics.connectors.litellm_rows import LogRow, day_cell, label_pattern
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.parameter import Parameter, ParameterKind
from metrics.request_hours import RequestHours
from metrics.usage import UsageCell
from metrics.windows import DAY, HOUR, Window
from metrics.words import N_, phrase

SHORTEST_SPAN = timedelta(minutes=1)
# A row takes up to 10 kB, since LiteLLM writes the model's whole price entry into it.
ROWS_A_PAGE, DAYS_A_PAGE, TEAMS_A_PAGE = 500, 1000, 100
MAX_BYTES = 48 * 1024 * 1024
MOST_PAGES = 2000
# LiteLLM counts no further than this; what has more is asked for in parts (SPEND_LOGS_PAGINATION_COUNT_CAP).
COUNTED_UP_TO = 10_000
# Logs with fewer of a day's requests than this were switched off or deleted: the day is read from the totals.
COMPLETE = Decimal("0.98")
KEY_HINT = N_(
    "Make a key of a user with the role proxy_admin_viewer, allowed to call /spend/logs/v2, /user/daily/activity and "
    "/v2/team/list only; docs/connectors/litellm.md has the two commands. An ordinary key sees nothing but itself."
)
HINTS = {401: KEY_HINT, 403: KEY_HINT}
NO_DATABASE = ("database not connected", "prisma client is not initialized", "no_db_connection", "no connected db")

reader = Reader("LiteLLM")


class LiteLLM(StatementConnector):
    """Requests, tokens, spend and latency of all teams and keys behind one proxy."""

    kind = "litellm"
    title = N_("LiteLLM")
    summary = N_("Reads a LiteLLM proxy's spend logs: spend, tokens and latency of each team and key.")
    group = Group.GATEWAY
    needs = N_("A key of a user with the role proxy_admin_viewer, and a proxy with a database.")
    who_gives = N_("Whoever runs the LiteLLM proxy.")
    shows = ("cost", "tokens", "requests", "errors", "latency")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "address",
            N_("Address"),
            ParameterKind.URL,
            help=N_("Of the proxy, as applications call it, without /v1."),
            placeholder="http://litellm.internal:4000",
        ),
        Parameter("key", N_("Key"), ParameterKind.SECRET, help=KEY_HINT, placeholder="sk-..."),
        Parameter(
            "read",
            N_("Read"),
            ParameterKind.CHOICE,
            required=False,
            default="requests",
            choices=(
                ("requests", N_("Spend logs: hours and latency")),
                ("days", N_("Totals of each day: no hours, no percentiles")),
            ),
            help=N_(
                "Totals of each day suit a proxy with more than some 200,000 requests a day, or without spend logs."
            ),
        ),
        Parameter(
            "tags",
            N_("Tags to keep"),
            ParameterKind.LINES,
            required=False,
            help=N_(
                "One a line, with * for any ending (project-*). The first that a request carries becomes its label "
                "tag. Empty: none. Only in spend logs."
            ),
            placeholder="project-*",
        ),
    )
    reports = frozenset(
        {
            "requests",
            "errors",
            "input_tokens",
            "cached_input_tokens",
            "cache_write_input_tokens",
            "output_tokens",
            "estimated_cost",
            "duration",
            "time_to_first_token",
            "inter_token",
        }
    )
    not_offered: Mapping[str, str] = {
        "billed_cost": N_("LiteLLM estimates spend from its price list: add the provider itself for what it charges."),
        "quality": N_("LiteLLM scores nothing: push scores, or add Langfuse."),
    }
    measured_at = StatementConnector.measured_at.GATEWAY
    provider = "litellm"
    trailing_hours = 24
    # What a batch cost is written to its request when the provider has finished it.
    daily_trailing_hours = 72

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http.with_limits(max_bytes=MAX_BYTES), clock)
        self.reports, self.not_offered = self.offer(self.values)
        self.tags = label_pattern(self.values.get("tags") or [])

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        if values.get("read") != "days":
            return cls.reports, cls.not_offered
        missing = N_(
            "A day's totals have a mean and no percentiles: read the spend logs, or push from the application."
        )
        latencies = frozenset({"duration", "time_to_first_token", "inter_token"})
        return cls.reports - latencies, {**cls.not_offered, **dict.fromkeys(sorted(latencies), missing)}

    def fetch(self, window: Window) -> Iterator[Stated]:
        hours = list(window.hours())
        if not hours:
            return
        start, end = hours[0], hours[-1] + HOUR
        teams = self._teams(self.http)
        days = self._days(start.date(), (end - HOUR).date())
        found = RequestHours()
        midnight = start.replace(hour=0)
        while midnight < end:
            entries = days.get(midnight.date(), [])
            span = (max(start, midnight), min(end, midnight + DAY))
            if self._is_read_by_day(midnight, entries):
                noon = midnight + 12 * HOUR
                if span[0] <= noon < span[1]:
                    for entry in entries:
                        yield from _day_cells(entry, noon, teams)
            else:
                for row in self._requests(*span):
                    found.add(row.key, row.started_at, row.sums, latencies_ms=row.latencies_ms, **row.money)
            midnight += DAY
        yield from found.cells()

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        today = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            teams = self._teams(quick)
            days = self._days((today - DAY).date(), today.date(), http=quick)
            logged = self._logged(today - DAY, http=quick)
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        result.good(phrase("The key reads all teams (%(count)s).", count=len(teams)))
        requests = _requests_of(days.get((today - DAY).date(), []))
        result.good(phrase("Totals of a day can be read: %(requests)s requests yesterday.", requests=requests))
        if self.values["read"] == "days":
            result.info(N_("Totals have no hours: a day stands at 12:00 UTC, with a mean latency and no percentiles."))
        elif logged is not None and logged < requests * COMPLETE:
            result.info(
                phrase(
                    "Spend logs hold %(logged)s of yesterday's %(requests)s requests: they are off, or deleted after a "
                    "while. Such days are read from the totals, without hours and percentiles.",
                    logged=logged,
                    requests=requests,
                )
            )
        else:
            result.good(N_("Spend logs can be read: hours, latency, tokens and spend of each request."))
        if requests > 200_000 and self.values["read"] != "days":
            result.info(
                N_("That is a lot to read request by request: choose 'Totals of each day' if pulls take too long.")
            )
        result.info(N_("Spend is LiteLLM's estimate; models that it has no price for are priced here."))
        return result

    # --- Spend logs

    def _is_read_by_day(self, midnight: datetime, entries: Sequence[Mapping[str, Any]]) -> bool:
        if self.values["read"] == "days":
            return True
        requests = _requests_of(entries)
        if not requests:
            return False
        logged = self._logged(midnight)
        return logged is not None and logged < requests * COMPLETE

    def _logged(self, midnight: datetime, *, http: HttpClient | None = None) -> int | None:
        """Return how many requests of the day the logs hold; None: more than LiteLLM counts."""
        page = self._logs(midnight, midnight + DAY, 1, rows=1, http=http)
        total = reader.count(page.get("total"), "total")
        return None if page.get("total_is_capped") else total

    def _requests(self, start: datetime, end: datetime) -> Iterator[LogRow]:
        """Yield the requests that started in [start, end), each once. Raises ConnectorError."""
        first = self._logs(start, end, 1)
        total = reader.count(first.get("total"), "total")
        can_split = end - start > SHORTEST_SPAN
        if (total > COUNTED_UP_TO or first.get("total_is_capped")) and can_split:
            yield from self._halves(start, end)
            return
        rows = {row.request_id: row for row in self._rows(first)}
        pages = reader.count(first.get("total_pages", 1), "total_pages")
        if pages > MOST_PAGES:
            raise reader.malformed(f"it has more than {MOST_PAGES} pages")
        for number in range(2, pages + 1):
            rows.update((row.request_id, row) for row in self._rows(self._logs(start, end, number)))
        if len(rows) < total:
            # Rows are ordered by their start alone: pages that cut through equal ones may repeat some and leave out
            # others.
            if not can_split:
                raise reader.malformed(f"{total} requests were announced and {len(rows)} given")
            yield from self._halves(start, end)
            return
        yield from (row for row in rows.values() if start <= row.started_at < end)

    def _halves(self, start: datetime, end: datetime) -> Iterator[LogRow]:
        middle = start + timedelta(minutes=max(1, (end - start) // timedelta(minutes=2)))
        yield from self._requests(start, middle)
        yield from self._requests(middle, end)

    def _rows(self, page: Mapping[str, Any]) -> Iterator[LogRow]:
        for row in reader.sequence(page.get("data"), "the list of requests"):
            yield LogRow.read(reader.mapping(row, "a request"), self.tags)

    def _logs(
        self, start: datetime, end: datetime, page: int, *, rows: int = ROWS_A_PAGE, http: HttpClient | None = None
    ) -> Mapping[str, Any]:
        """Both ends are included, to the second: the caller leaves out what started at `end`."""
        span = [("start_date", f"{start:%Y-%m-%d %H:%M:%S}"), ("end_date", f"{end:%Y-%m-%d %H:%M:%S}")]
        turn = [("page", str(page)), ("page_size", str(rows)), ("sort_by", "startTime"), ("sort_order", "asc")]
        return self._ask("/spend/logs/v2", [*span, *turn], http=http)

    # --- Totals of a day

    def _days(self, first: date, last: date, *, http: HttpClient | None = None) -> dict[date, list[Mapping[str, Any]]]:
        """Return the entries of each day; a day that does not fit a page has several."""
        found: dict[date, list[Mapping[str, Any]]] = {}
        for page in range(1, MOST_PAGES + 1):
            span = [("start_date", first.isoformat()), ("end_date", last.isoformat())]
            turn = [("page", str(page)), ("page_size", str(DAYS_A_PAGE))]
            document = self._ask("/user/daily/activity", [*span, *turn], http=http)
            for entry in reader.sequence(document.get("results"), "the list of days"):
                day = reader.mapping(entry, "a day")
                found.setdefault(_date(day.get("date")), []).append(day)
            metadata = reader.mapping(document.get("metadata"), "the metadata")
            if metadata.get("page", page) != page:
                raise reader.malformed("it sends another page than was asked for")
            if not metadata.get("has_more"):
                return found
        raise reader.malformed(f"it has more than {MOST_PAGES} pages")

    def _teams(self, http: HttpClient) -> dict[str, str]:
        """Return the teams' names by their ids. A key that may not see them sees only its own requests."""
        found: dict[str, str] = {}
        for page in range(1, MOST_PAGES + 1):
            turn = [("page", str(page)), ("page_size", str(TEAMS_A_PAGE))]
            document = self._ask("/v2/team/list", turn, http=http)
            for entry in reader.sequence(document.get("teams"), "the list of teams"):
                team = reader.mapping(entry, "a team")
                found[str(team.get("team_id") or "")] = str(team.get("team_alias") or "")
            if page >= reader.count(document.get("total_pages", 1), "total_pages"):
                return found
        raise reader.malformed(f"it has more than {MOST_PAGES} pages")

    def _ask(
        self, path: str, params: Sequence[tuple[str, str]], *, http: HttpClient | None = None
    ) -> Mapping[str, Any]:
        url = self.values["address"].rstrip("/").removesuffix("/v1") + path
        headers = {"Authorization": f"Bearer {self.values['key']}"}
        try:
            document = (http or self.http).get(url, params=params, headers=headers, hints=HINTS).json()
        except StatusError as error:
            if any(words in error.message.lower() for words in NO_DATABASE):
                raise ConnectorError(
                    N_("This LiteLLM proxy has no database, and keeps no spend without one."),
                    permanent=True,
                    hint=N_("Read its /metrics page instead, or give the proxy a database."),
                ) from None
            raise
        return reader.mapping(document, "the answer")


def _day_cells(entry: Mapping[str, Any], noon: datetime, teams: Mapping[str, str]) -> Iterator[UsageCell]:
    breakdown = reader.mapping(entry.get("breakdown") or {}, "a breakdown")
    providers = sorted(reader.mapping(breakdown.get("providers") or {}, "the providers"))
    provider = providers[0] if len(providers) == 1 else ""
    for model, held in sorted(reader.mapping(breakdown.get("models") or {}, "the models").items()):
        by_key = reader.mapping(reader.mapping(held, "a model").get("api_key_breakdown") or {}, "the keys")
        for key_hash, part in sorted(by_key.items()):
            yield day_cell(model, provider, key_hash, reader.mapping(part, "a key"), noon, teams)


def _requests_of(entries: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        reader.count(reader.mapping(entry.get("metrics"), "the metrics").get("api_requests", 0), "api_requests")
        for entry in entries
    )


def _date(value: Any) -> date:
    try:
        return datetime.strptime(str(value)[:10], "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise reader.malformed("a day has no date") from None
