"""No connector is registered without the conformance suite and a pull that is checked against a hand-made sum."""

from __future__ import annotations

import pytest

from metrics.connector import CounterConnector
from metrics.connectors import REGISTRY
from tests.contracts.cases import CASES
from tests.contracts.connector_suite import ConnectorSuite, CounterConnectorSuite, StatementConnectorSuite
from tests.contracts.pull_suite import CounterPullSuite, PullSuite
from tests.contracts.table import declared, drawn, suites

KINDS = [connector.kind for connector in REGISTRY]


@pytest.mark.parametrize("connector", REGISTRY, ids=KINDS)
def test_it_has_the_suites_of_its_style(connector):
    is_counter = issubclass(connector, CounterConnector)
    conformance = suites(ConnectorSuite).get(connector.kind)
    assert conformance is not None, f"no test class inherits the conformance suite for {connector.kind}"
    assert issubclass(conformance, CounterConnectorSuite if is_counter else StatementConnectorSuite)
    pulls = suites(CounterPullSuite if is_counter else PullSuite)
    assert connector.kind in pulls, f"no test class pulls {connector.kind} against a double"


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_is_run_or_left_out_with_a_reason(kind):
    suite = suites(ConnectorSuite)[kind]
    concerned = {case for case, (styles, _) in CASES.items() if suite.style in styles}
    assert set(suite.not_applicable) <= concerned
    for reason in suite.not_applicable.values():
        assert reason.endswith(".")
        assert len(reason) > 20
    cells, _ = declared()
    assert {case for (one, case), cell in cells.items() if one == kind and cell in ("run", "-")} == concerned


def test_the_table_names_every_kind_and_case():
    cells, notes = declared()
    text = "\n".join(drawn(cells, notes))
    assert all(name in text for name in (*KINDS, *CASES))
    assert "MISSING" not in text
