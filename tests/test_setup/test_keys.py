"""Secrets: made at random, private, kept."""

import json
import stat
from pathlib import Path

import environ
from cryptography.fernet import Fernet

from config import keys
from config.next_steps import DEMO_ROLES


def values(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_they_are_made_once_and_only_their_owner_reads_them(var):
    file = keys.ensure_secrets(var)
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys.ensure_secrets(var).read_text() == first
    assert keys.ensure_secrets(var / "another").read_text() != first


def test_settings_can_read_them(var, monkeypatch):
    for name in ("SECRET_KEY", "PHASELINE_ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)
    environment: dict[str, str] = {}
    monkeypatch.setattr(environ.Env, "ENVIRON", environment)
    environ.Env.read_env(keys.ensure_secrets(var))
    assert len(environment["SECRET_KEY"]) >= 50
    box = Fernet(environment["PHASELINE_ENCRYPTION_KEYS"])
    assert box.decrypt(box.encrypt(b"figure")) == b"figure"


def test_demo_passwords_are_random_private_and_kept(var):
    made = keys.ensure_demo_passwords(var)
    assert set(made) == set(DEMO_ROLES)
    assert len(set(made.values())) == len(made)
    assert all(len(password) == 17 for password in made.values())
    assert keys.ensure_demo_passwords(var) == made
    assert json.loads((var / "demo-sign-ins.json").read_text()) == made
    assert stat.S_IMODE((var / "demo-sign-ins.json").stat().st_mode) == 0o600


def test_a_container_s_database_gets_one_password_on_both_sides(var):
    file = var / "password"
    keys.ensure_database_password(var, file=file, host="postgres")
    keys.ensure_database_password(var, file=file, host="postgres")
    found = values(var / "secrets.env")
    assert found["DATABASE_URL"] == f"'postgres://phaseline:{file.read_text()}@postgres:5432/phaseline'"
    assert (var / "secrets.env").read_text().count("DATABASE_URL") == 1
    assert {"SECRET_KEY", "PHASELINE_ENCRYPTION_KEYS"} <= set(found)
    assert stat.S_IMODE((var / "secrets.env").stat().st_mode) == 0o600


def test_a_file_left_open_by_a_killed_start_is_replaced(var):
    left = var / "x.new"
    left.write_text("half")
    left.chmod(0o644)
    keys.write_private(var / "x", "whole")
    assert (var / "x").read_text() == "whole"
    assert stat.S_IMODE((var / "x").stat().st_mode) == 0o600
