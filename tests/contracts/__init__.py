"""Suites that a connector's test inherits."""

import pytest

# So that a failed assertion in a suite shows both sides.
pytest.register_assert_rewrite(
    "tests.contracts.bad_counters",
    "tests.contracts.bad_input",
    "tests.contracts.connector_suite",
    "tests.contracts.pull_suite",
)
