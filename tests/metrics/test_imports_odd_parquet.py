"""Parquet files whose columns are not what their names promise."""

from __future__ import annotations

import io

import pytest

from accounts.access import Asker
from metrics.actions.imports import upload
from metrics.errors import RuleViolation
from metrics.models import BillingImport
from tests.metrics.billing_files import billed, bring, focus_row

arro3 = pytest.importorskip("arro3.core")
parquet = pytest.importorskip("arro3.io")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]
TEXT = arro3.DataType.string()


def _file(columns: dict[str, object]) -> bytes:
    arrays = [one if not isinstance(one, list) else arro3.Array(one, type=TEXT) for one in columns.values()]
    return _written(arro3.Table.from_arrays(arrays, names=list(columns)))


def _written(table) -> bytes:
    held = io.BytesIO()
    parquet.write_parquet(table, held)
    return held.getvalue()


def _focus(**columns: object) -> bytes:
    rows = [focus_row(BilledCost="2"), focus_row(BilledCost="3", ConsumedQuantity="7")]
    return _file({name: [row[name] or None for row in rows] for name in rows[0]} | columns)


def _lists(values):
    offsets = arro3.Array([0, 1, 2], type=arro3.DataType.int32())
    return arro3.list_array(offsets, arro3.Array(values, type=TEXT))


@pytest.mark.parametrize(
    "column", ["BilledCost", "ChargePeriodStart", "BillingCurrency", "SkuId", "ConsumedUnit", "Tags"]
)
@pytest.mark.parametrize("kind", ["list", "bytes"])
def test_a_column_of_another_type_is_said(adam, column, kind):
    odd = _lists(["x", "y"]) if kind == "list" else arro3.Array([b"\xff\x00", b"\xfe"], type=arro3.DataType.binary())
    one = bring(adam, _focus(**{column: odd}))
    assert one.state in (BillingImport.State.DONE, BillingImport.State.FAILED)
    if one.state == BillingImport.State.FAILED:
        assert "can count" in one.problem
        assert column in one.problem


def test_text_that_is_kept_as_bytes_is_read(adam):
    amounts = arro3.Array([b"2.5", b"4"], type=arro3.DataType.binary())
    assert bring(adam, _focus(BilledCost=amounts)).state == BillingImport.State.DONE
    assert str(billed().normalize()) == "6.5"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["day", "day"], "Two columns are called 'day'"),
        (["day", ""], "A column has no name"),
        ([f"c{n}" for n in range(1001)], "at most 1,000"),
    ],
)
def test_a_header_that_is_none_is_refused(adam, names, words):
    table = arro3.Table.from_arrays([arro3.Array(["1"], type=TEXT) for _ in names], names=names)
    with pytest.raises(RuleViolation, match=words):
        upload(Asker(user=adam), pieces=[_written(table)], name="bill.parquet")
    assert not BillingImport.objects.exists()


def test_a_file_that_ends_its_readers_process_does_not_end_ours(adam):
    table = arro3.Table.from_arrays([arro3.Array(["1"], type=TEXT)], names=["cXst"])
    # The copy of the schema that Arrow keeps beside is left out of it.
    data = _written(table).replace(b"ARROW:schema", b"BRROW:schema").replace(b"cXst", b"c\0st")
    with pytest.raises(RuleViolation, match="its reader breaks off"):
        upload(Asker(user=adam), pieces=[data], name="bill.parquet")
    assert not BillingImport.objects.exists()
