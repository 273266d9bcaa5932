"""Usage as CSV: the columns are the fields, cells are never guessed, and what is wrong is said in a sentence."""

from __future__ import annotations

import errno
import gzip
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from metrics.format import FIELDS, Limits
from metrics.formats.usage_table import ALIASES, Columns
from metrics.models import Series, UsageHour

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMITS = Limits(now=NOW, oldest=datetime(2022, 1, 1, tzinfo=UTC), max_records=10_000)
AT = "2026-11-20T10:00:00Z"


@pytest.fixture
def post(api, alice, claims, monkeypatch):
    monkeypatch.setattr("metrics.actions.usage.timezone.now", lambda: NOW)
    client = api(alice, scopes=["push"], workload=claims)

    def _post(text, **more):
        body = text if isinstance(text, bytes) else text.encode()
        return client.post("/api/v1/usage", body, content_type="text/csv", **more)

    return _post


def read(cells: str, column: str, **options):
    """One record with this cell beside timestamp and model."""
    header = ["timestamp", "model", column] if column not in ("timestamp", "model") else ["timestamp", "model"]
    row = {"timestamp": AT, "model": "m", column: cells}
    return Columns.of(header, **options).batch([[row[name] for name in header]], LIMITS)


def test_rows_count_as_records_do(post):
    answer = post(
        "Model,timestamp,Input Tokens,requests,cost,currency,labels.team,provider\r\n"
        f"gpt-4o-mini,{AT},960000,1200,0.27,USD,claims,openai\r\n"
        f"gpt-4o-mini,{AT},40000,100,1.35E-05,USD,claims,openai\r\n"
    )
    assert answer.status_code == 201, answer.content
    assert (answer.json()["accepted"], answer.json()["warnings"]) == (2, [])
    row = UsageHour.objects.get()
    assert (row.requests, row.input_tokens, row.estimated_cost) == (1300, 1_000_000, Decimal("0.2700135000"))
    assert Series.objects.get().labels == {"team": "claims"}


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.replace("\n", "\r\n").encode() + b"\r\n\r\n",
    ],
    ids=["BOM", "UTF-16", "semicolons", "tabs", "Windows"],
)
def test_however_a_spreadsheet_saves_it(post, encode):
    answer = post(encode(f"timestamp,model,input_tokens\n{AT},m,5\n"))
    assert answer.status_code == 201, answer.content
    assert UsageHour.objects.get().input_tokens == 5


def test_gzip_in_either_way(post):
    packed = gzip.compress(f"timestamp,model,input_tokens\n{AT},m,5\n".encode())
    assert post(packed).json()["accepted"] == 1
    assert post(packed, headers={"Content-Encoding": "gzip"}).json()["accepted"] == 1


def test_the_same_file_again_counts_once(post):
    text = f"timestamp,model,input_tokens\n{AT},m,5\n"
    assert post(text).json() == post(text).json()
    assert UsageHour.objects.get().input_tokens == 5


def test_a_disk_without_room_is_a_503_and_the_repeat_counts(post, monkeypatch):
    body = f"timestamp,model,input_tokens\n{AT},m,5\n"

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("metrics.usage_files.tempfile.NamedTemporaryFile", full)
        answer = post(body)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "storage_down", "5")
    assert "disk" in answer.json()["detail"]
    assert post(body).json()["accepted"] == 1


def test_one_bad_row_loses_nobody_else(post):
    answer = post(f"timestamp,model,input_tokens\n{AT},m,5\n{AT},m,many\n{AT},m\n{AT},m,7\n").json()
    assert answer["accepted"] == 2
    assert [(row["index"], row["code"]) for row in answer["rejected"]] == [(1, "wrong_type"), (2, "malformed")]
    assert "has 2 cells, the header 3" in answer["rejected"][1]["detail"]


