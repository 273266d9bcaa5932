"""OpenRouter's activity: what an account used and paid, by UTC day, model and workspace (GET /activity).

Completed UTC days of the last 30 only, so a day's sums lie in its hour 12:00. Money is in US dollars, as a number with
a fraction. There is no latency and no error here; a generation can be asked for by its id, and nothing lists ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from metrics.answers import Reader
from metrics.connector import CostStatement, Group, NotStated, StatementConnector, TestResult
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.meter import History, Pace
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import MeasuredAt, SeriesKey, UsageCell
from metrics.windows import DAY, NOON, Window
from metrics.words import N_, phrase

BASE = "https://openrouter.ai/api/v1"
KEPT_DAYS = 30
# Up to so many days are asked for one by one; more come in one answer, which has all that is kept.
DAYS_ONE_BY_ONE = 7
KEY_HINT = N_(
    "Make a management key: openrouter.ai, Settings, Management keys. Ordinary API keys cannot read the activity of an "
    "account."
)
HINTS = {401: KEY_HINT, 403: KEY_HINT}
READ = Reader("OpenRouter")
COUNTS = (
    ("requests", "requests"),
    ("prompt_tokens", "input_tokens"),
    ("cached_tokens", "cached_input_tokens"),
    # Reasoning tokens are among them.
    ("completion_tokens", "output_tokens"),
)
LEFT_OUT, COUNTED = "left_out", "counted"


class OpenRouter(StatementConnector):
    """An account's activity, or that of one of its keys."""

    kind = "openrouter"
    title = N_("OpenRouter")
    group = Group.GATEWAY
    summary = N_("Reads an account's activity and what it cost, by day, model and workspace.")
    needs = N_("A management key of the account; ordinary API keys cannot read its activity.")
    who_gives = N_("Whoever administers the OpenRouter account or organization.")
    shows = ("cost", "tokens", "requests")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "management_key", N_("Management key"), ParameterKind.SECRET, help=KEY_HINT, placeholder="sk-or-v1-..."
        ),
        Parameter(
            "api_key_hash",
            N_("Only this API key"),
            ParameterKind.TEXT,
            required=False,
            help=N_("The key's hash (64 letters and digits, from Keys). Empty: the whole account."),
        ),
        Parameter(
            "own_keys",
            N_("Requests with your own provider keys"),
            ParameterKind.CHOICE,
            required=False,
            default=LEFT_OUT,
            choices=(
                (LEFT_OUT, N_("their cost is on the provider's bill, which is a backend of its own or an import")),
                (COUNTED, N_("count what OpenRouter says that the provider charges for them")),
            ),
            help=N_(
                "What a provider charges to your own key is not paid to OpenRouter; in both places it counts twice."
            ),
        ),
        Parameter("address", N_("API address"), ParameterKind.URL, required=False, default=BASE),
    )
    reports = frozenset({"requests", "input_tokens", "cached_input_tokens", "output_tokens", "billed_cost"})
    not_offered: Mapping[str, str] = {
        "duration": N_("OpenRouter's activity has no latency: push it from the application."),
        "time_to_first_token": N_("OpenRouter's activity has no latency: push it from the application."),
        "errors": N_("OpenRouter's activity counts no errors: push them from the application."),
        "cache_write_input_tokens": N_(
            "OpenRouter's activity does not count tokens written to a cache; they are input."
        ),
    }
    finest_grain = "day"
    measured_at = MeasuredAt.GATEWAY
    provider = "openrouter"
    trailing_hours = 72
    settling_hours = 24
    backfill_step_days = 31
    # Nothing is published for management routes; a pull asks four times.
    pace = Pace(requests_a_minute=60)

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(days=KEPT_DAYS, says="OpenRouter forgets days after 30: what was not read by then is lost.")

    def fetch(self, window: Window) -> Iterator[UsageCell | CostStatement | NotStated]:
        today = self._today()
        oldest = today - KEPT_DAYS * DAY
        if window.start < oldest:
            yield NotStated(window.start, min(window.end, oldest))
        if window.end > today:
            yield NotStated(max(window.start, today), window.end, is_to_come=True)
        days = {noon.date() for noon in window.noons() if oldest <= noon < today}
        if not days:
            return
        totals: dict[tuple[date, str, str | None, str], Decimal] = {}
        for row in self._rows(days, is_oldest_among=oldest.date() in days):
            day = _day_of(row)
            if day not in days:
                continue
            yield UsageCell(key=_key(row), hour=_noon(day, today), sums=_sums(row))
            for description, amount in self._amounts(row):
                key = (day, _model(row), _workspace(row), description)
                totals[key] = totals.get(key, Decimal(0)) + amount
        for (day, model, workspace, description), amount in totals.items():
            start = _noon(day, today).replace(hour=0)
            yield CostStatement(
                start=start,
                end=start + DAY,
                amount=amount,
                currency="USD",
                model=model,
                project=workspace,
                charge_category="Credit" if amount < 0 else "Usage",
                description=description,
            )

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        day = (self._today() - DAY).date()
        try:
            rows = [READ.mapping(row, "a row") for row in self._ask(quick, [("date", day.isoformat())])]
            own = sum((READ.amount(row.get("byok_usage_inference") or 0) for row in rows), Decimal(0))
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        result.good(N_("Activity can be read.") if rows else N_("Activity can be read; yesterday is empty."))
        if own and self.values.get("own_keys") != COUNTED:
            result.info(
                phrase(
                    "Yesterday %(own)s USD went to providers through your own keys; they are not counted here.",
                    own=format(own, ".2f"),
                )
            )
        result.info(
            N_("OpenRouter states whole UTC days, once they have ended, and keeps 30 of them: pull at least daily.")
        )
        result.info(N_("Latency and errors are not available here: push them from the application."))
        return result

    def _today(self) -> datetime:
        return self.clock().replace(hour=0, minute=0, second=0, microsecond=0)

    def _rows(self, days: set[date], *, is_oldest_among: bool) -> Iterator[Mapping[str, Any]]:
        """Rows of these days, each once. The oldest day is not asked for by name: it may be forgotten meanwhile."""
        ways = [[]] if is_oldest_among or len(days) > DAYS_ONE_BY_ONE else [[("date", f"{d}")] for d in sorted(days)]
        for way in ways:
            try:
                rows = self._ask(self.http, [*way, ("group_by", "workspace")])
            except StatusError as error:
                # An account without workspaces.
                if error.status != 400:
                    raise
                rows = self._ask(self.http, way)
            yield from READ.distinct(READ.mapping(row, "a row") for row in rows)

    def _ask(self, http: HttpClient, params: Iterable[tuple[str, str]]) -> list[Any]:
        base = (self.values.get("address") or BASE).rstrip("/")
        headers = {"Authorization": f"Bearer {self.values['management_key']}"}
        only = [("api_key_hash", self.values["api_key_hash"])] if self.values.get("api_key_hash") else []
        document = http.get(f"{base}/activity", params=[*params, *only], headers=headers, hints=HINTS).json()
        return READ.sequence(READ.mapping(document, "it").get("data"), "its list of activity")

    def _amounts(self, row: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
        if row.get("usage") is not None:
            yield "", READ.amount(row["usage"], "usage")
        own = READ.amount(row.get("byok_usage_inference") or 0, "byok_usage_inference")
        if own and self.values.get("own_keys") == COUNTED:
            yield "paid to the provider with your own key", own


def _noon(day: date, today: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, NOON, tzinfo=today.tzinfo)


def _day_of(row: Mapping[str, Any]) -> date:
    """`date` is a day; some answers carry a time after it."""
    try:
        return date.fromisoformat(str(row.get("date"))[:10])
    except ValueError:
        raise READ.malformed("a row has no date") from None


def _model(row: Mapping[str, Any]) -> str:
    return str(row.get("model") or row.get("model_permaslug") or "unknown")


def _workspace(row: Mapping[str, Any]) -> str | None:
    found = row.get("workspace_id")
    return str(found) if found else None


def _key(row: Mapping[str, Any]) -> SeriesKey:
    workspace = _workspace(row)
    return SeriesKey("openrouter", _model(row), labels=(("workspace", workspace),) if workspace else ())


def _sums(row: Mapping[str, Any]) -> dict[str, int | Decimal]:
    sums: dict[str, int | Decimal] = {
        measure: READ.count(row[field], field) for field, measure in COUNTS if row.get(field) is not None
    }
    if "input_tokens" in sums and "cached_input_tokens" in sums:
        # Answers replayed from a cache may count them apart; a part is never more than the whole.
        sums["cached_input_tokens"] = min(sums["cached_input_tokens"], sums["input_tokens"])
    return sums
