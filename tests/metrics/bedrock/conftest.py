"""A running account, and a connector to it."""

from __future__ import annotations

import pytest

from metrics.connectors.bedrock import Bedrock
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from tests.contracts.connector_suite import QUICK, START
from tests.doubles.aws_bedrock import BedrockAccount, bedrock_account
from tests.metrics.bedrock.asking import HOUR, parameters


@pytest.fixture
def account():
    with bedrock_account(BedrockAccount()) as running:
        yield running


@pytest.fixture
def connect(account):
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=QUICK)

    def _connect(**changes) -> Bedrock:
        values = Bedrock.clean_parameters(parameters(account.url, **changes))
        return Bedrock(values, http, lambda: START + 3 * HOUR)

    yield _connect
    http.close()
