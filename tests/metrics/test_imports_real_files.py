"""Files that others make: focus-data-toolkit's for three clouds, 1.2 to 1.4, and Parquet with vendors' types."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from metrics import checking
from metrics.actions.imports import Choices
from metrics.models import UsageHour
from tests.metrics.billing_files import bring, gzipped

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]

TOOL = Path(sys.executable).with_name("focus-toolkit")
ALL = Choices(services=["*"])
PARQUET = Path(__file__).parent.parent / "data" / "focus_1_2_aws.parquet"


def _run(*arguments: str) -> None:
    subprocess.run([str(TOOL), *arguments], check=True, capture_output=True)


def _by_hand(path: Path, column: str = "BilledCost") -> tuple[dict[str, Decimal], int]:
    """The file's money by month of use, tax aside, and its rows."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["ChargeCategory"] != "Tax":
            sums[row["ChargePeriodStart"][:7]] += Decimal(row[column])
    return dict(sums), len(rows)


def _counted() -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for hour in UsageHour.objects.exclude(billed_cost=None):
        sums[f"{hour.hour:%Y-%m}"] += hour.billed_cost
    return dict(sums)


def _same(counted: dict[str, Decimal], by_hand: dict[str, Decimal]) -> None:
    """Hours keep 10 decimals, these files up to 14."""
    assert set(counted) == {month for month, amount in by_hand.items() if amount or month in counted}
    for month, amount in counted.items():
        assert abs(amount - by_hand[month]) < Decimal("0.000001"), month


@pytest.mark.parametrize("provider", ["aws", "azure", "gcp"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_generated_files_of_three_clouds(adam, tmp_path, provider, version):
    _run("generate", "--provider", provider, "--focus-version", version, "--rows", "400", "--out", str(tmp_path))
    path = next(tmp_path.glob("*cost_and_usage*.csv"))
    by_hand, rows = _by_hand(path)
    one = bring(adam, gzipped(path.read_bytes()), name=f"{path.name}.gz", choices=ALL)
    assert one.state == "done", one.problem
    assert one.focus_version == version
    assert (one.rows_read, one.rows_rejected) == (rows, 0), one.rejected
    _same(_counted(), by_hand)
    assert checking.check() == []


def test_a_file_that_was_converted_to_1_4(adam, tmp_path):
    _run("generate", "--provider", "aws", "--focus-version", "1.3", "--rows", "300", "--out", str(tmp_path))
    source = next(tmp_path.glob("*cost_and_usage*.csv"))
    _run(
        "convert",
        "--cost-and-usage",
        str(source),
        "--out",
        str(tmp_path / "new"),
        "--mode",
        "synthetic",
        "--exit-policy",
        "pipeline",
    )
    path = next((tmp_path / "new").glob("*cost_and_usage*.csv"))
    by_hand, rows = _by_hand(path)
    one = bring(adam, path.read_bytes(), choices=ALL)
    assert one.focus_version == "1.4"
    assert (one.rows_read, one.rows_rejected) == (rows, 0), one.rejected
    assert {s.provider for s in one.source.backend.series.all()} == {"aws"}
    _same(_counted(), by_hand)


def test_the_effective_cost_of_a_real_file(adam, tmp_path):
    _run("generate", "--provider", "azure", "--focus-version", "1.2", "--rows", "300", "--out", str(tmp_path))
    path = next(tmp_path.glob("*cost_and_usage*.csv"))
    bring(adam, path.read_bytes(), choices=Choices(services=["*"], cost="effective"))
    _same(_counted(), _by_hand(path, "EffectiveCost")[0])


def test_another_focus_dataset_is_not_taken_for_cost_and_usage(adam, tmp_path):
    from accounts.access import Asker
    from metrics.actions.imports import upload

    _run("generate", "--provider", "aws", "--focus-version", "1.3", "--rows", "100", "--out", str(tmp_path))
    path = next(tmp_path.glob("*contract_commitment*.csv"))
    one = upload(Asker(user=adam), pieces=[path.read_bytes()], name=path.name).one
    assert one.state == "mapping"


def test_parquet_with_decimals_times_maps_and_dictionaries(adam):
    one = bring(adam, PARQUET.read_bytes(), name=PARQUET.name, choices=ALL)
    assert one.state == "done", one.problem
    assert (one.rows_read, one.rows_rejected) == (40, 0), one.rejected
    assert one.container == "Parquet"
    assert sum(_counted().values()).quantize(Decimal("0.000001")) == Decimal("482.848083")
    # Environment is a map's key there.
    assert {s.labels.get("environment") for s in one.source.backend.series.all()} & {"prod", "dev", "staging", "test"}


def test_parquet_and_csv_of_the_same_rows_say_the_same(adam, tmp_path):
    from benchmarks.imports import write_csv, write_parquet

    write_csv(tmp_path / "a.csv", "1.4", 500)
    assert write_parquet(tmp_path / "a.parquet", "1.4", 500)
    first = bring(adam, (tmp_path / "a.csv").read_bytes())
    entries = first.receipt.entries.count()
    second = bring(adam, (tmp_path / "a.parquet").read_bytes())
    assert entries
    assert (second.rows_accepted, second.receipt.entries.count()) == (500, 0)
