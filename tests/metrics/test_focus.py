"""FOCUS's column tables, and the version that a header is told by."""

from __future__ import annotations

import pytest

from metrics.focus import COLUMNS, header_of


def test_each_version_has_as_many_columns_as_its_specification():
    assert {version: len(columns) for version, columns in COLUMNS.items()} == {
        "1.0": 43,
        "1.1": 50,
        "1.2": 57,
        "1.3": 65,
        "1.4": 65,
    }
    assert all(len(set(columns)) == len(columns) for columns in COLUMNS.values())


@pytest.mark.parametrize("version", list(COLUMNS))
def test_a_whole_header_is_its_version(version):
    header = header_of(COLUMNS[version])
    assert header is not None
    assert (header.version, header.missing) == (version, ())


def test_1_4_without_its_own_optional_columns_is_still_1_4():
    columns = [
        name for name in COLUMNS["1.4"] if name not in ("InvoiceDetailId", "CommitmentProgramEligibilityDetails")
    ]
    header = header_of(columns)
    assert header is not None
    assert header.version == "1.4"


def test_what_is_missing_and_what_is_a_vendors_own_is_said():
    columns = [name for name in COLUMNS["1.2"] if name != "BillingCurrency"]
    header = header_of([*columns, "x_Model"])
    assert header is not None
    assert header.missing == ("BillingCurrency",)
    assert header.own_columns == ("x_Model",)


@pytest.mark.parametrize("columns", [(), ("date", "model", "amount"), ("BilledCost", "Tags", "day")])
def test_another_header_is_not_focus(columns):
    assert header_of(columns) is None
