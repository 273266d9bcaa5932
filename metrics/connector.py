"""The contract of everything that can be pulled from. Holds no Django, no vendor and no HTTP of its own.

A connector knows one kind of backend. There are two kinds of connector:

- `StatementConnector`: `fetch(window)` yields what the provider says of a window of closed hours: sums of usage, cost
  statements and percentiles. The pull compares it with what its own feed holds and posts the difference, so fetching
  twice adds nothing and a restatement is visible.
- `CounterConnector`: `sample()` reads counters that only grow. The pull keeps the last point of each stream and posts
  `counter_differences` (metrics/counters.py) between the two.

A connector
- SHALL declare `kind`, `title`, `summary`, `group`, `needs`, `who_gives`, `shows`, `parameters`, `reports`,
  `not_offered`, `measured_at`, `provider` and `finest_grain`; the form, the page 'What do you have?' and the docs test
  draw on them.
- SHALL name in `group` the answer to 'What do you have?' under which it is offered: `Group.GATEWAY`, `SERVER`,
  `PROMETHEUS`, `PROVIDER` (an admin key) or `FILE` (a billing file). Within a group the registry's order holds.
- SHALL implement its one required method, and raise `ConnectorError` and nothing else for whatever the source does.
- SHALL leave a measure out of `UsageCell.sums` where the source did not report it: absent is unknown, zero is zero.
- SHALL report `input_tokens` with cached and cache-write tokens inside, in whole counts, and money as Decimal.
- SHALL give latencies that the source tells one by one as counts in our own buckets (`UsageCell.windows`, folded with
  `metrics.request_hours.RequestHours`), and buckets of the source as they are (`UsageCell.histograms`): percentiles of
  the first are exact to 2.5%, of the second they are the source's bucket.
- SHALL end `fetch` with an exception unless the window was read to its end. What was yielded before it is dropped.
- SHALL yield at most one statement per period, model, project, tier, category and description, and only cells whose
  hour lies in the window. Several cells of one key and hour are added up by the caller. What is known of a UTC day only
  (`finest_grain` "day") lies in its hour 12:00 (`window.noons()`), the whole day's sum.
- SHALL yield at most one percentile per key, period, measure and percent, its period within the window. A source that
  has only percentiles yields them as `PercentileStatement` and leaves the histogram measure out of `reports`; its mean,
  where it has one, goes into the cell's sums.
- SHALL talk to the network through `self.http` alone, which checks addresses and redacts what it was told is secret.
- SHALL yield `NotStated` for hours of which the source keeps nothing any more (dropped, out of its retention), so that
  they are not taken for hours without usage: what was read of them before stays.
- SHALL keep no state between calls that it cannot do without, and import no other connector.
- SHALL give a stream of counters the same id for as long as it means the same thing, whatever the order of labels.
- SHOULD say in `not_offered`, for each measure that it does not report, what to do instead.
- SHOULD tell permanent errors (wrong key, wrong address) from transient ones (time-out, 429, 5xx), with a hint.
- SHOULD make `test()` answer within 20 seconds in words for someone who has never seen the source.
- MAY implement `discover()`, which finds servers, models or replicas that each become a backend, and `label_names()`,
  what the source calls projects and workspaces whose ids are labels.
- MAY narrow `reports`, `not_offered`, `measured_at`, `provider` and `pace` in an instance, where they depend on its
  parameters; `history` in a class method, since the form asks before anything is connected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from metrics.errors import RuleViolation
from metrics.meter import History, Pace
from metrics.packages import missing_text
from metrics.parameter import Parameter
from metrics.usage import ForeignHistogram, MeasuredAt, SeriesKey, UsageCell
from metrics.windows import Window
from metrics.words import N_, phrase

if TYPE_CHECKING:
    from metrics.http import HttpClient

Clock = Callable[[], datetime]
CounterValue = int | Decimal | ForeignHistogram


# What an offer shows, word by word (`Connector.shows`).
SHOWN = (N_("cost"), N_("tokens"), N_("requests"), N_("errors"), N_("latency"), N_("energy"))


class Group(StrEnum):
    """The answers to 'What do you have?', in the order of the page (metrics/views/offers.py has their words)."""

    GATEWAY = "gateway"
    SERVER = "server"
    PROMETHEUS = "prometheus"
    PROVIDER = "provider"
    FILE = "file"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CostStatement:
    """What a provider says that it charges for [start, end), aware UTC.

    `amount` in major units of `currency` (ISO 4217, upper case); negative for a credit. `model`, `project` (or
    workspace) and `service_tier` say what it covers, None where it covers all of them. `charge_category` is FOCUS's:
    Usage, Purchase, Tax, Credit or Adjustment.
    """

    start: datetime
    end: datetime
    amount: Decimal
    currency: str
    model: str | None = None
    project: str | None = None
    charge_category: str = "Usage"
    description: str = ""
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class PercentileStatement:
    """A percentile that the source itself states of one series in [start, end), aware UTC, on full hours.

    `measure` is a name of HISTOGRAM_MEASURES, `percent` lies between 0 and 100 ('95', '99.9'), `value_ms` is in
    milliseconds and not negative. `count`: the requests that it rests on, None where the source does not say.
    It is shown as the source's and never merged, averaged or shared out, so it must be of the whole series `key`:
    give cells of usage the same key where they are as fine, else a coarser key of its own.
    """

    key: SeriesKey
    start: datetime
    end: datetime
    measure: str
    percent: Decimal
    value_ms: Decimal
    count: int | None = None


@dataclass(frozen=True, slots=True)
class CounterPoint:
    """One reading of one counter.

    `measure` is an additive measure or the name of a histogram; `value` counts since the counter's start, in the
    measure's unit. `started_at`: when it started from zero, None where the source does not say. `process` names the
    process behind it: where it does not say when counters started, one that restarts speaks for all. `at`: when read.
    `is_gauge`: it rises and falls (a share of time busy, power in watts), and is weighted with time. `currency`: of
    money.
    """

    stream: str
    key: SeriesKey
    measure: str
    value: CounterValue
    at: datetime
    started_at: datetime | None = None
    process: str = ""
    is_gauge: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """All counters of a backend as read at `at`.

    `problems` are sentences about parts that could not be read (one address of several); their streams are absent, and
    count on from their last point when they come back.
    """

    at: datetime
    points: tuple[CounterPoint, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotStated:
    """Hours [start, end) of a fetched window of which the source knows nothing any more, unlike hours without usage.

    What the feed holds of them stays. Cells yielded for them count only where the feed holds nothing of that series
    and hour. `is_to_come`: the source knows nothing of them yet (it states whole days, or names its watermark); figures
    end where they start, and the next pull asks again.
    """

    start: datetime
    end: datetime
    is_to_come: bool = False


# What a source of statements says.
Stated = UsageCell | CostStatement | PercentileStatement | NotStated

TestTone = Literal["ok", "bad", "info"]


@dataclass(slots=True)
class TestResult:
    """What Test connection found, in words. `ok`: a pull would bring figures. `lines`: (tone, sentence)."""

    __test__ = False  # not a test class for pytest

    ok: bool = True
    lines: list[tuple[TestTone, str]] = field(default_factory=list)

    def good(self, text: str) -> None:
        self.lines.append(("ok", text))

    def bad(self, text: str) -> None:
        self.ok = False
        self.lines.append(("bad", text))

    def info(self, text: str) -> None:
        self.lines.append(("info", text))


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something found by `discover` that can become a backend of the same kind.

    `parameters` are complete but for the secrets, which are taken from the form that asked. `detail` says what it is.
    """

    name: str
    parameters: dict[str, Any]
    detail: str = ""


