"""bin/test: its options, its summary, its colour."""

import os

import pytest

from config import suite
from config.install import Steps
from config.suite import Check, Outcome, Suite, options_of


def test_it_passes_what_it_does_not_know_to_pytest():
    options, rest = options_of(["--no-browser", "tests/metrics", "-k", "fold", "-x"])
    assert options.no_browser
    assert rest == ["tests/metrics", "-k", "fold", "-x"]


def test_one_red_step_makes_it_red():
    run = Suite(Steps())
    run.outcomes = [Outcome(name="Lint", is_green=True, seconds=1.0)]
    assert run.is_green
    assert "All green" in run.summary()
    run.outcomes.append(Outcome(name="Types", is_green=False, seconds=2.0))
    assert not run.is_green
    assert "FAILED" in run.summary()
    assert "Not green" in run.summary()


def test_a_failing_check_shows_what_it_said(capsys):
    run = Suite(Steps())
    run.check("Quiet", ["sh", "-c", "echo hidden"])
    run.check("Loud", ["sh", "-c", "echo seen; exit 2"])
    said = capsys.readouterr().out
    assert "seen" in said
    assert "hidden" not in said
    assert [outcome.is_green for outcome in run.outcomes] == [True, False]


def test_checks_that_run_together_are_told_of_as_they_end_and_summed_up_in_their_order(capsys):
    run = Suite(Steps())
    late, early = ["sh", "-c", "sleep 1"], ["sh", "-c", 'test "$SAID" = seen']
    run.together([Check("Late", late), Check("Early", early, {"SAID": "seen"}), Check("Red", ["false"])])
    said = capsys.readouterr().out
    assert "Red ... failed" in said
    if (os.cpu_count() or 1) > 1:
        assert said.index("Early") < said.index("Late")
    assert [(outcome.name, outcome.is_green) for outcome in run.outcomes] == [
        ("Late", True),
        ("Early", True),
        ("Red", False),
    ]


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Names of the pytest runs that would have been made."""
    names: list[str] = []
    monkeypatch.setattr(Suite, "tests", lambda self, name, arguments, *, may_be_empty: names.append(name))
    monkeypatch.setattr(Suite, "check", lambda self, name, command, **more: None)
    return names


def test_without_chromium_it_is_red_with_the_command_that_installs_it(asked, monkeypatch):
    monkeypatch.setattr(suite, "chromium", lambda: None)
    run = Suite(Steps())
    suite.run_tests(run, options_of([])[0], [])
    assert asked == ["Tests"]
    assert not run.is_green
    assert "apt-get install chromium" in run.summary()


def test_without_chromium_no_browser_runs_the_rest_and_says_so(asked, monkeypatch):
    monkeypatch.setattr(suite, "chromium", lambda: None)
    run = Suite(Steps())
    suite.run_tests(run, options_of(["--no-browser"])[0], [])
    assert run.is_green
    assert "by --no-browser" in run.summary()


def test_peers_are_started_only_when_asked_for(asked, monkeypatch):
    monkeypatch.setattr(suite, "chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setenv("CHROMIUM", "")
    run = Suite(Steps())
    suite.run_tests(run, options_of([])[0], [])
    assert asked == ["Tests", "Browser tests"]
    suite.run_tests(run, options_of(["--peers"])[0], [])
    assert asked[2:] == ["Tests", "Browser tests", "Peers"]


@pytest.mark.parametrize(
    ("rest", "runs"),
    [
        (["tests/browser/test_plan.py", "-k", "milestone"], ["Browser tests"]),
        (["tests/browser", "--durations=5"], ["Browser tests"]),
        (["tests/browser/test_plan.py::test_a_walk"], ["Browser tests"]),
        (["tests/browser", "tests/web"], ["Tests", "Browser tests"]),
        (["-k", "browser"], ["Tests", "Browser tests"]),
    ],
)
def test_what_needs_a_browser_alone_does_not_wait_for_the_rest(asked, monkeypatch, rest, runs):
    monkeypatch.setattr(suite, "chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setenv("CHROMIUM", "")
    run = Suite(Steps())
    suite.run_tests(run, options_of(rest)[0], options_of(rest)[1])
    assert asked == runs


def test_a_person_s_own_settings_do_not_reach_the_tests(var, monkeypatch):
    monkeypatch.setattr(
        os, "environ", {"REPORTING_CURRENCY": "EUR", "SECURE": "1", "SECRET_KEY": "mine", "PATH": "/bin"}
    )
    suite.prepare_environment(var)
    assert set(os.environ) == {"PATH", "PHASELINE_VAR", "PHASELINE_ENV_FILE"}
