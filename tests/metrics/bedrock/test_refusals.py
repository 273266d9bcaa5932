"""The Amazon Bedrock connector: what AWS refuses, regions, credentials and a package that is missing."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime, timedelta

import pytest

from metrics import packages
from metrics.connectors import connector_for
from metrics.connectors.bedrock import Bedrock
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy
from metrics.models import Backend
from tests.contracts.connector_suite import SECRET, START
from tests.doubles.source_server import Asked, Reply
from tests.metrics.bedrock.asking import KEY_ID, parameters, read


@pytest.mark.parametrize(
    ("status", "code", "said", "words", "is_permanent"),
    [
        (403, "InvalidSignatureException", "Signature expired: 20261120T2200Z is now earlier", "clock", True),
        (400, "RequestTimeTooSkewed", "The difference is too large", "clock", True),
        (403, "InvalidSignatureException", "Signature not yet current: 2026", "clock", True),
        (403, "UnrecognizedClientException", "The security token included is invalid", "access key", True),
        (403, "InvalidSignatureException", "The request signature we calculated does not match", "access key", True),
        (400, "AccessDeniedException", "User is not authorized", "cloudwatch:ListMetrics", True),
        (400, "ThrottlingException", "Rate exceeded", "slow down", False),
        (500, "InternalServiceFault", "", "status 500", False),
    ],
)
def test_a_refusal_says_what_to_do(account, connect, status, code, said, words, is_permanent):
    account.refuses = (status, code, said)
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert words in str(caught.value)
    assert caught.value.permanent is is_permanent
    result = connect().test()
    assert not result.ok
    assert words.replace("ListMetrics", "") in str(result.lines)


def test_a_wrong_clock_says_to_set_the_clock_and_by_how_much(account, connect):
    late = (datetime.now(UTC) + timedelta(minutes=20)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def play(asked: Asked) -> Reply:
        body = json.dumps({"__type": "InvalidSignatureException", "message": "Signature expired: it is earlier"})
        return Reply(body, status=403, headers={"Date": late})

    account.server.play = play
    with pytest.raises(ConnectorError) as caught:
        read(connect())
    assert "Set the clock" in caught.value.hint
    assert "clock is wrong" in caught.value.message


def test_a_right_that_only_cost_explorer_lacks_is_named(account, connect):
    def play(asked: Asked) -> Reply:
        if "AWSInsightsIndexService" in asked.headers["X-Amz-Target"]:
            return Reply(json.dumps({"__type": "AccessDeniedException", "Message": "not authorized"}), status=400)
        return account.play(asked)

    account.server.play = play
    with pytest.raises(ConnectorError, match="Cost Explorer in us-east-1 does not allow GetDimensionValues"):
        read(connect())


def test_a_wrong_region_is_refused_before_anything_is_asked():
    for wrong in ("Frankfurt", "eu-central", "eu-central-1.evil.example"):
        with pytest.raises(RuleViolation) as caught:
            Bedrock.clean_parameters({**parameters("https://x.example"), "regions": [wrong]})
        assert caught.value.field == "regions"
    with pytest.raises(RuleViolation, match="one region"):
        Bedrock.clean_parameters({**parameters("https://x.example"), "regions": ["eu-west-1", "us-east-1"]})


def test_addresses_are_those_of_the_region_and_its_partition():
    values = Bedrock.clean_parameters(
        {**parameters("x"), "regions": ["cn-north-1"], "cloudwatch_address": "", "cost_explorer_address": ""}
    )
    connector = Bedrock(values, HttpClient(OutboundPolicy()), lambda: START)
    assert connector._watch(connector.http, "cn-north-1").address == "https://monitoring.cn-north-1.amazonaws.com.cn/"
    assert connector._costs(connector.http).address == "https://ce.cn-northwest-1.amazonaws.com.cn/"
    assert connector._watch(connector.http, "us-gov-west-1").address.endswith("us-gov-west-1.amazonaws.com/")


def test_no_other_credentials_than_those_given_are_used(account, connect, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-from-environment")
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAFROMFILE\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    read(connect())
    for asked in account.server.asked:
        assert f"Credential={KEY_ID}/" in asked.headers["Authorization"]
        assert "X-Amz-Security-Token" not in asked.headers


def test_without_its_package_nothing_is_tried_or_saved(connect, monkeypatch):
    ready = connect()
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "botocore" else real(name))
    with pytest.raises(RuleViolation) as caught:
        connector_for("bedrock").clean_parameters(parameters("https://x.example"))
    assert "botocore" in caught.value.message
    assert "-r requirements-clouds.txt" in caught.value.message
    # One that was added before says the same.
    with pytest.raises(ConnectorError, match="requirements-clouds") as failed:
        read(ready)
    assert failed.value.permanent
    assert not ready.test().ok


@pytest.mark.django_db
def test_the_form_says_what_to_install_and_saves_nothing_without_it(adam, sign_in, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "botocore" else real(name))
    client = sign_in(adam)
    page = client.get("/backends/new/bedrock/")
    assert page.status_code == 200
    assert "Something has to be installed first." in page.text
    assert "-r requirements-clouds.txt" in page.text
    entered = {"name": "Bedrock", "p_access_key_id": KEY_ID, "p_secret_access_key": SECRET, "p_regions": "eu-central-1"}
    for name in list(entered):
        entered[name.removeprefix("p_")] = entered[name]
    for do in ("", "test"):
        refused = client.post("/backends/new/bedrock/", {**entered, "do": do})
        assert "requirements-clouds.txt" in refused.text
        assert SECRET not in refused.text
    assert not Backend.objects.exists()
