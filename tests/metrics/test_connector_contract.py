"""The contract itself: parameters in their types, what is secret, and documentation that is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.connector import Connector
from metrics.connectors import REGISTRY, connector_for
from metrics.errors import ConnectorError, RuleViolation
from metrics.parameter import Parameter, ParameterKind

DOCS = Path(__file__).parents[2] / "docs" / "connectors"


def clean(kind, value, **fields):
    return Parameter("field", "Field", kind, **fields).clean(value)


@pytest.mark.parametrize(
    ("kind", "given", "cleaned"),
    [
        (ParameterKind.URL, " http://10.0.0.5:8000 ", "http://10.0.0.5:8000"),
        (ParameterKind.URLS, "http://a/\n\n https://b/x \n", ["http://a/", "https://b/x"]),
        (ParameterKind.URLS, ["http://a/"], ["http://a/"]),
        (ParameterKind.TEXT, "  x ", "x"),
        (ParameterKind.INTEGER, "12", 12),
        (ParameterKind.INTEGER, 12, 12),
        (ParameterKind.SECRET_LINES, "A: 1\r\nB: 2", ["A: 1", "B: 2"]),
    ],
)
def test_a_parameter_is_cleaned_into_its_type(kind, given, cleaned):
    assert clean(kind, given) == cleaned


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        (ParameterKind.URL, "10.0.0.5:8000", "not_an_address"),
        (ParameterKind.URL, "ftp://10.0.0.5", "not_an_address"),
        (ParameterKind.URL, "http://", "not_an_address"),
        (ParameterKind.URL, "http://host:99999999/", "not_an_address"),
        (ParameterKind.URL, "http://[::1/", "not_an_address"),
        (ParameterKind.URL, "http://me:secret@host/", "secret_in_address"),
        (ParameterKind.URLS, "http://a\nhttp://a", "repeated"),
        (ParameterKind.URLS, "http://a\nb", "not_an_address"),
        (ParameterKind.TEXT, "", "required"),
        (ParameterKind.TEXT, None, "required"),
        (ParameterKind.TEXT, "two\nlines", "one_line"),
        (ParameterKind.SECRET, "key\nHeader: x", "one_line"),
        (ParameterKind.LINES, "\n \n", "required"),
        (ParameterKind.INTEGER, "twelve", "not_a_number"),
        (ParameterKind.INTEGER, "0", "too_small"),
        (ParameterKind.INTEGER, "11", "too_large"),
        (ParameterKind.CHOICE, "c", "unknown_choice"),
    ],
)
def test_a_parameter_that_is_wrong_is_refused_at_its_field(kind, given, code):
    with pytest.raises(RuleViolation) as caught:
        clean(kind, given, choices=(("a", "A"),), minimum=1, maximum=10)
    assert (caught.value.code, caught.value.field) == (code, "field")
    assert caught.value.message.endswith(".")


def test_defaults_and_missing_values():
    assert clean(ParameterKind.CHOICE, "", choices=(("a", "A"),), default="a") == "a"
    assert clean(ParameterKind.TEXT, "", required=False) is None
    assert clean(ParameterKind.LINES, None, required=False) == []


def test_secrets_are_taken_from_every_secret_parameter_and_out_of_header_lines():
    kind = connector_for("prometheus")
    found = kind.secrets({"headers": ["Authorization: Bearer abcdef123456", "X-Scope-OrgID: team-a"]})
    assert {"Bearer abcdef123456", "abcdef123456", "team-a"} <= set(found)
    assert connector_for("openai").secrets({"admin_key": "sk-1", "projects": ["p"]}) == ("sk-1",)


def test_an_unknown_kind_is_a_rule_violation():
    with pytest.raises(RuleViolation):
        connector_for("telepathy")
    assert len({connector.kind for connector in REGISTRY}) == len(REGISTRY)


def test_an_error_reads_as_what_happened_and_what_to_do():
    error = ConnectorError("It broke.", permanent=True, hint="Mend it.")
    assert str(error) == "It broke. Mend it."
    assert str(ConnectorError("It broke.", permanent=True)) == "It broke."


@pytest.mark.parametrize("connector", REGISTRY, ids=lambda connector: connector.kind)
def test_its_documentation_is_complete(connector: type[Connector]):
    pages = [page for page in DOCS.glob("*.md") if f"Kind: `{connector.kind}`" in page.read_text()]
    assert len(pages) == 1
    text = pages[0].read_text()
    for parameter in connector.parameters:
        assert f"`{parameter.name}`" in text, parameter.name
        for choice, _ in parameter.choices:
            assert f"`{choice}`" in text, choice
    for heading in ("## What to create", "## What is read", "## What is missing, and how fresh"):
        assert heading in text
