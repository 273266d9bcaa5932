"""docs/operations.md says of each source what its connector does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metrics.actions.backends import READING_BOUNDS
from metrics.connector import StatementConnector
from metrics.connectors import REGISTRY

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
STATING = [connector for connector in REGISTRY if issubclass(connector, StatementConnector)]


@pytest.mark.parametrize("connector", STATING, ids=[connector.kind for connector in STATING])
def test_its_windows_are_in_the_table(connector):
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| {connector.title} |"))
    daily = f"{connector.daily_trailing_hours} h" if connector.daily_trailing_hours else ""
    final = f"{connector.settling_hours} h" if "billed_cost" in connector.reports else ""
    wanted = [f"{connector.trailing_hours} h", daily, final, f"{connector.backfill_step_days} days"]
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == wanted
    assert connector.backfill_step_days <= 31
    assert connector.daily_trailing_hours <= 744


def test_the_bounds_are_those_of_the_form():
    row = next(line for line in TEXT.splitlines() if line.startswith("| bounds |"))
    numbers = [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", row)]
    assert numbers == [value for _, lowest, highest in READING_BOUNDS for value in (lowest, highest)]


@pytest.mark.parametrize("connector", REGISTRY, ids=[connector.kind for connector in REGISTRY])
def test_how_far_back_it_goes_is_said_before_anything_is_entered(connector):
    if issubclass(connector, StatementConnector):
        history = connector.history({})
        assert history.days is None or history.days > 0
        assert not history.says or history.says.endswith(".")
