"""What people bring: each says what to do, and nothing of it is counted that cannot be."""

from __future__ import annotations

import gzip
from decimal import Decimal

import pytest

from accounts.access import Asker
from metrics.actions.imports import upload
from metrics.errors import RuleViolation
from metrics.models import BillingImport, ImportChunk, ImportedCharge, UsageHour
from tests.metrics.billing_files import billed, bring, csv_of, focus_row, gzipped, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]

GOOD = csv_of([focus_row(BilledCost="1.00"), focus_row(BilledCost="2.00")])
LARGE = csv_of([focus_row(BilledCost=f"0.{n:04}", ResourceId=f"r{n * 7919}") for n in range(3000)])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty"),
        (gzip.compress(b"", mtime=0), "Unpacked, the file is empty"),
        (b"\n\n\n", "nothing but empty lines"),
        (gzipped(GOOD)[:-40], "cut short"),
        (b"\x1f\x8b" + b"nonsense" * 20, "gzip file is damaged"),
        (b"PK\x03\x04" + b"x" * 50, "ZIP archive or an Excel workbook"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 50, "zstd"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><title>Sign in</title>", "sign-in page"),
        (b'{"records": []}', "JSON"),
        (b"PAR1" + b"x" * 100, "cut short"),
        (b"PAR1" + b"x" * 100 + b"PAR1", "Parquet file cannot be read"),
        (GOOD.decode().replace("Example", "Exämple").encode("latin-1"), "not UTF-8: byte 0xE4"),
        (b"day,day\n1,2\n", "Two columns are called 'day'"),
        (b"day,,cost\n1,2,3\n", "A column has no name"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(adam, data, words):
    with pytest.raises(RuleViolation, match=words):
        upload(Asker(user=adam), pieces=[data], name="bill")
    assert not BillingImport.objects.exists()
    assert not ImportChunk.objects.exists()


@pytest.mark.parametrize("missing", ["BilledCost", "BillingCurrency", "ChargePeriodStart"])
def test_focus_without_a_needed_column_names_it(adam, missing):
    rows = [{name: value for name, value in focus_row().items() if name != missing}]
    with pytest.raises(RuleViolation, match=f"FOCUS 1.2 without {missing}"):
        upload(Asker(user=adam), pieces=[csv_of(rows)], name="bill.csv")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (GOOD.splitlines(keepends=True)[0], "a header and no rows"),
        (csv_of([focus_row(BilledCost="NaN")]), "None of its 1 rows can count. Row 2: BilledCost: 'NaN'"),
        (gzipped(LARGE)[:-200], "cut short"),
        (LARGE + b'"never closed' + b"x" * 200_000, "Is a quotation mark not closed"),
        (LARGE + "ä".encode("latin-1"), "not UTF-8"),
    ],
)
def test_what_shows_while_it_is_read_fails_whole(adam, data, words):
    one = bring(adam, data)
    assert one.state == "failed"
    assert words in one.problem
    assert not UsageHour.objects.exists()
    assert not ImportedCharge.objects.exists()
    assert not ImportChunk.objects.exists()


