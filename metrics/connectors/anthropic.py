"""Anthropic's Admin reports: an organization's usage by the hour and its costs by the UTC day.

Two generations. Classic: /v1/organizations/usage_report/messages and /cost_report, buckets of results. Analytics, by a
parameter: /v1/organizations/analytics/usage and /cost, rows that also count requests, and a watermark. Amounts are text
in cents. Neither says anything of latency or errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from metrics.connector import CostStatement, Group, NotStated, StatementConnector, TestResult
from metrics.connectors.anthropic_rows import DEFAULT_WORKSPACE, READ, Charge, statements, usage_cells
from metrics.errors import ConnectorError
from metrics.http import HttpClient
from metrics.meter import History, Pace
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import UsageCell
from metrics.windows import DAY, HOUR, Window, hour_of
from metrics.words import N_, phrase

BASE = "https://api.anthropic.com"
VERSION = "2023-06-01"
# What the vendor's own client (anthropic 2.14) sends: a bearer token, and this version.
ANALYTICS_VERSION = "2026-10-21"
ANALYTICS_BETA = "analytics-usage-cost-2026-08-24"
CLASSIC, ANALYTICS = "classic", "analytics"
WORKSPACES, API_KEYS = "workspaces", "api_keys"
HOURS_A_PAGE, DAYS_A_PAGE, ROWS_A_PAGE = 168, 31, 1000
# The analytics reports answer for a year, from this day on, and for at most 31 days at a time.
ANALYTICS_DAYS, ANALYTICS_SPAN = 365, 30 * DAY
ANALYTICS_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
KEY_HINT = N_(
    "Make an Admin key (sk-ant-admin...): Claude Console, Settings, Admin keys. Only an admin of the organization can; "
    "the key of a workspace cannot read usage."
)
HINTS = {401: KEY_HINT, 403: KEY_HINT}
Pairs = Sequence[tuple[str, str]]


class Anthropic(StatementConnector):
    """Usage of all models of an organization, or of some of its workspaces, and what Anthropic charges for it."""

    kind = "anthropic"
    title = N_("Anthropic")
    group = Group.PROVIDER
    summary = N_("Reads an organization's usage by the hour and its costs by the day.")
    needs = N_("An Admin key of the organization; keys of a workspace cannot read usage.")
    who_gives = N_("An admin of the Anthropic organization. Individual accounts have no Admin keys.")
    shows = ("cost", "tokens")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("admin_key", N_("Admin key"), ParameterKind.SECRET, help=KEY_HINT, placeholder="sk-ant-admin..."),
        Parameter(
            "reports",
            N_("Reports"),
            ParameterKind.CHOICE,
            required=False,
            default=CLASSIC,
            choices=(
                (CLASSIC, N_("usage and cost reports of the Admin API")),
                (ANALYTICS, N_("analytics reports (newer): requests as well, for the last 365 days")),
            ),
            help=N_("The analytics reports are in beta, and take a key with the scope read:analytics as well."),
        ),
        Parameter(
            "split_by",
            N_("Split usage by"),
            ParameterKind.CHOICE,
            required=False,
            default=WORKSPACES,
            choices=((WORKSPACES, N_("workspace")), (API_KEYS, N_("workspace and API key"))),
            help=N_("Costs are stated by workspace; keys share them by their tokens."),
        ),
        Parameter(
            "workspaces",
            N_("Only these workspaces"),
            ParameterKind.LINES,
            required=False,
            help=phrase(
                "Ids such as wrkspc_01AbC, one a line; '%(default)s' is the default one. Empty: all of them.",
                default=DEFAULT_WORKSPACE,
            ),
        ),
        Parameter("address", N_("API address"), ParameterKind.URL, required=False, default=BASE),
    )
    reports = frozenset(
        {
            "input_tokens",
            "cached_input_tokens",
            "cache_write_input_tokens",
            "output_tokens",
            "units",
            "billed_cost",
        }
    )
    not_offered: Mapping[str, str] = {
        "requests": N_("Anthropic's classic reports count no requests: choose the analytics reports, or push them."),
        "duration": N_("Anthropic's reports have no latency: push it from the application, or put a gateway in front."),
        "time_to_first_token": N_("Anthropic's reports have no latency: push it from the application."),
        "errors": N_("Anthropic's reports count no errors: push them from the application."),
    }
    provider = "anthropic"
    trailing_hours = 72
    # A day's cost has been seen to arrive a day late.
    settling_hours = 48
    backfill_step_days = 7
    # 'Once a minute, sustained' is for polling; the pages of one pull come a second apart.
    pace = Pace(requests_a_minute=60)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reports, self.not_offered = self.offer(self.values)

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        if values.get("reports") != ANALYTICS:
            return cls.reports, cls.not_offered
        left = {name: instead for name, instead in cls.not_offered.items() if name != "requests"}
        return cls.reports | {"requests"}, left

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        if values.get("reports") != ANALYTICS:
            return History()
        return History(days=ANALYTICS_DAYS, says="Anthropic's analytics begin on 1 Jan 2026.")

    def fetch(self, window: Window) -> Iterator[UsageCell | CostStatement | NotStated]:
        hours = list(window.hours())
        if not hours:
            return
        window = Window(hours[0], hours[-1] + HOUR)
        if self.values.get("reports") == ANALYTICS:
            yield from self._analytics(window)
            return
        yield from self._classic_usage(window)
        yield from statements(self._classic_charges(_whole_days(window)))

    def label_names(self) -> Mapping[str, Mapping[str, str]]:
        """Names of workspaces; a key for analytics alone may not list them."""
        names = {DEFAULT_WORKSPACE: "Default workspace"}

        def ask(after: str | None) -> Mapping[str, Any]:
            params = [("limit", "100"), ("include_archived", "true"), *([("after_id", after)] if after else [])]
            return self._page(self.http, "workspaces", params)

        for document in READ.pages(ask, cursor="last_id"):
            for one in document["data"]:
                workspace = READ.mapping(one, "a workspace")
                if workspace.get("id") and workspace.get("name"):
                    names[str(workspace["id"])] = str(workspace["name"])
        return {"workspace": names}

    def test(self) -> TestResult:
        result = TestResult()
        today = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        span = Window(today - 2 * DAY, today)
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        is_analytics = self.values.get("reports") == ANALYTICS
        paths = ("analytics/usage", "analytics/cost") if is_analytics else ("usage_report/messages", "cost_report")
        for what, path in zip((N_("Usage"), N_("Costs")), paths, strict=True):
            width = ("time_bucket_width", "1d") if is_analytics else ("bucket_width", "1d")
            try:
                data = self._page(quick, path, [*_span(span), width, ("limit", "2")])["data"]
            except ConnectorError as error:
                result.bad(phrase("%(what)s: %(error)s", what=what, error=error))
                continue
            is_busy = any(not isinstance(bucket, dict) or bucket.get("results", True) for bucket in data)
            if is_busy:
                result.good(phrase("%(what)s can be read.", what=what))
            else:
                result.good(phrase("%(what)s can be read; the last two days are empty.", what=what))
        if result.ok:
            result.info(N_("Latency and errors are not available here: push them from the application."))
            result.info(
                N_("What the priority tier costs is not in the cost report: it stays estimated, or not priced.")
            )
        return result

    # --- Classic

    def _classic_usage(self, window: Window) -> Iterator[UsageCell]:
        params = [*_span(window), ("bucket_width", "1h"), ("limit", str(HOURS_A_PAGE)), *self._groups()]
        for hour, _, row in self._results("usage_report/messages", [*params, *self._only_workspaces()]):
            if hour != hour_of(hour):
                raise READ.malformed(f"a usage bucket starts at {hour:%H:%M:%S}")
            if window.start <= hour < window.end and self._is_wanted(row):
                yield from usage_cells(self._dimensions(row), row, hour)

    def _classic_charges(self, days: Window) -> Iterator[Charge]:
        groups = [("group_by[]", name) for name in ("workspace_id", "description")]
        params = [*_span(days), ("bucket_width", "1d"), ("limit", str(DAYS_A_PAGE)), *groups]
        for start, end, row in self._results("cost_report", params):
            if days.start <= start < days.end and row.get("amount") is not None and self._is_wanted(row):
                yield Charge(start, end, row, row["amount"], row.get("currency"))

    def _results(self, path: str, params: Pairs) -> Iterator[tuple[datetime, datetime, Mapping[str, Any]]]:
        """Yield (start, end, row) of all pages' buckets, each row once."""
        said: set[str] = set()
        for document in self._pages(path, params):
            for one in document["data"]:
                bucket = READ.mapping(one, "a bucket")
                start, end = (
                    READ.moment(bucket.get(name), f"a bucket's {name}") for name in ("starting_at", "ending_at")
                )
                rows = READ.sequence(bucket.get("results"), "a bucket's results")
                yield from READ.distinct(((start, end, READ.mapping(row, "a result")) for row in rows), seen=said)

    # --- Analytics

    def _analytics(self, window: Window) -> Iterator[UsageCell | CostStatement | NotStated]:
        oldest = max(hour_of(self.clock() - ANALYTICS_DAYS * DAY) + HOUR, ANALYTICS_FIRST)
        if window.start < oldest:
            yield NotStated(window.start, min(window.end, oldest))
            # Whole days: what is left of the first one would be taken for all of it.
            window = Window(_midnight(oldest + DAY - HOUR), window.end)
        known_until = window.end
        part = window
        while part.start < window.end:
            # Cut at midnight, or a day would be charged in both parts.
            part = Window(part.start, min(_midnight(part.start + ANALYTICS_SPAN), window.end))
            watermark, rows = self._rows("analytics/usage", part, "1h", ())
            known_until = min(known_until, watermark or window.end)
            for hour, _, row in rows:
                group = READ.mapping(row.get("group"), "a row's group")
                if part.start <= hour < min(part.end, known_until) and self._is_wanted(group):
                    yield from usage_cells(self._dimensions(group), READ.mapping(row.get("usage"), "usage"), hour)
            days = _whole_days(part)
            watermark, rows = self._rows("analytics/cost", days, "1d", ("cost_type",))
            known_until = min(known_until, watermark or window.end)
            charges = self._analytics_charges(rows)
            # A day is charged once the report knows all of it.
            yield from statements(one for one in charges if one.end <= max(known_until, days.start))
            part = Window(part.end, window.end)
        if known_until < window.end:
            if known_until < self.clock() - DAY:
                # The cost of the day that it does not know all of is not withdrawn.
                known_until = _midnight(known_until)
            yield NotStated(max(known_until, window.start), window.end, is_to_come=True)

    def _rows(
        self, path: str, window: Window, width: str, more_groups: Sequence[str]
    ) -> tuple[datetime | None, list[tuple[datetime, datetime, Mapping[str, Any]]]]:
        """Return until when the report knows all (None: it does not say), and (start, end, row) of all pages."""
        params = [*_span(window), ("time_bucket_width", width), ("limit", str(ROWS_A_PAGE)), *self._only_workspaces()]
        params += [*self._groups(with_keys=not more_groups), *(("group_by[]", name) for name in more_groups)]
        watermark: datetime | None = None
        found: list[tuple[datetime, datetime, Mapping[str, Any]]] = []
        said: set[str] = set()
        for document in self._pages(path, params):
            if document.get("data_refreshed_at"):
                refreshed = hour_of(READ.moment(document["data_refreshed_at"], "data_refreshed_at"))
                watermark = refreshed if watermark is None else min(watermark, refreshed)
            for row in READ.distinct((READ.mapping(row, "a row") for row in document["data"]), seen=said):
                start, end = (READ.moment(row.get(name), f"a row's {name}") for name in ("starting_at", "ending_at"))
                found.append((start, end, row))
        return watermark, found

    def _analytics_charges(self, rows: Sequence[tuple[datetime, datetime, Mapping[str, Any]]]) -> Iterator[Charge]:
        """Rows by type of cost; one without a type is the sum of those of its group, where it has any."""
        groups = [(start, end, READ.mapping(row.get("group"), "a row's group"), row) for start, end, row in rows]
        typed = {_whole(start, group) for start, _, group, _ in groups if group.get("cost_type")}
        for start, end, group, row in groups:
            cost = READ.mapping(row.get("cost"), "cost")
            is_sum = not group.get("cost_type") and _whole(start, group) in typed
            if not is_sum and cost.get("amount") is not None and self._is_wanted(group):
                yield Charge(start, end, group, cost["amount"], cost.get("currency"))

    # --- Asking

    def _groups(self, *, with_keys: bool = True) -> list[tuple[str, str]]:
        names = ["model", "workspace_id", "service_tier"]
        if with_keys and self.values.get("split_by") == API_KEYS:
            names.append("api_key_id")
        return [("group_by[]", name) for name in names]

    def _dimensions(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was asked for: a key that was not asked for is null as well, which is not the Console."""
        names = {value for _, value in self._groups()}
        return {name: row.get(name) for name in names}

    def _only_workspaces(self) -> list[tuple[str, str]]:
        """The default workspace has no id to ask for, so with it all are read and the others left out."""
        wanted = self.values.get("workspaces") or []
        return [] if DEFAULT_WORKSPACE in wanted else [("workspace_ids[]", name) for name in wanted]

    def _is_wanted(self, dimensions: Mapping[str, Any]) -> bool:
        wanted = self.values.get("workspaces") or []
        return not wanted or str(dimensions.get("workspace_id") or DEFAULT_WORKSPACE) in wanted

    def _pages(self, path: str, params: Pairs) -> Iterator[Mapping[str, Any]]:
        return READ.pages(lambda at: self._page(self.http, path, [*params, *([("page", at)] if at else [])]))

    def _page(self, http: HttpClient, path: str, params: Pairs) -> Mapping[str, Any]:
        base = (self.values.get("address") or BASE).rstrip("/")
        key = self.values["admin_key"]
        headers = {"x-api-key": key, "anthropic-version": VERSION}
        if path.startswith("analytics/"):
            headers = {
                "Authorization": f"Bearer {key}",
                "anthropic-version": ANALYTICS_VERSION,
                "anthropic-beta": ANALYTICS_BETA,
            }
        answer = http.get(f"{base}/v1/organizations/{path}", params=params, headers=headers, hints=HINTS)
        document = READ.mapping(answer.json(), "it")
        READ.sequence(document.get("data"), "its list of data")
        return document


def _whole(start: datetime, group: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a sum and its parts have in common."""
    return (start, *(group.get(name) for name in ("model", "workspace_id", "service_tier")))


def _span(window: Window) -> list[tuple[str, str]]:
    return [("starting_at", _rfc3339(window.start)), ("ending_at", _rfc3339(window.end))]


def _rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _whole_days(window: Window) -> Window:
    """The UTC days that the window touches."""
    return Window(_midnight(window.start), _midnight(window.end + DAY - timedelta(microseconds=1)))
