"""`bin/test` inside the environment: every check and every test, on embedded servers of its own below var/test.

It never touches the machine's servers, the data of `bin/up` or the settings in `.env`. Ends with one line a step.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config.embedded import NAME, EmbeddedPostgres, EmbeddedValkey
from config.install import PYTHON, ROOT, SetupError, Steps, take_lock
from config.keys import ensure_secrets
from config.supervisor import Supervisor, stop_left_over

APPS = ("accounts", "config", "metrics", "roadmap", "web")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What a person's shell may hold of Phaseline's settings must not change what the tests see.
OWN_SETTINGS = (
    *("ALLOWED_HOSTS", "BASE_URL", "CSRF_TRUSTED_ORIGINS", "DEBUG", "DEFAULT_FROM_EMAIL", "EMAIL_BACKEND", "EMAIL_URL"),
    *(
        "BACKFILLS_AT_ONCE",
        "COMPACT_AFTER_DAYS",
        "DEFAULT_LANGUAGE",
        "RECEIPTS_KEPT_DAYS",
        "EXAMPLE_SERVER_URL",
        "FISCAL_YEAR_START_MONTH",
        "IDLE_ALLOCATION",
        "INPUT_TOKEN_WEIGHT",
        "KEPT_LABELS",
        "LOG_LEVEL",
        "OUTBOUND_ALLOW",
        "PLAIN_STATIC",
    ),
    *("REPORT_LINKS", "REPORT_LINK_DAYS", "REPORT_LINK_MAX_DAYS"),
    *("REPORT_CLOSE_DAY", "REPORT_PROVISIONAL_DAY"),
    *("REPORTING_CURRENCY", "REPORTING_TIME_ZONE", "SECURE", "USAGE_RETENTION_MONTHS"),
)
DEPLOYED = {"SECURE": "1", "ALLOWED_HOSTS": "phaseline.example", "BASE_URL": "https://phaseline.example"}
COVERAGE_FLOOR = 90
# For two processors: one of the workers mostly waits (tests/packing.py).
WORKERS = 3
NOTHING_SELECTED = 5  # pytest's exit code


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one step ended; `note` says what to do about it."""

    name: str
    is_green: bool
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was started; what it says goes into `output`."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float