@pytest.mark.parametrize(
    ("cells", "code", "words"),
    [
        ({"BilledCost": "NaN"}, "not_an_amount", "BilledCost: 'NaN'"),
        ({"BilledCost": "Infinity"}, "not_an_amount", "Infinity"),
        ({"BilledCost": "-inf"}, "not_an_amount", "-inf"),
        ({"BilledCost": ""}, "amount_missing", "BilledCost is empty"),
        ({"BilledCost": "1,234.50"}, "not_an_amount", "1,234.50"),
        ({"BilledCost": "=SUM(A1:A9)"}, "not_an_amount", "=SUM(A1:A9)"),
        ({"BilledCost": "1_000"}, "not_an_amount", "1_000"),
        ({"BilledCost": "1e12"}, "out_of_range", "10^12"),
        ({"EffectiveCost": "x"}, "not_an_amount", "EffectiveCost"),
        ({"BillingCurrency": "XBT"}, "unknown_currency", "XBT"),
        ({"BillingCurrency": ""}, "currency_missing", "BillingCurrency is empty"),
        ({"ChargePeriodStart": "yesterday"}, "not_a_time", "yesterday"),
        ({"ChargePeriodStart": ""}, "time_missing", "ChargePeriodStart is empty"),
        ({"ChargePeriodStart": "2019-01-01T00:00:00Z"}, "too_old", "2019-01-01"),
        ({"ChargePeriodStart": "2190-01-01T00:00:00Z"}, "in_the_future", "2190-01-01"),
        ({"ChargePeriodEnd": "2026-10-01T00:00:00Z"}, "period_backwards", "ends before it starts"),
        ({"ChargeCategory": "Gift"}, "unknown_category", "Gift"),
        ({"Tags": "team=a"}, "not_an_object", "Tags"),
        ({"Tags": "[1]"}, "not_an_object", "Tags"),
        ({"ConsumedQuantity": "many"}, "not_a_number", "many"),
        ({"SkuId": "a\0b"}, "bad_text", "U+0000"),
    ],
)
def test_a_bad_row_is_listed_and_nothing_else_is_lost(adam, cells, code, words):
    one = bring(adam, csv_of([focus_row(BilledCost="1.00"), focus_row(**cells), focus_row(BilledCost="2.00")]))
    assert one.state == "done"
    assert [(row["index"], row["code"]) for row in one.rejected] == [(3, code)]
    assert words in one.rejected[0]["detail"]
    assert one.receipt.rejected == one.rejected
    assert billed() == Decimal("3.00")


def test_rows_with_too_few_or_many_cells_are_listed(adam):
    one = bring(adam, GOOD + b"1,2,3\n" + GOOD.splitlines()[1] + b",more\n")
    assert [row["code"] for row in one.rejected] == ["broken_row", "broken_row"]
    assert one.rows_rejected == 2
    assert billed() == Decimal("3.00")


def test_exponents_offsets_and_spaces_are_read(adam):
    one = bring(adam, csv_of([focus_row(BilledCost=" 1.5E-3 ", ChargePeriodStart="2026-10-05T02:00:00+02:00")]))
    assert one.rows_rejected == 0
    assert billed() == Decimal("0.0015")


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16"), ("|", "utf-8")]
)
def test_separators_and_encodings(adam, delimiter, encoding):
    data = csv_of([focus_row(BilledCost="1.00", BillingAccountName="Größe")], delimiter=delimiter)
    one = bring(adam, data.decode().encode(encoding))
    assert one.state == "done"
    assert one.periods.get().account_name == "Größe"
    assert billed() == Decimal("1.00")


def test_a_bomb_is_put_down_before_it_unfolds(adam, settings):
    settings.IMPORT_MAX_UNPACKED_BYTES = 2 * 1024 * 1024
    bomb = gzip.compress(GOOD + b"," * 57 * 1024 * 1024)
    assert len(bomb) < 200_000
    with pytest.raises(RuleViolation, match="larger than 2 MiB"):
        bring(adam, bomb)
    many = bring(adam, gzip.compress(GOOD + GOOD.splitlines(keepends=True)[1] * 10_000))
    assert many.state == "failed"
    assert "larger than 2 MiB" in many.problem
    settings.IMPORT_MAX_UNPACKED_BYTES, settings.IMPORT_MAX_ROWS = 2**30, 100
    assert "more than 100 rows" in bring(adam, LARGE).problem


def test_a_dropped_upload_is_asked_for_again(adam):
    one = upload(Asker(user=adam), pieces=[GOOD], name="bill.csv", is_confirmed=True).one
    ImportChunk.objects.all().delete()
    one = run(one)
    assert one.state == "failed"
    assert "Choose it again" in one.problem
    # A failed file is no repeat.
    assert bring(adam, GOOD).state == "done"


def test_without_the_parquet_reader_the_command_is_named(adam, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "arro3.io", None)
    with pytest.raises(RuleViolation, match="pip install -r requirements-parquet.txt"):
        upload(Asker(user=adam), pieces=[b"PAR1" + b"x" * 100 + b"PAR1"], name="bill.parquet")


def test_litellms_one_request_a_row_is_not_a_count(adam):
    row = focus_row(BillingAccountType="API Key", ConsumedUnit="Requests", ConsumedQuantity="1.000000")
    one = bring(adam, csv_of([row]))
    assert any("LiteLLM" in text for text in one.notes)
    assert UsageHour.objects.get().requests is None
