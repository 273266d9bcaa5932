"""bin/up: what it chooses, and what it ends with."""

import json
import shlex
import socket
from pathlib import Path

import environ
import pytest

from config import up
from config.install import up_options
from config.next_steps import first_push, next_steps

FOUND = {"demo_present": True, "slug": "my-first-roadmap", "token": "pl_secret", "sent_at": "2026-11-22T10:00:00+00:00"}
PASSWORDS = {"admin": "aaaaa", "sanne": "sssss", "joris": "jjjjj", "femke": "fffff"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ("BASE_URL", "ALLOWED_HOSTS", "OUTBOUND_ALLOW", "SECURE", "EMAIL_BACKEND", "EXAMPLE_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)


def words(**found: object) -> str:
    lines = next_steps(
        {**FOUND, **found}, url="http://127.0.0.1:8000", passwords=PASSWORDS, passwords_file="var/x", manage="manage.py"
    )
    return "\n".join(lines)


def test_it_prints_the_demo_s_sign_ins_only_while_the_demo_is_there():
    text = words()
    for name, password in PASSWORDS.items():
        assert f"{name:<6} {password}" in text
    assert "/settings/demo/" in text
    assert not any(password in words(demo_present=False) for password in PASSWORDS.values())


def test_it_prints_the_link_for_the_first_admin_where_there_is_none():
    link = "http://127.0.0.1:8000/setup/abc/"
    text = words(demo_present=False, setup_link=link)
    assert link in text
    assert "within the hour" in text
    assert "/setup/" not in words()


def test_without_a_token_it_names_the_page_that_makes_one():
    text = words(token="")
    assert "curl" not in text
    assert "http://127.0.0.1:8000/send/" in text
    assert "http://127.0.0.1:8000/backends/new/" in text


def test_the_printed_curl_is_one_that_a_shell_understands():
    text = "\n".join(first_push("http://127.0.0.1:8000", "pl_secret", "2026-11-22T10:00:00+00:00"))
    parts = shlex.split(text.replace("\\\n", " "))
    assert parts[:3] == ["curl", "-sS", "http://127.0.0.1:8000/api/v1/usage"]
    assert "Authorization: Bearer pl_secret" in parts
    (record,) = json.loads(parts[parts.index("-d") + 1])["records"]
    assert record["id"] == "first-push"
    assert record["timestamp"] == "2026-11-22T10:00:00+00:00"


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("localhost", "http://localhost:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_printed_address_is_one_that_a_browser_opens(host, url):
    assert up.base_url(host, 8000) == url


def test_the_printed_address_for_all_addresses_is_this_machine_s(monkeypatch):
    monkeypatch.setattr(up, "_outward_address", lambda: "198.51.100.7")
    assert up.base_url("0.0.0.0", 8000) == "http://198.51.100.7:8000"
    monkeypatch.setenv("BASE_URL", "https://phaseline.example.org/")
    assert up.base_url("0.0.0.0", 8000) == "https://phaseline.example.org"


def test_only_the_names_that_are_meant_are_allowed_as_hosts():
    names = up.allowed_hosts("127.0.0.1", "http://127.0.0.1:8000")
    assert names == ["localhost", "127.0.0.1", "[::1]", socket.gethostname()]
    assert "*" not in up.allowed_hosts("0.0.0.0", "http://198.51.100.7:8000")
    assert "198.51.100.7" in up.allowed_hosts("0.0.0.0", "http://198.51.100.7:8000")


def test_what_the_environment_sets_comes_first(var, monkeypatch):
    monkeypatch.setenv("OUTBOUND_ALLOW", "10.1.0.0/16")
    chosen = up.chosen_settings(up_options([]), var=var)
    assert chosen["OUTBOUND_ALLOW"] == "10.1.0.0/16"
    assert chosen["SECURE"] == "0"


def test_private_networks_may_be_pulled_from_and_metadata_addresses_may_not(var):
    allowed = up.chosen_settings(up_options([]), var=var)["OUTBOUND_ALLOW"].split(",")
    assert "127.0.0.0/8" in allowed
    assert not any(network.startswith(("169.254.", "0.0.0.0", "fe80", "::/")) for network in allowed)


def test_the_example_server_keeps_its_port_unless_it_is_taken(var):
    port = up._example_port(var)
    assert up._example_port(var) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        other = up._example_port(var)
    assert other != port
    assert up._example_port(var) == other


def test_chosen_settings_survive_the_file_that_manage_py_reads(var, monkeypatch):
    odd = {"BASE_URL": "http://127.0.0.1:8000", "DATABASE_URL": "postgres://phaseline@/phaseline?host=/tmp/a%20b#c'd"}
    file = var / "up.env"
    up.write_settings(file, odd)
    environment: dict[str, str] = {}
    monkeypatch.setattr(environ.Env, "ENVIRON", environment)
    environ.Env.read_env(file)
    assert environment == odd


def test_an_unchanged_checkout_keeps_its_static_files(var, monkeypatch):
    (var / "static").mkdir()
    (var / ".installed-requirements.txt").write_text("digest")
    (var / "static" / "base.css").write_text("a")
    monkeypatch.setattr(up, "ROOT", var)
    monkeypatch.setattr(up, "ENVIRONMENT", var)
    before = up._static_digest()
    assert up._static_digest() == before
    (var / "static" / "base.css").write_text("ab")
    assert up._static_digest() != before


def test_prepare_s_failure_is_shown_with_its_last_words(var, monkeypatch):
    monkeypatch.setattr(up, "PYTHON", _failing_python(var))
    start = up.Start(up_options([]), var=var, steps=up.Steps())
    with pytest.raises(up.SetupError, match=r"(?s)relation does not exist.*Migrations failed"):
        start._prepare_data()


def _failing_python(var: Path) -> Path:
    script = var / "python"
    script.write_text("#!/bin/sh\necho '{\"begin\": \"Migrations\"}'\necho 'relation does not exist' >&2\nexit 1\n")
    script.chmod(0o755)
    return script
