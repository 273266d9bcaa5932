"""Secrets at rest, and what the checks say of settings that are wrong."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from config import checks
from metrics.errors import ConnectorError, RuleViolation
from metrics.secrets import open_sealed, rotate, seal

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_secret_comes_back_and_is_not_readable_in_between(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    sealed = seal({"key": "sk-1", "empty": "", "lines": ["a: b"]})
    assert b"sk-1" not in sealed
    assert open_sealed(sealed) == {"key": "sk-1", "lines": ["a: b"]}
    assert seal({"key": ""}) is None
    assert open_sealed(None) == {}


def test_keys_are_rotated_by_putting_a_new_one_first(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    sealed = seal({"key": "sk-1"})
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert open_sealed(sealed) == {"key": "sk-1"}
    rotated = rotate(sealed)
    settings.ENCRYPTION_KEYS = [NEW]
    assert open_sealed(rotated) == {"key": "sk-1"}
    with pytest.raises(ConnectorError) as caught:
        open_sealed(sealed)
    assert caught.value.permanent


@pytest.mark.parametrize("keys", [[], ["short"]])
def test_without_a_usable_key_nothing_is_kept(settings, keys):
    settings.ENCRYPTION_KEYS = keys
    with pytest.raises(RuleViolation) as caught:
        seal({"key": "sk-1"})
    assert "PHASELINE_ENCRYPTION_KEYS" in caught.value.message


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("SECRET_KEY", "", "phaseline.E001"),
        ("SECRET_KEY", "short", "phaseline.W001"),
        ("ENCRYPTION_KEYS", [], "phaseline.W002"),
        ("ENCRYPTION_KEYS", ["not a key"], "phaseline.E003"),
        ("REPORTING_TIME_ZONE", "Europe/Atlantis", "phaseline.E004"),
        ("REPORTING_CURRENCY", "EURO", "phaseline.E005"),
        ("REPORT_CLOSE_DAY", 31, "phaseline.E006"),
        ("FISCAL_YEAR_START_MONTH", 13, "phaseline.E007"),
        ("USAGE_RETENTION_MONTHS", 3, "phaseline.E008"),
        ("OUTBOUND_ALLOW", ["10.0.0.0/99"], "phaseline.E009"),
        ("INPUT_TOKEN_WEIGHT", "a tenth", "phaseline.E010"),
        ("IDLE_ALLOCATION", "somehow", "phaseline.E011"),
        ("BACKFILLS_AT_ONCE", 0, "phaseline.E012"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(settings, setting, value, code):
    settings.SECRET_KEY = "x" * 50
    settings.ENCRYPTION_KEYS = [OLD]
    assert checks.check_settings(None) == []
    setattr(settings, setting, value)
    found = checks.check_settings(None)
    assert [one.id for one in found] == [code]
    assert found[0].hint
