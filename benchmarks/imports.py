"""Billing files of 100,000 rows: `bin/bench imports`, and a part of `bin/bench pull`.

Each case is read and counted in a process of its own, as by a worker, so that its memory is its own: FOCUS 1.2
as CSV, 1.4 as CSV with gzip, 1.4 as Parquet. Rows are an hour, one of 40 models, a direction of tokens and one of 12
projects each, over a month; one in ten is of another service.
"""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.stack import Report, Stack

ROWS = 100_000
START = datetime(2026, 10, 1, tzinfo=UTC)
MOST_SECONDS, MOST_MIB = 10.0, 300
COLUMNS = [
    "file",
    "rows",
    "seconds",
    "read s",
    "count s",
    "own CPU s",
    "peak MiB",
    "entries",
    "again: new entries",
    "taken back: left",
]


def rows(version: str, count: int) -> Iterator[dict[str, str]]:
    """FOCUS rows of a made-up provider."""
    from metrics.focus import COLUMNS as COLUMNS_BY_VERSION

    empty = dict.fromkeys(COLUMNS_BY_VERSION[version], "")
    directions = ("Input Tokens", "Output Tokens", "Cached Input Tokens")
    for number in range(count):
        start = START + timedelta(hours=number * 7 % 744)
        model, project = number * 13 % 40, number * 5 % 12
        row = empty | {
            "BilledCost": f"{(number % 997) / 1000:.10f}",
            "EffectiveCost": f"{(number % 997) / 1000:.10f}",
            "ListCost": "1",
            "ContractedCost": "1",
            "BillingAccountId": "org-bench",
            "BillingAccountName": "Bench",
            "BillingCurrency": "USD",
            "BillingPeriodStart": "2026-10-01T00:00:00Z",
            "BillingPeriodEnd": "2026-11-01T00:00:00Z",
            "ChargeCategory": "Usage",
            "ChargeDescription": f"model-{model} {directions[number % 3]}",
            "ChargePeriodStart": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ChargePeriodEnd": (start + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "InvoiceIssuerName": "Bench AI",
            "ServiceCategory": "AI and Machine Learning" if number % 10 else "Storage",
            "ServiceName": "Inference" if number % 10 else "Files",
            "SkuId": f"model-{model}",
            "SkuMeter": directions[number % 3],
            "SubAccountId": f"proj-{project}",
            "SubAccountName": f"Project {project}",
            "ConsumedQuantity": str(number % 9973),
            "ConsumedUnit": "1K Tokens",
            "Tags": json.dumps({"team": f"team-{number % 9}", "request": f"r-{number}"}),
            "ResourceId": f"arn:bench:{number}",
        }
        for name in ("ProviderName", "PublisherName", "ServiceProviderName"):
            if name in empty:
                row[name] = "Bench AI"
        yield row


def total(count: int) -> Decimal:
    """What counts of so many rows: one in ten is storage."""
    return sum((Decimal(n % 997) / 1000 for n in range(count) if n % 10), Decimal(0))


def write_csv(path: Path, version: str, count: int) -> None:
    text = io.StringIO()
    writer = None
    for row in rows(version, count):
        writer = writer or csv.DictWriter(text, list(row))
        if not text.tell():
            writer.writeheader()
        writer.writerow(row)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, 6) if path.suffix == ".gz" else data)


def write_parquet(path: Path, version: str, count: int) -> bool:
    """The same as Parquet; False where the optional reader, which can write too, is not installed."""
    try:
        from arro3.core import Array, DataType, RecordBatch, RecordBatchReader
        from arro3.io import write_parquet
    except ImportError:
        return False
    columns: dict[str, list[str | None]] = {}
    for row in rows(version, count):
        for name, value in row.items():
            columns.setdefault(name, []).append(value or None)
    batch = RecordBatch.from_pydict({name: Array(values, DataType.utf8()) for name, values in columns.items()})
    write_parquet(RecordBatchReader.from_batches(batch.schema, [batch]), str(path))
    return True


