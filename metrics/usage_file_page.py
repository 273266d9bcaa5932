"""What the page of a file of usage shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext

from accounts.access import Asker
from metrics.actions.usage import can_reverse
from metrics.actions.usage_files import can_change_file
from metrics.format import TAKES
from metrics.models import Receipt, UsageFile
from metrics.usage_file_sums import OTHERS, FileSums, Line

State = UsageFile.State
# Lines of sums that the page shows; the rest adds up in one.
SHOWN_LINES = 25


@dataclass(frozen=True, slots=True)
class SumLine:
    """Sums of what counts alike. A name is empty where there is none; money as (amount, currency)."""

    roadmap: str
    backend: str
    provider: str
    model: str
    requests: int | None
    errors: int | None
    input_tokens: int | None
    output_tokens: int | None
    money: list[tuple[Decimal, str]]
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column of the file: the field that it holds, and what that takes."""

    name: str
    field: str
    takes: str


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One of the first rows: what it counts as (roadmap, backend, hour, requests), or why it does not."""

    line: int
    cells: list[str]
    roadmap: str
    backend: str
    hour: datetime | None
    requests: int
    detail: str


@dataclass(frozen=True, slots=True)
class UsageFilePage:
    """A file, and all that is shown of it."""

    one: UsageFile
    may_change: bool
    can_take_back: bool
    columns: list[ColumnRow]
    sample: list[SampleRow]
    lines: list[SumLine]
    total: SumLine
    sums: FileSums
    receipts: list[Receipt]
    see: str | None

    @property
    def done_share(self) -> float:
        """How far the work of its state is, 0 to 1."""
        if self.one.state == State.TAKING_BACK:
            return sum(one.is_void for one in self.receipts) / max(1, len(self.receipts))
        return self.one.read_share


def usage_file_page(asker: Asker, one: UsageFile) -> UsageFilePage:
    """The page of a file that the asker may see."""
    sums = FileSums.of(one.sums)
    receipts = list(Receipt.objects.select_related("workload").filter(pk__in=one.receipts).order_by("pk"))
    may_change = can_change_file(asker, one)
    standing = [receipt for receipt in receipts if not receipt.is_void]
    slugs = {receipt.workload.slug if receipt.workload else None for receipt in receipts}
    return UsageFilePage(
        one=one,
        may_change=may_change,
        can_take_back=may_change
        and one.state == State.DONE
        and bool(standing)
        and all(can_reverse(asker, receipt) for receipt in standing),
        columns=[_column(name, field) for name, field in one.columns],
        sample=[_sample(row) for row in one.sample],
        lines=_lines(sums),
        total=_line(OTHERS, sums.total),
        sums=sums,
        receipts=receipts,
        see=slugs.pop() if len(slugs) == 1 else None,
    )


def files_of(receipts: Sequence[Receipt]) -> dict[int, UsageFile]:
    """The files that these receipts came from, by receipt."""
    ids = [receipt.pk for receipt in receipts]
    files = UsageFile.objects.filter(receipts__overlap=ids).only("uuid", "name", "receipts") if ids else ()
    return {pk: one for one in files for pk in one.receipts if pk in ids}


def _column(name: str, field: str) -> ColumnRow:
    if field.startswith("labels."):
        return ColumnRow(name, field, gettext("the label '%(name)s'") % {"name": field.removeprefix("labels.")})
    return ColumnRow(name, field, TAKES[field])


def _sample(row: dict) -> SampleRow:  # type: ignore[type-arg]
    counts = row["counts"] or {}
    return SampleRow(
        line=row["line"],
        cells=row["cells"],
        roadmap=counts.get("roadmap", ""),
        backend=counts.get("backend", ""),
        hour=datetime.fromisoformat(counts["hour"]) if counts else None,
        requests=counts.get("requests", 0),
        detail=row["detail"],
    )


def _lines(sums: FileSums) -> list[SumLine]:
    """The largest first; what is not shown adds up in the last."""
    held = dict(sums.lines)
    rest = held.pop(OTHERS, None) or Line()
    ordered = sorted(held.items(), key=lambda item: (-item[1].counts.get("requests", 0), item[0]))
    for _, line in ordered[SHOWN_LINES:]:
        rest.add(line.counts, line.money)
    shown = [_line(key, line) for key, line in ordered[:SHOWN_LINES]]
    return [*shown, _line(OTHERS, rest, is_rest=True)] if rest.counts else shown


def _line(key: tuple[str, str, str, str], line: Line, *, is_rest: bool = False) -> SumLine:
    counts = line.counts
    return SumLine(
        *key,
        requests=counts.get("requests"),
        errors=counts.get("errors"),
        input_tokens=counts.get("input_tokens"),
        output_tokens=counts.get("output_tokens"),
        money=[(amount, currency) for currency, amount in sorted(line.money.items())],
        is_rest=is_rest,
    )
