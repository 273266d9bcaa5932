"""OpenAI's organization usage and costs (openai-openapi: /organization/usage/*, /organization/costs).

Usage comes by the hour, costs by the UTC day; neither says anything of latency or errors. `input_tokens` already
contains cached and cache-write tokens. Costs are the finance side's figure, in major units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from metrics.connector import CostStatement, Group, Parameter, ParameterKind, StatementConnector, TestResult
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BASE = "https://api.openai.com/v1"
MOST_PAGES = 500
HOURS_A_PAGE, DAYS_A_PAGE = 168, 180
KEY_HINT = (
    "Make an admin key with read access to usage: platform.openai.com, Settings, Organization, Admin keys. "
    "Ordinary project keys cannot read usage."
)
HINTS = {401: KEY_HINT, 403: KEY_HINT}


@dataclass(frozen=True, slots=True)
class _Usage:
    """One usage endpoint. `groupings`: tried in turn, since some organizations refuse some combinations (400)."""

    path: str
    operation: str
    counts: tuple[tuple[str, str], ...]
    groupings: tuple[tuple[str, ...], ...] = (("model", "project_id"), ("model",))
    is_optional: bool = True


REQUESTS = ("num_model_requests", "requests")
USAGES = (
    _Usage(
        "completions",
        "chat",
        (
            REQUESTS,
            ("input_tokens", "input_tokens"),
            ("input_cached_tokens", "cached_input_tokens"),
            ("input_cache_write_tokens", "cache_write_input_tokens"),
            ("output_tokens", "output_tokens"),
        ),
        (
            ("model", "project_id", "batch", "service_tier"),
            ("model", "project_id", "batch"),
            ("model", "project_id"),
            ("model",),
        ),
        is_optional=False,
    ),
    _Usage("embeddings", "embeddings", (REQUESTS, ("input_tokens", "input_tokens"))),
    _Usage("moderations", "moderation", (REQUESTS, ("input_tokens", "input_tokens"))),
    _Usage("images", "image_generation", (REQUESTS,)),
    _Usage("audio_speeches", "text_to_speech", (REQUESTS,)),
    _Usage("audio_transcriptions", "transcription", (REQUESTS,)),
)
COST_GROUPINGS = (("project_id", "line_item"), ("line_item",), ("project_id",), ())
TIERS = {None: "standard", "": "standard", "default": "standard", "auto": "standard"}


class OpenAI(StatementConnector):
    """Usage of all models of an organization, or of some of its projects, and what OpenAI charges for it."""

    kind = "openai"
    title = "OpenAI"
    summary = "Reads an organization's usage by the hour and its costs by the day."
    group = Group.PROVIDER
    needs = "An admin key of the organization; project keys cannot read usage."
    who_gives = "An owner of the OpenAI organization."
    shows = ("cost", "tokens", "requests")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("admin_key", "Admin key", ParameterKind.SECRET, help=KEY_HINT, placeholder="sk-admin-..."),
        Parameter(
            "projects",
            "Only these projects",
            ParameterKind.LINES,
            required=False,
            help="Ids such as proj_abc123, one a line. Empty: the whole organization.",
        ),
        Parameter(
            "address",
            "API address",
            ParameterKind.URL,
            required=False,
            default=BASE,
            help="Only where your organization has an address of its own.",
        ),
    )
    reports = frozenset(
        {
            "requests",
            "input_tokens",
            "cached_input_tokens",
            "cache_write_input_tokens",
            "output_tokens",
            "billed_cost",
        }
    )
    not_offered: Mapping[str, str] = {
        "duration": "OpenAI's usage has no latency: push it from the application, or put a gateway in front.",
        "time_to_first_token": "OpenAI's usage has no latency: push it from the application.",
        "errors": "OpenAI's usage counts no errors: push them from the application.",
    }
    provider = "openai"
    trailing_hours = 72
    settling_hours = 24
    # A page of usage holds 168 hours, of costs 180 days: a month is 5 pages an endpoint.
    backfill_step_days = 31

    def fetch(self, window: Window) -> Iterator[UsageCell | CostStatement]:
        hours = list(window.hours())
        if not hours:
            return
        start, end = hours[0], hours[-1] + HOUR
        for usage in USAGES:
            yield from self._usage(usage, start, end)
        first_day = start.replace(hour=0)
        yield from self._costs(first_day, first_day + DAY * -((first_day - end) // DAY))

    def test(self) -> TestResult:
        result = TestResult()
        today = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        for what, path in (("usage", "usage/completions"), ("costs", "costs")):
            span = [("start_time", _unix(today - 2 * DAY)), ("end_time", _unix(today)), ("bucket_width", "1d")]
            try:
                data = self._page(quick, path, [*span, ("limit", "2")])["data"]
            except ConnectorError as error:
                result.bad(f"{what.capitalize()}: {error}")
                continue
            is_busy = any(bucket.get("results") for bucket in data if isinstance(bucket, dict))
            result.good(f"{what.capitalize()} can be read" + ("." if is_busy else "; the last two days are empty."))
        if result.ok:
            result.info("Latency and errors are not available here: push them from the application.")
            result.info("Costs come by the day and may be restated; the last three days are read again at each pull.")
        return result

    def _usage(self, usage: _Usage, start: datetime, end: datetime) -> Iterator[UsageCell]:
        span = [("start_time", _unix(start)), ("end_time", _unix(end)), ("bucket_width", "1h")]
        span.append(("limit", str(HOURS_A_PAGE)))
        try:
            rows = self._rows(f"usage/{usage.path}", span, usage.groupings)
        except StatusError as error:
            if usage.is_optional and error.status == 404:
                return
            raise
        for hour, _, row in rows:
            if hour.minute or hour.second:
                raise _malformed(f"a usage bucket starts at {hour:%H:%M:%S}")
            if start <= hour < end:
                yield UsageCell(key=self._key(usage, row), hour=hour, sums=_sums(usage, row))

    def _costs(self, start: datetime, end: datetime) -> Iterator[CostStatement]:
        span = [("start_time", _unix(start)), ("end_time", _unix(end)), ("bucket_width", "1d")]
        totals: dict[tuple[datetime, datetime, str, str | None, str | None, str], Decimal] = {}
        for day, until, row in self._rows("costs", [*span, ("limit", str(DAYS_A_PAGE))], COST_GROUPINGS):
            amount = row.get("amount")
            if not isinstance(amount, dict) or amount.get("value") is None or not start <= day < end:
                continue
            line_item = str(row.get("line_item") or "")
            currency = str(amount.get("currency") or "usd").upper()
            key = (day, until, currency, _model_of(line_item), row.get("project_id") or None, line_item)
            totals[key] = totals.get(key, Decimal(0)) + _amount(amount["value"])
        for (day, until, currency, model, project, line_item), total in totals.items():
            yield CostStatement(
                start=day,
                end=until,
                amount=total,
                currency=currency,
                model=model,
                project=project,
                charge_category="Credit" if total < 0 else "Usage",
                description=line_item,
            )

    def _rows(
        self, path: str, span: Sequence[tuple[str, str]], groupings: Sequence[Sequence[str]]
    ) -> list[tuple[datetime, datetime, Mapping[str, Any]]]:
        """Return (start, end, row) of all pages, with the finest grouping that this organization accepts."""
        for position, grouping in enumerate(groupings, start=1):
            try:
                return list(self._pages(path, [*span, *(("group_by[]", name) for name in grouping)]))
            except StatusError as error:
                if error.status != 400 or position == len(groupings):
                    raise
        return []

    def _pages(
        self, path: str, params: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[datetime, datetime, Mapping[str, Any]]]:
        projects = [("project_ids[]", project) for project in self.values.get("projects") or []]
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            turn = [("page", cursor)] if cursor else []
            document = self._page(self.http, path, [*params, *projects, *turn])
            for bucket in document["data"]:
                yield from _results(bucket)
            if not document.get("has_more"):
                return
            cursor = document.get("next_page")
            if not isinstance(cursor, str) or not cursor or cursor in seen:
                raise _malformed("it says that there is more, but not where, or sends the same page again")
            seen.add(cursor)
        raise _malformed(f"it has more than {MOST_PAGES} pages")

    def _page(self, http: HttpClient, path: str, params: Sequence[tuple[str, str]]) -> dict[str, Any]:
        base = (self.values.get("address") or BASE).rstrip("/")
        headers = {"Authorization": f"Bearer {self.values['admin_key']}"}
        document = http.get(f"{base}/organization/{path}", params=params, headers=headers, hints=HINTS).json()
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            raise _malformed("it has no list of buckets")
        return document

    def _key(self, usage: _Usage, row: Mapping[str, Any]) -> SeriesKey:
        project = row.get("project_id")
        tier = row.get("service_tier")
        return SeriesKey(
            provider="openai",
            model=str(row.get("model") or "unknown"),
            operation=usage.operation,
            service_tier="batch" if row.get("batch") is True else TIERS.get(tier, str(tier)),
            labels=(("project", str(project)),) if project else (),
        )


def _results(bucket: Any) -> Iterator[tuple[datetime, datetime, Mapping[str, Any]]]:
    if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
        raise _malformed("a bucket has no results")
    try:
        start, end = (datetime.fromtimestamp(int(bucket[name]), UTC) for name in ("start_time", "end_time"))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise _malformed("a bucket has no start or end") from None
    for row in bucket["results"]:
        if not isinstance(row, dict):
            raise _malformed("a result is not an object")
        yield start, end, row


def _sums(usage: _Usage, row: Mapping[str, Any]) -> dict[str, int | Decimal]:
    sums: dict[str, int | Decimal] = {}
    for field, measure in usage.counts:
        value = row.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _malformed(f"{field} is not a count")
        sums[measure] = value
    return sums


def _amount(value: Any) -> Decimal:
    """Numbers as in the specification, text as some accounts get it."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise _malformed("an amount is not a number")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise _malformed("an amount is not a number") from None
    if not amount.is_finite():
        raise _malformed("an amount is not a number")
    return amount


def _model_of(line_item: str) -> str | None:
    """'<model>, input_tokens' names a model; other items are charges for no one model."""
    model, comma, _ = line_item.rpartition(",")
    return model.strip() if comma and model.strip() and " " not in model.strip() else None


def _unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _malformed(what: str) -> ConnectorError:
    return ConnectorError(f"OpenAI's answer cannot be used: {what}. Nothing was taken from this pull.", permanent=False)
