"""OpenAI's organization usage and costs (openai-openapi: /organization/usage/*, /organization/costs).

Usage comes by the hour, costs by the UTC day; neither says anything of latency or errors. `input_tokens` already
contains cached and cache-write tokens. Costs are the finance side's figure, in major units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from metrics.answers import Reader
from metrics.connector import CostStatement, Group, StatementConnector, TestResult
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BASE = "https://api.openai.com/v1"
HOURS_A_PAGE, DAYS_A_PAGE = 168, 180
GIBIBYTE = 1024**3
KEY_HINT = N_(
    "Make an admin key with read access to usage: platform.openai.com, Settings, Organization, Admin keys. "
    "Ordinary project keys cannot read usage."
)
HINTS = {401: KEY_HINT, 403: KEY_HINT}
READ = Reader("OpenAI")


@dataclass(frozen=True, slots=True)
class _Usage:
    """One usage endpoint.

    `counts`: (field, measure). `groupings`: tried in turn, since some organizations refuse some combinations (400).
    `service`: the name that stands for a model where the tool has none, and the words by which its costs are known.
    """

    path: str
    operation: str
    counts: tuple[tuple[str, str], ...]
    groupings: tuple[tuple[str, ...], ...] = (("model", "project_id"), ("model",))
    service: str = ""
    is_optional: bool = True


BY_PROJECT = (("project_id",), ())
REQUESTS = ("num_model_requests", "requests")
TOKENS = (
    REQUESTS,
    ("input_tokens", "input_tokens"),
    ("input_cached_tokens", "cached_input_tokens"),
    ("input_cache_write_tokens", "cache_write_input_tokens"),
    ("output_tokens", "output_tokens"),
)
MODEL_GROUPINGS = (
    ("model", "project_id", "batch", "service_tier"),
    ("model", "project_id", "batch"),
    ("model", "project_id"),
    ("model",),
)
USAGES = (
    _Usage("completions", "chat", TOKENS, MODEL_GROUPINGS, is_optional=False),
    _Usage("decisions", "decision", TOKENS, MODEL_GROUPINGS),
    _Usage("embeddings", "embeddings", (REQUESTS, ("input_tokens", "input_tokens"))),
    _Usage("moderations", "moderation", (REQUESTS, ("input_tokens", "input_tokens"))),
    _Usage("images", "image_generation", (REQUESTS, ("images", "units"))),
    _Usage("audio_speeches", "text_to_speech", (REQUESTS, ("characters", "units"))),
    _Usage("audio_transcriptions", "transcription", (REQUESTS, ("seconds", "units"))),
    # Tools that a model's request calls: what they do is counted in units, since the request is counted already.
    _Usage("vector_stores", "vector_store", (("usage_bytes", "units"),), BY_PROJECT, "vector stores"),
    _Usage(
        "code_interpreter_sessions", "code_interpreter", (("num_sessions", "units"),), BY_PROJECT, "code interpreter"
    ),
    _Usage("file_search_calls", "file_search", (("num_requests", "units"),), BY_PROJECT, "file search"),
    _Usage("web_search_calls", "web_search", (("num_requests", "units"),), BY_PROJECT, "web search"),
)
# Words in a line item that is no model's, most telling first: file search is billed by call and by what it stores.
SERVICE_WORDS = (
    ("vector store", "vector stores"),
    ("storage", "vector stores"),
    ("code interpreter", "code interpreter"),
    ("file search", "file search"),
    ("web search", "web search"),
)
COST_GROUPINGS = (("project_id", "line_item"), ("line_item",), ("project_id",), ())
TIERS = {None: "standard", "": "standard", "default": "standard", "auto": "standard"}


class OpenAI(StatementConnector):
    """Usage of all models of an organization, or of some of its projects, and what OpenAI charges for it."""

    kind = "openai"
    title = N_("OpenAI")
    summary = N_("Reads an organization's usage by the hour and its costs by the day.")
    group = Group.PROVIDER
    needs = N_("An admin key of the organization; project keys cannot read usage.")
    who_gives = N_("An owner of the OpenAI organization.")
    shows = ("cost", "tokens", "requests")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("admin_key", N_("Admin key"), ParameterKind.SECRET, help=KEY_HINT, placeholder="sk-admin-..."),
        Parameter(
            "projects",
            N_("Only these projects"),
            ParameterKind.LINES,
            required=False,
            help=N_("Ids such as proj_abc123, one a line. Empty: the whole organization."),
        ),
        Parameter(
            "address",
            N_("API address"),
            ParameterKind.URL,
            required=False,
            default=BASE,
            help=N_("Only where your organization has an address of its own."),
        ),
    )
    reports = frozenset(
        {
            "requests",
            "input_tokens",
            "cached_input_tokens",
            "cache_write_input_tokens",
            "output_tokens",
            "units",
            "billed_cost",
        }
    )
    not_offered: Mapping[str, str] = {
        "duration": N_("OpenAI's usage has no latency: push it from the application, or put a gateway in front."),
        "time_to_first_token": N_("OpenAI's usage has no latency: push it from the application."),
        "errors": N_("OpenAI's usage counts no errors: push them from the application."),
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

    def label_names(self) -> Mapping[str, Mapping[str, str]]:
        """Names of projects; a key that reads usage need not be allowed to list them."""
        names: dict[str, str] = {}

        def ask(after: str | None) -> Mapping[str, Any]:
            params = [("limit", "100"), ("include_archived", "true"), *([("after", after)] if after else [])]
            return self._page(self.http, "projects", params)

        for document in READ.pages(ask, cursor="last_id"):
            for one in document["data"]:
                project = READ.mapping(one, "a project")
                if project.get("id") and project.get("name"):
                    names[str(project["id"])] = str(project["name"])
        return {"project": names}

    def test(self) -> TestResult:
        result = TestResult()
        today = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        for what, path in ((N_("Usage"), "usage/completions"), (N_("Costs"), "costs")):
            span = [("start_time", _unix(today - 2 * DAY)), ("end_time", _unix(today)), ("bucket_width", "1d")]
            try:
                data = self._page(quick, path, [*span, ("limit", "2")])["data"]
            except ConnectorError as error:
                result.bad(phrase("%(what)s: %(error)s", what=what, error=error))
                continue
            is_busy = any(bucket.get("results") for bucket in data if isinstance(bucket, dict))
            if is_busy:
                result.good(phrase("%(what)s can be read.", what=what))
            else:
                result.good(phrase("%(what)s can be read; the last two days are empty.", what=what))
        try:
            self._page(quick, "projects", [("limit", "1")])
        except ConnectorError:
            result.info(N_("Names of projects cannot be read with this key, so their ids are shown."))
        if result.ok:
            result.info(N_("Latency and errors are not available here: push them from the application."))
            result.info(
                N_("Costs come by the day and may be restated; the last three days are read again at each pull.")
            )
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
                raise READ.malformed(f"a usage bucket starts at {hour:%H:%M:%S}")
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
            currency = READ.currency(amount.get("currency") or "usd")
            key = (day, until, currency, _covers(line_item), row.get("project_id") or None, line_item)
            totals[key] = totals.get(key, Decimal(0)) + READ.amount(amount["value"])
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

        def ask(cursor: str | None) -> Mapping[str, Any]:
            return self._page(self.http, path, [*params, *projects, *([("page", cursor)] if cursor else [])])

        said: set[str] = set()
        for document in READ.pages(ask):
            for bucket in document["data"]:
                yield from READ.distinct(_results(bucket), seen=said)

    def _page(self, http: HttpClient, path: str, params: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        base = (self.values.get("address") or BASE).rstrip("/")
        headers = {"Authorization": f"Bearer {self.values['admin_key']}"}
        document = http.get(f"{base}/organization/{path}", params=params, headers=headers, hints=HINTS).json()
        READ.sequence(READ.mapping(document, "it").get("data"), "the list of buckets")
        return READ.mapping(document, "it")

    def _key(self, usage: _Usage, row: Mapping[str, Any]) -> SeriesKey:
        project = row.get("project_id")
        tier = row.get("service_tier")
        return SeriesKey(
            provider="openai",
            model=usage.service or str(row.get("model") or "unknown"),
            operation=usage.operation,
            service_tier="batch" if row.get("batch") is True else TIERS.get(tier, str(tier)),
            labels=(("project", str(project)),) if project else (),
        )


def _results(bucket: Any) -> Iterator[tuple[datetime, datetime, Mapping[str, Any]]]:
    bucket = READ.mapping(bucket, "a bucket")
    start, end = (READ.unix(bucket.get(name), f"a bucket's {name}") for name in ("start_time", "end_time"))
    for row in READ.sequence(bucket.get("results"), "a bucket's results"):
        yield start, end, READ.mapping(row, "a result")


def _sums(usage: _Usage, row: Mapping[str, Any]) -> dict[str, int | Decimal]:
    sums: dict[str, int | Decimal] = {}
    for field, measure in usage.counts:
        if row.get(field) is None:
            continue
        count = READ.count(row[field], field)
        if field == "usage_bytes":
            # What is stored for an hour, as costs count it: gibibyte-hours.
            sums[measure] = Decimal(count) / GIBIBYTE
        else:
            sums[measure] = Decimal(count) if measure == "units" else count
    return sums


def _covers(line_item: str) -> str | None:
    """The model or tool that a line item is charged for; None where it names neither.

    '<model>, input_tokens' and '<model>' name a model, which has no blanks; tools are known by their words.
    """
    model, comma, _ = line_item.rpartition(",")
    if comma and model.strip() and " " not in model.strip():
        return model.strip()
    words = line_item.lower().replace("-", " ").replace("_", " ")
    service = next((service for word, service in SERVICE_WORDS if word in words), None)
    if service is not None:
        return service
    return line_item if line_item and " " not in line_item else None


def _unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))