class Connector(ABC):
    """What both kinds share. `parameters` have passed `clean_parameters`; `clock` returns the aware UTC time."""

    kind: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    group: ClassVar[Group]
    needs: ClassVar[str]
    who_gives: ClassVar[str]
    shows: ClassVar[tuple[str, ...]]  # of: cost, tokens, requests, errors, latency
    parameters: ClassVar[tuple[Parameter, ...]]
    reports: frozenset[str]
    not_offered: Mapping[str, str]
    finest_grain: ClassVar[Literal["hour", "day"]] = "hour"
    trailing_hours: ClassVar[int] = 0
    settling_hours: ClassVar[int] = 24
    pace: Pace = Pace()
    can_discover: ClassVar[bool] = False
    # Modules of vendors that it needs, and the requirements file that brings them (metrics/packages.py).
    packages: ClassVar[tuple[str, ...]] = ()
    packages_file: ClassVar[str] = ""
    measured_at: MeasuredAt = MeasuredAt.SERVER
    provider: str = ""

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Clock) -> None:
        self.values = dict(parameters)
        self.http = http.with_secrets(self.secrets(self.values))
        self.clock = clock

    @classmethod
    def parameter(cls, name: str) -> Parameter:
        return next(parameter for parameter in cls.parameters if parameter.name == name)

    @classmethod
    def clean_parameters(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters in their types. Raises RuleViolation for the first that is wrong or unknown, and for a
        vendor's package that is not installed, so that nothing is tried or saved without it."""
        missing = cls.missing()
        if missing:
            raise RuleViolation("package_missing", missing)
        unknown = sorted(set(values) - {parameter.name for parameter in cls.parameters})
        if unknown:
            raise RuleViolation(
                "unknown_parameter",
                phrase("%(title)s does not know %(names)s.", title=cls.title, names=", ".join(unknown)),
                unknown[0],
            )
        cleaned = {parameter.name: parameter.clean(values.get(parameter.name)) for parameter in cls.parameters}
        cls.check_parameters(cleaned)
        return cleaned

    @classmethod
    def missing(cls) -> str:
        """Say what has to be installed for this kind, with the command; empty where all is there."""
        return missing_text(cls.title, cls.packages, cls.packages_file)

    @classmethod  # noqa: B027 - most connectors have no such rule
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        """Refuse combinations of values; a connector that has such rules overrides it. Raises RuleViolation."""

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        """Return `reports` and `not_offered` of a backend with these parameters, without connecting."""
        return cls.reports, cls.not_offered

    @classmethod
    def secrets(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what must never be shown, from values of the secret kinds ('Name: value' lines give the value too)."""
        found: list[str] = []
        for parameter in cls.parameters:
            value = values.get(parameter.name)
            if not parameter.is_secret or not value:
                continue
            for line in [value] if isinstance(value, str) else value:
                found.append(line)
                _, colon, rest = line.partition(":")
                if colon and rest.strip():
                    found.append(rest.strip())
                    found.extend(word for word in rest.split() if len(word) > 7)
        return tuple(found)

    @abstractmethod
    def test(self) -> TestResult:
        """Say in words what works and what does not; never raises for what the source does."""

    def label_names(self) -> Mapping[str, Mapping[str, str]]:
        """Return what the source calls the values of its labels: {'project': {'proj_a1': 'Claims'}}.

        Names are shown beside the ids and tell no series apart, since they change. Raises ConnectorError, which is no
        failure of a pull: the key may read usage and not this.
        """
        return {}

    def discover(self) -> Sequence[Candidate]:
        """Return what else can be added from here. Raises ConnectorError."""
        return ()


class StatementConnector(Connector):
    """A source that states what happened in a window, again and again.

    `trailing_hours` are read again at each pull, since providers restate; `daily_trailing_hours` once a UTC day, where
    bills move for longer than that (0: never). `settling_hours` after a period's end its statement counts as final. An
    admin may change the three for one backend, within bounds. A backfill asks for `backfill_step_days` at a time: as
    many (at most 31) as the source answers well within a minute. `fetch` may be asked for windows of any length.
    """

    trailing_hours: ClassVar[int] = 72
    # For a source that charges for each question about costs: the pull sets `costs_are_due` False where it has asked
    # today already, and `fetch` then leaves the statements out.
    asks_costs_once_a_day: ClassVar[bool] = False
    costs_are_due: bool = True
    daily_trailing_hours: ClassVar[int] = 0
    backfill_step_days: ClassVar[int] = 7

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        """Return how far back a source with these parameters (perhaps none yet) answers, without connecting."""
        return History()

    @abstractmethod
    def fetch(self, window: Window) -> Iterator[Stated]:
        """Yield what the source says of the window, UTC hours; its end without an exception means: read to its end."""


class CounterConnector(Connector):
    """A source whose counters grow from the start of a process. `settling_hours` has no meaning for it."""

    settling_hours: ClassVar[int] = 0

    @abstractmethod
    def sample(self) -> Sample:
        """Read all counters now. Raises ConnectorError where none could be read."""