def one_case(path: str) -> None:
    """In a process of its own: bring the file in, once more, take it back. One JSON object on the last line."""
    import django

    django.setup()
    from accounts.access import Asker
    from accounts.models import User
    from metrics import checking, importing
    from metrics.actions import imports
    from metrics.actions.usage import reverse_receipt
    from metrics.models import LedgerEntry, Receipt, UsageHour

    asker = Asker(user=User.objects.get(username="bench"))
    file = Path(path)

    def pieces() -> Iterator[bytes]:
        with file.open("rb") as opened:
            while piece := opened.read(65_536):
                yield piece

    began, worked = time.perf_counter(), time.process_time()
    one = imports.upload(asker, pieces=pieces(), name=file.name, is_confirmed=True).one
    while one is not None and one.state == "reading":
        one = importing.read_step(one.pk)
    read = time.perf_counter()
    one = importing.post_step(one.pk)
    ended = time.perf_counter()
    worked = time.process_time() - worked
    peak = _peak_mib()
    entries = LedgerEntry.objects.filter(receipt=one.receipt).count()
    before = LedgerEntry.objects.count()
    # What was there before, of other backends, is none of the file's.
    own = list(LedgerEntry.objects.filter(receipt=one.receipt).values_list("series_id", flat=True).distinct())
    hours = UsageHour.objects.filter(series__in=own, billed_cost__isnull=False)
    counted = sum(hour.billed_cost for hour in hours.only("billed_cost").iterator())
    again = imports.upload(asker, pieces=pieces(), name=file.name, is_confirmed=True)
    new = LedgerEntry.objects.count() - before
    findings = checking.check()
    reverse_receipt(asker, Receipt.objects.get(pk=one.receipt_id))
    left = hours.count()
    findings += checking.check()
    print(
        json.dumps(
            {
                "rows": one.rows_read,
                "accepted": one.rows_accepted,
                "seconds": ended - began,
                "read": read - began,
                "count": ended - read,
                "worked": worked,
                "peak": peak,
                "entries": entries,
                "counted": str(counted),
                "is_repeat": again.is_repeat,
                "new": new,
                "left": left,
                "findings": [finding.what for finding in findings],
            }
        )
    )


def _peak_mib() -> float:
    """The most memory that this process has held. Linux counts a child's ru_maxrss from its parent's at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(stack: Stack, count: int = ROWS) -> bool:
    """Measure on a started Stack and print the table; whether all cases are right and within their bounds."""
    from accounts.models import OrganisationRole, User

    User.objects.get_or_create(username="bench", defaults={"organisation_role": OrganisationRole.ADMIN})
    cases = [("FOCUS 1.2, CSV", "1.2", "bill.csv"), ("FOCUS 1.4, CSV, gzip", "1.4", "bill-14.csv.gz")]
    cases.append(("FOCUS 1.4, Parquet", "1.4", "bill.parquet"))
    is_good = True
    report = Report("imports", columns=COLUMNS)
    for title, version, name in cases:
        path = stack.var / name
        if path.suffix == ".parquet":
            if not write_parquet(path, version, count):
                continue
        else:
            write_csv(path, version, count)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.imports", "--case", str(path)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        report.row(
            title,
            found["rows"],
            found["seconds"],
            found["read"],
            found["count"],
            found["worked"],
            found["peak"],
            found["entries"],
            found["new"],
            found["left"],
        )
        is_right = (
            Decimal(found["counted"]) == total(count)
            and found["accepted"] == count
            and found["is_repeat"]
            and not found["new"]
            and not found["left"]
            and not found["findings"]
        )
        if not is_right:
            print(f"{title}: the figures are wrong: {found}", file=sys.stderr)
        is_good = is_good and is_right and found["seconds"] < MOST_SECONDS and found["peak"] < MOST_MIB
    kept = "kept" if is_good else "BROKEN"
    report.fact("bounds", f"under {MOST_SECONDS:.0f} s and {MOST_MIB} MiB a file: {kept}")
    report.finish()
    return is_good


def main() -> None:
    """Measures; ends with 1 where a bound is broken."""
    with Stack() as stack:
        is_good = measure(stack)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    if "--case" in sys.argv:
        one_case(sys.argv[sys.argv.index("--case") + 1])
    else:
        main()
