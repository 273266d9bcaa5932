"""Secrets at rest, and what the checks say of settings that are wrong."""

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent
from config import checks
from metrics.errors import ConnectorError, RuleViolation
from metrics.models import Backend
from metrics.secrets import open_sealed, rotate, seal
from tests.metrics.pulling import backend_of

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
        ("REPORT_LINK_MAX_DAYS", 367, "phaseline.E030"),
        ("REPORT_LINK_DAYS", 0, "phaseline.E031"),
        ("REPORT_LINK_DAYS", 367, "phaseline.E031"),
        ("REPORT_LINKS", "perhaps", "phaseline.E032"),
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


# --- Changing the key


@pytest.fixture
def backends(db, settings):
    settings.ENCRYPTION_KEYS = [OLD]
    for number in range(3):
        backend_of("openai", slug=f"b{number}", name=f"B{number}", secrets=seal({"admin_key": f"sk-{number}"}))
    backend_of("metrics_endpoint", slug="none", name="None")


def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_secrets", *arguments, stdout=out)
    return out.getvalue()


def test_every_secret_is_moved_under_the_first_key_and_the_old_one_can_go(backends, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert "3 secrets are under an older key, 0 were under it already" in _command("--check")
    assert "3 secrets are encrypted with the first key now, 0" in _command()
    said = _command()
    assert "0 secrets are encrypted with the first key now, 3 were under it already" in said
    assert "needed no more" in said
    settings.ENCRYPTION_KEYS = [NEW]
    found = Backend.objects.exclude(secrets=None).order_by("slug")
    assert [open_sealed(one.secrets)["admin_key"] for one in found] == ["sk-0", "sk-1", "sk-2"]
    events = AuditEvent.objects.filter(action="rotate_secrets")
    assert {event.actor_name for event in events} == {"command rotate_secrets"}
    assert events.count() == 3


def test_a_secret_that_no_key_opens_is_named_and_kept(backends, settings):
    lost = Backend.objects.get(slug="b1")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost.secrets = seal({"admin_key": "lost"})
    lost.save()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match="No key fits the secrets of B1"):
        _command()
    assert bytes(Backend.objects.get(slug="b1").secrets) == bytes(lost.secrets)
    settings.ENCRYPTION_KEYS = [NEW]
    assert open_sealed(Backend.objects.get(slug="b2").secrets)


@pytest.mark.parametrize("keys", [[], ["short"]])
def test_rotating_needs_a_key(backends, settings, keys):
    settings.ENCRYPTION_KEYS = keys
    with pytest.raises(CommandError, match="PHASELINE_ENCRYPTION_KEYS"):
        _command()