@dataclass(frozen=True, slots=True)
class Check:
    """A command that ends with 0 when all is well, and what it finds in its environment beside the suite's."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Running:
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed when it was told
        process = subprocess.Popen(
            list(self.command),
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        return Running(self.name, process, output, time.monotonic())


class Suite:
    """Runs steps one after the other and remembers how each ended."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.outcomes: list[Outcome] = []

    def check(self, name: str, command: Sequence[str], *, environment: dict[str, str] | None = None) -> None:
        """Runs a command that is quiet when all is well; shows what it said when it is not."""
        self.together([Check(name, command, environment or {})])

    def together(self, checks: Sequence[Check]) -> None:
        """Runs such commands, as many at once as there are processors, and tells of each when it has ended."""
        left = list(checks)
        running: list[Running] = []
        ended: dict[str, Outcome] = {}
        try:
            while left or running:
                while left and len(running) < (os.cpu_count() or 1):
                    running.append(left.pop(0).start())
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    ended[one.name] = self._end(one)
                time.sleep(0.02)
        finally:
            for one in running:
                one.process.kill()
                one.process.wait()
        self.outcomes += [ended[check.name] for check in checks]

    def _end(self, one: Running) -> Outcome:
        seconds = time.monotonic() - one.began
        with one.output:
            one.output.seek(0)
            said = one.output.read().decode(errors="replace").rstrip()
        is_green = one.process.returncode == 0
        if is_green:
            self.steps.done(one.name, seconds)
        else:
            self.steps.say(f"  {one.name} ... failed\n{said}\n")
        return Outcome(name=one.name, is_green=is_green, seconds=seconds)

    def tests(self, name: str, arguments: Sequence[str], *, may_be_empty: bool) -> None:
        """Runs pytest and shows what it says as it says it."""
        self.steps.say(f"\n{name}: pytest {' '.join(arguments)}")
        began = time.monotonic()
        code = subprocess.run([str(PYTHON), "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
        is_empty = code == NOTHING_SELECTED and may_be_empty
        note = "none of those asked for" if is_empty else ""
        self.outcomes.append(
            Outcome(name=name, is_green=code == 0 or is_empty, seconds=time.monotonic() - began, note=note)
        )

    def leave_out(self, name: str, *, is_green: bool, note: str) -> None:
        self.outcomes.append(Outcome(name=name, is_green=is_green, seconds=0.0, note=note))

    def summary(self) -> str:
        width = max(len(outcome.name) for outcome in self.outcomes)
        lines = ["", "Summary"]
        for outcome in self.outcomes:
            word = "ok" if outcome.is_green else "FAILED"
            if outcome.seconds == 0.0 and outcome.note:
                word = "left out" if outcome.is_green else "MISSING"
            lines.append(f"  {outcome.name:<{width}}  {word:<8}  {outcome.seconds:6.1f} s  {outcome.note}".rstrip())
        lines.append(f"{'All green' if self.is_green else 'Not green'} after {self.steps.total():.0f} s.")
        return "\n".join(lines)

    @property
    def is_green(self) -> bool:
        return all(outcome.is_green for outcome in self.outcomes)


def chromium() -> str | None:
    """Path of the browser that the browser tests drive; CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    return next((path for path in map(shutil.which, CHROMIUM_NAMES) if path), None)


def options_of(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """bin/test's own options, and the rest for pytest."""
    parser = argparse.ArgumentParser(
        prog="bin/test",
        description="Run every check and every test. What is not listed here goes to pytest, paths and -k included.",
        allow_abbrev=False,
    )
    parser.add_argument("--no-browser", action="store_true", help="leave out what needs Chromium, and say so")
    parser.add_argument(
        "--peers", action="store_true", help="also start real third-party programs (llama.cpp, Prometheus, LiteLLM)"
    )
    parser.add_argument("--only-tests", action="store_true", help="no format, lint, type and import checks")
    return parser.parse_known_args(argv)


def prepare_environment(var: Path) -> None:
    """Points every setting at the suite's own folder, before anything loads Django."""
    for name in OWN_SETTINGS:
        os.environ.pop(name, None)
    os.environ.update(PHASELINE_VAR=str(var), PHASELINE_ENV_FILE=os.devnull)
    # Each server that a test starts, and each worker, would compile the product and the tests anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("SECRET_KEY", None)
    os.environ.pop("PHASELINE_ENCRYPTION_KEYS", None)
    ensure_secrets(var)
    (var / "build" / "static").mkdir(parents=True, exist_ok=True)


def start_servers(supervisor: Supervisor, var: Path) -> None:
    """Fresh PostgreSQL and Valkey; their addresses go into the environment."""
    run = var / "run"
    shutil.rmtree(var / "valkey", ignore_errors=True)
    postgres = EmbeddedPostgres(var / "postgres", run=run, log=var / "logs" / "postgres.log", is_careless=True)
    postgres.heal()
    shutil.rmtree(postgres.data, ignore_errors=True)
    postgres.initialise()
    valkey = EmbeddedValkey(var / "valkey", run=run, log=var / "logs" / "valkey.log", is_careless=True)
    supervisor.start(postgres.program())
    supervisor.start(valkey.program())
    supervisor.wait_until_ready("postgres", "valkey")
    postgres.create_database()
    os.environ.update(DATABASE_URL=postgres.url, CELERY_BROKER_URL=valkey.url, PHASELINE_TESTS_TEMPLATE=NAME)


def preparations() -> list[Check]:
    """What the tests find made: a database with all migrations, of which each worker gets a copy, and static files."""
    return [
        Check("Database", [str(PYTHON), "manage.py", "migrate", "--verbosity", "0"]),
        Check("Chart bundle, static files", [str(PYTHON), "-m", "config.prepare", "static"]),
    ]


def code_checks() -> list[Check]:
    """Everything that reads the code without running the product; what takes longest begins first."""
    python = str(PYTHON)
    return [
        Check("Types (mypy)", [python, "-m", "mypy", *APPS]),
        # Compiles the tests once, before several workers would each do so.
        Check("Tests can be read", [python, "-m", "pytest", "--collect-only", "-q"]),
        Check("Migrations are complete", [python, "manage.py", "makemigrations", "--check", "--dry-run"]),
        Check(
            "Settings are safe to deploy",
            [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            DEPLOYED,
        ),
        Check("Import contracts", [python, "-c", "from importlinter.cli import lint_imports_command as c; c()"]),
        Check("Templates (djlint)", [python, "-m", "djlint", "templates", "--lint", "--quiet"]),
        Check("Lint (ruff)", [python, "-m", "ruff", "check", "."]),
        Check("Format (ruff)", [python, "-m", "ruff", "format", "--check", "."]),
    ]


def is_browser_only(rest: Sequence[str]) -> bool:
    """Whether every path among pytest's arguments lies in tests/browser, so that the other runs would find nothing."""
    paths = [word.partition("::")[0] for word in rest if not word.startswith("-")]
    paths = [word for word in paths if (ROOT / word).exists()]
    home = ROOT / "tests" / "browser"
    return bool(paths) and all((ROOT / word).resolve().is_relative_to(home) for word in paths)


def run_tests(suite: Suite, options: argparse.Namespace, rest: list[str]) -> None:
    """pytest three times: what needs nothing, what needs Chromium, what needs peers."""
    # The floor holds for the whole suite; a part of it covers less.
    coverage = [] if rest else ["--cov", "--cov-report=", f"--cov-fail-under={COVERAGE_FLOOR}"]
    # The servers are new with each bin/test: what one run migrates, the next one takes as it is.
    shared = ["--reuse-db", "-q", *rest]
    if is_browser_only(rest):
        suite.leave_out("Tests", is_green=True, note="those asked for need a browser")
    else:
        suite.tests("Tests", ["-n", str(WORKERS), "--dist", "loadfile", *coverage, *shared], may_be_empty=bool(rest))
    browser = chromium()
    if options.no_browser:
        suite.leave_out("Browser tests", is_green=True, note="by --no-browser")
    elif browser is None:
        note = "Chromium is missing: apt-get install chromium, or bin/test --no-browser for the rest"
        suite.leave_out("Browser tests", is_green=False, note=note)
    else:
        os.environ["CHROMIUM"] = browser
        two = ["-n", "2", "--dist", "worksteal"]
        suite.tests("Browser tests", ["-m", "browser", *two, *shared], may_be_empty=bool(rest))
    if options.peers:
        suite.check("A LiteLLM proxy, in an environment of its own", [str(PYTHON), "-m", "tests.peers.litellm_home"])
        suite.tests("Peers", ["-m", "peers", *shared], may_be_empty=bool(rest))


def _stop_on(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    options, rest = options_of(argv)
    steps = Steps()
    steps.began -= max(0.0, time.time() - float(os.environ.pop("PHASELINE_STARTED", time.time())))
    signal.signal(signal.SIGTERM, _stop_on)
    var = ROOT / "var" / "test"
    suite = Suite(steps)
    supervisor = Supervisor(var / "run", say=steps.say)
    code = 1
    try:
        take_lock(var)
        stop_left_over(var / "run")
        prepare_environment(var)
        with steps.step("PostgreSQL and Valkey"):
            start_servers(supervisor, var)
        suite.together([*preparations(), *([] if options.only_tests else code_checks())])
        run_tests(suite, options, rest)
        steps.say(suite.summary())
        code = 0 if suite.is_green else 1
    except SetupError as error:
        steps.say(str(error))
    except KeyboardInterrupt:
        steps.say("\nStopped.")
        code = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