@pytest.mark.parametrize("row", [f"{AT},m,5\0", "today\0,m,5"], ids=["number", "time"])
def test_a_cell_that_the_database_cannot_keep_loses_nobody_else(post, row):
    answer = post(f"timestamp,model,input_tokens\n{AT},m,7\n{row}\n")
    assert answer.status_code == 201
    assert [one["index"] for one in answer.json()["rejected"]] == [1]
    assert UsageHour.objects.get().input_tokens == 7


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ("", 400, "empty_file", "empty"),
        ("timestamp,model\n", 400, "empty", "no row"),
        ("timestamp,model,prompt_tokens\n", 400, "unknown_column", "Is it 'input_tokens'? Then rename it"),
        ("timestamp,model,colour\n", 400, "unknown_column", "leave it out"),
        ("timestamp,tokens\n", 400, "unknown_column", "tokens"),
        ("model,input_tokens\nm,1\n", 400, "missing_column", "'timestamp'"),
        ("timestamp,model,Model\n", 400, "repeated_column", "'model'"),
        ("timestamp,model,\n", 400, "no_header", "name"),
        (b"timestamp,model,labels.team\n2026-11-20T10:00:00Z,m,M\xfcnchen\n", 400, "wrong_encoding", "CSV UTF-8"),
        (b"PK\x03\x04 a workbook", 400, "another_format", "Excel"),
        (b"\x1f\x8bnot gzip", 400, "broken_gzip", "damaged"),
        (f"{AT},m,5\n{AT},m,6\n", 400, "no_header", f"holds values ('{AT}')"),
        ("timestamp model requests\n", 400, "missing_column", "There is one column, 'timestamp model requests'"),
        (f'timestamp,model\n{AT},m\n{AT},"m\n{AT},m\n', 400, "broken_csv", "line 3 is never closed"),
        (f'timestamp,"model\n{AT},m\n', 400, "broken_csv", "line 1 is never closed"),
        (b"PAR1 and so on", 400, "another_format", "This is Parquet. Save it as 'CSV UTF-8'"),
        ('{"records": []}', 400, "another_format", "application/json"),
        (b"%PDF-1.7", 400, "another_format", "PDF"),
        (b"timestamp\0\0,model\n", 400, "another_format", "neither"),
        ("timestamp,model\n" + f"{AT},m\n" * 10_001, 413, "too_many_rows", "10,000 rows"),
        ("timestamp,model\nx,m\n", 422, "all_rejected", "timestamp"),
    ],
    ids=[
        *("empty", "header alone", "alias", "unknown", "near", "missing", "twice", "unnamed", "encoding", "workbook"),
        *("gzip", "no header", "one column", "open quote", "open in header", "parquet", "json", "pdf", "binary"),
        *("rows", "rejected"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(post, body, status, code, said):
    answer = post(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("column", "cell", "code", "said"),
    [
        ("timestamp", "2026-11-20 10:00:00", "timestamp_without_offset", "write 2026-11-20T10:00:00Z"),
        ("timestamp", "20.11.2026 10:00", "timestamp_without_offset", "write 2026-11-20T10:00:00Z"),
        ("timestamp", "11/12/2026 10:00", "bad_timestamp", "can be two days"),
        ("timestamp", "46346.4166", "bad_timestamp", "day number"),
        ("timestamp", "2026-11-20", "bad_timestamp", "takes a time"),
        ("timestamp", "2026-11-20 10:00:00 CET", "bad_timestamp", "'CET' can be several time zones"),
        ("timestamp", "99.99.2026 10:00", "bad_timestamp", "takes a time"),
        ("timestamp", "", "missing_field", "is empty"),
        ("model", "m" * 201, "bad_length", "1 to 200"),
        ("model", "a\0b", "bad_text", "U+0000"),
        ("input_tokens", "1,234", "bad_format", "two ways"),
        ("input_tokens", "1.5", "wrong_type", "whole number"),
        ("input_tokens", "-1", "out_of_range", "10^12"),
        ("input_tokens", "9" * 60, "wrong_type", "whole number"),
        ("input_tokens", "1e400", "out_of_range", "whole number"),
        ("input_tokens", "1e25", "out_of_range", "whole number"),
        ("cost", "1e999999999", "out_of_range", "decimal text"),
        ("cost", "1e-999999999", "out_of_range", "decimal text"),
        ("input_tokens", "nan", "wrong_type", "whole number"),
        ("units", "0x10", "wrong_type", "number"),
        ("cost", "0.12345678901", "bad_format", "at most 10 decimals"),
        ("cost", "1", "currency_missing", "currency"),
        ("quality", "1.1", "out_of_range", "0 to 1"),
        ("duration_histogram", "5", "bad_histogram", "bounds_ms"),
        ("labels", "team", "bad_labels", "object"),
    ],
    ids=lambda value: repr(value)[:24] if isinstance(value, str) else None,
)
def test_a_cell_is_never_guessed(column, cell, code, said):
    batch = read(cell, column)
    [rejection] = batch.rejections
    assert rejection.code == code
    assert said in rejection.detail


@pytest.mark.parametrize(
    ("column", "cell", "options", "value"),
    [
        ("input_tokens", "812.0", {}, 812),
        ("input_tokens", "1E3", {}, 1000),
        ("units", "0,25", {"is_decimal_comma": True}, 0.25),
        ("cost", "", {}, None),
        ("timestamp", "20.11.2026 11:00", {"zone": ZoneInfo("Europe/Berlin")}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("timestamp", "2026-11-20 10:00", {"zone": UTC}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("timestamp", "2026-11-20T11:00+01:00", {}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("timestamp", "2026-11-20 11:00:00 +0100", {}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("timestamp", "2026-11-20 10:00 UTC", {}, datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
    ids=["whole", "exponent", "decimal comma", "empty", "german day", "no zone", "offset", "spaced", "UTC"],
)
def test_what_is_plain_is_read(column, cell, options, value):
    [record] = read(cell, column, **options).records
    assert getattr(record, column) == value


@pytest.mark.parametrize("cell", ["2026-10-25 02:30", "2026-03-29T02:30:00"], ids=["twice", "never"])
def test_an_hour_that_is_there_twice_or_never_is_asked_for(cell):
    [rejection] = read(cell, "timestamp", zone=ZoneInfo("Europe/Berlin")).rejections
    assert rejection.code == "bad_timestamp"
    assert "clocks change" in rejection.detail


def test_a_quotation_mark_that_swallows_lines_is_told_by_its_lines(post):
    answer = post(f'timestamp,model\n\n{AT},m\n{AT},"m\n{AT},m",x\n{AT},m\n').json()
    assert answer["accepted"] == 2
    assert answer["rejected"][0]["detail"].startswith("Lines 4 to 5 are one row. It has 3 cells, the header 2")


def test_what_others_call_our_fields_exists():
    assert {name.partition(".")[0] for name in ALIASES.values()} <= set(FIELDS)
    assert not set(ALIASES) & set(FIELDS)
