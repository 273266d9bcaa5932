"""Dockerfile, docker-compose.yml, .env.example, .ci/run: read, since no container runs here."""

import re
import subprocess

import pytest
import yaml

from config.install import ROOT


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_it_has_every_part_with_a_health_check(compose):
    assert set(compose["services"]) == {"secrets", "init", "web", "worker", "beat", "postgres", "valkey"}
    for name, service in compose["services"].items():
        if name in {"secrets", "init"}:
            assert service["restart"] == "no"
        else:
            assert "healthcheck" in service, name
            assert service["restart"] == "unless-stopped"


def test_nothing_starts_before_what_it_needs(compose):
    services = compose["services"]
    assert services["postgres"]["depends_on"]["secrets"]["condition"] == "service_completed_successfully"
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"
        assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "init" not in services["init"]["depends_on"]
    assert not services["secrets"]["depends_on"]


def test_it_holds_no_secret_and_listens_on_loopback_by_default(compose):
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"POSTGRES_PASSWORD:|SECRET_KEY:|ENCRYPTION_KEYS:|trust", text)
    assert compose["services"]["web"]["ports"] == ["${BIND:-127.0.0.1}:${PORT:-8000}:8000"]
    assert "ports" not in compose["services"]["postgres"]
    assert "ports" not in compose["services"]["valkey"]


def test_it_makes_no_demo_unless_asked(compose):
    assert compose["services"]["init"]["environment"]["DEMO"] == "${DEMO:-0}"


def test_it_allows_no_private_network_to_be_pulled_from(compose):
    assert compose["services"]["worker"]["environment"]["OUTBOUND_ALLOW"] == "${OUTBOUND_ALLOW:-}"


def test_the_image_does_not_run_as_root_and_takes_no_secrets_along():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER phaseline" in lines
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", "var", ".git", ".venv"} <= set(ignored)


def settings_read() -> set[str]:
    text = (ROOT / "config" / "settings.py").read_text()
    found = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', text))
    assert len(found) > 15
    return found


@pytest.mark.parametrize("place", [".env.example", "docs/operations.md"])
def test_every_setting_is_documented(place):
    text = (ROOT / place).read_text()
    own = {"PHASELINE_ENV_FILE", "PLAIN_STATIC", "EXAMPLE_SERVER_URL"}  # chosen by programs, not by people
    missing = sorted(name for name in settings_read() - own if not re.search(rf"\b{name}\b", text))
    assert not missing


def test_the_example_s_defaults_are_the_settings_defaults():
    settings = (ROOT / "config" / "settings.py").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in ("REPORTING_CURRENCY", "REPORTING_TIME_ZONE", "INPUT_TOKEN_WEIGHT", "DEFAULT_FROM_EMAIL"):
        default = re.search(rf'"{name}", default="([^"]*)"', settings)
        assert default
        assert f"#{name}={default[1]}" in example


@pytest.mark.parametrize("script", ["bin/up", "bin/test", "bin/bench", "bin/find-python.sh", ".ci/run"])
def test_the_scripts_are_plain_sh(script):
    checked = subprocess.run(["sh", "-n", ROOT / script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    text = (ROOT / script).read_text()
    assert "[[" not in text
    assert "function " not in text


def test_ci_runs_everything():
    assert 'exec bin/test --peers "$@"' in (ROOT / ".ci" / "run").read_text()
