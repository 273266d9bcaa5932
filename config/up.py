"""`bin/up` inside the environment: servers, data, web, worker and scheduler under one supervisor, and what to do next.

`config.install` has checked the folder, the port and Python by now and hands over the lock.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import environ
import psutil

from config.embedded import EmbeddedPostgres, EmbeddedValkey
from config.install import (
    ENVIRONMENT,
    LOCK_VARIABLE,
    PYTHON,
    ROOT,
    SetupError,
    Steps,
    check_port,
    is_loopback,
    take_lock,
    up_options,
    var_folder,
)
from config.keys import ensure_demo_passwords, ensure_secrets, write_private
from config.next_steps import next_steps
from config.supervisor import Program, Supervisor, die_with_parent, stop_left_over

# What may be pulled from by default on one's own machine: this machine and private networks.
PRIVATE_NETWORKS = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"


def base_url(host: str, port: int) -> str:
    """The address to print: BASE_URL where it is set, else the one a browser reaches this host by."""
    if os.environ.get("BASE_URL"):
        return os.environ["BASE_URL"].rstrip("/")
    shown = {"0.0.0.0": _outward_address(), "::": _outward_address()}.get(host, host)  # noqa: S104  a comparison
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _outward_address() -> str:
    """This machine's address on its network; no packet is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def allowed_hosts(host: str, url: str) -> list[str]:
    """Names that a browser may use: loopback, the printed address and, when listening on all, this machine's own."""
    names = ["localhost", "127.0.0.1", "[::1]", url.split("//", 1)[1].rsplit(":", 1)[0], socket.gethostname()]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  a comparison
        for addresses in psutil.net_if_addrs().values():
            names += [one.address for one in addresses if one.family == socket.AF_INET]
            names += [f"[{one.address.partition('%')[0]}]" for one in addresses if one.family == socket.AF_INET6]
    elif not is_loopback(host):
        names.append(f"[{host}]" if ":" in host else host)
    return list(dict.fromkeys(names))


def chosen_settings(options: Namespace, *, var: Path) -> dict[str, str]:
    """What bin/up decides for settings that neither the environment nor .env name."""
    url = base_url(options.host, options.port)
    chosen = {
        "BASE_URL": url,
        "ALLOWED_HOSTS": ",".join(allowed_hosts(options.host, url)),
        "OUTBOUND_ALLOW": PRIVATE_NETWORKS,
        "SECURE": "0",
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
        "EXAMPLE_SERVER_URL": f"http://127.0.0.1:{_example_port(var)}",
    }
    return {name: os.environ.get(name) or value for name, value in chosen.items()}


def write_settings(file: Path, settings: dict[str, str]) -> None:
    """Writes settings so that django-environ reads the same values: its double quotes escape as JSON's do."""
    quoted = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]
    write_private(file, "\n".join(quoted) + "\n")


def _example_port(var: Path) -> int:
    """The example server's port, the same at every start so that a backend made of it goes on, unless it is taken."""
    file = var / "example-port"
    port = int(file.read_text()) if file.is_file() else 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        found = int(probe.getsockname()[1])
    file.write_text(str(found))
    return found


def web_command(host: str, port: int) -> list[str]:
    """How gunicorn is started, but for the Python that runs it."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ["gunicorn", "config.wsgi:application", "--config", "python:config.gunicorn", "--bind", bind]


class Start:
    """One start of everything, step by step; `supervisor` holds what runs by then."""

    def __init__(self, options: Namespace, *, var: Path, steps: Steps) -> None:
        self.options, self.var, self.steps = options, var, steps
        self.run, self.logs = var / "run", var / "logs"
        self.supervisor = Supervisor(self.run, say=lambda text: steps.say(f"{time.strftime('%H:%M:%S')} {text}"))
        self.preparing: list[subprocess.Popen[str]] = []
        self.postgres: EmbeddedPostgres | None = None

    def everything(self) -> dict[str, Any]:
        """Starts all of it and returns what prepare found."""
        if left := stop_left_over(self.run):
            self.steps.say(f"  Stopped what an earlier start left running: {', '.join(sorted(set(left)))}")
        check_port(self.options.host, self.options.port)
        ensure_secrets(self.var)
        ensure_demo_passwords(self.var)
        (self.var / "build" / "static").mkdir(parents=True, exist_ok=True)
        settings = chosen_settings(self.options, var=self.var)
        os.environ.update(settings)
        static = self._begin_static()
        self._start_servers()
        settings |= {name: os.environ[name] for name in ("DATABASE_URL", "CELERY_BROKER_URL")}
        write_settings(self.run / "up.env", settings)
        return self._fill_and_serve(static)

    def _fill_and_serve(self, static: "subprocess.Popen[str] | None") -> dict[str, Any]:
        """Migrates, fills and starts the programs; the web server beside that where there is nothing to migrate."""
        stamp, wanted = self.run / "migrated", _data_digest()
        is_migrated = static is None and stamp.is_file() and stamp.read_text() == wanted
        if is_migrated:
            self._start_web()
        found = self._prepare_data()
        self._finish_static(static)
        if not is_migrated:
            if self.postgres is not None:
                self.postgres.checkpoint()
            stamp.write_text(wanted)
            self._start_web()
        with self.steps.step("Web server"):
            self.supervisor.wait_until_ready("web", seconds=60)
        self._start_jobs(demo=bool(found["demo_present"]))
        return found

    def stop(self) -> None:
        """Stops whatever runs by now."""
        for process in self.preparing:
            process.kill()
            process.wait()
        self.supervisor.stop()

    def _start_servers(self) -> None:
        """Starts the embedded servers that no setting replaces, and sets their addresses."""
        if not os.environ.get("DATABASE_URL"):
            with self.steps.step("PostgreSQL"):
                postgres = EmbeddedPostgres(self.var / "postgres", run=self.run, log=self.logs / "postgres.log")
                self.postgres = postgres
                postgres.initialise()
                self.supervisor.start(postgres.program())
                self.supervisor.wait_until_ready("postgres", seconds=120)
                postgres.create_database()
            os.environ["DATABASE_URL"] = postgres.url
            if postgres.home.parent != self.var:
                self.steps.say(f"    its data is in {postgres.home}, since it may not run as root")
        if not os.environ.get("CELERY_BROKER_URL"):
            with self.steps.step("Valkey"):
                valkey = EmbeddedValkey(self.var / "valkey", run=self.run, log=self.logs / "valkey.log")
                self.supervisor.start(valkey.program())
                self.supervisor.wait_until_ready("valkey")
            os.environ["CELERY_BROKER_URL"] = valkey.url

    def _begin_static(self) -> "subprocess.Popen[str] | None":
        """Starts building the static files beside everything else, unless they are those of this checkout already."""
        stamp = self.var / "static-of"
        if stamp.is_file() and stamp.read_text() == _static_digest() and (self.var / "staticfiles").is_dir():
            return None
        stamp.unlink(missing_ok=True)
        return self._prepare("static")

    def _finish_static(self, process: "subprocess.Popen[str] | None") -> None:
        if process is not None:
            self._follow(process, live=False)
            (self.var / "static-of").write_text(_static_digest())

    def _prepare_data(self) -> dict[str, Any]:
        wanted = "first" if is_loopback(self.options.host) else "no"
        if self.options.demo:
            wanted = "yes"
        elif self.options.no_demo:
            wanted = "no"
        return self._follow(self._prepare("data", "--demo", wanted), live=True)

    def _prepare(self, *arguments: str) -> "subprocess.Popen[str]":
        self.logs.mkdir(exist_ok=True)
        with (self.logs / f"prepare-{arguments[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [str(PYTHON), "-m", "config.prepare", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509  the supervisor has one thread
            )
        self.preparing.append(process)
        return process

    def _follow(self, process: "subprocess.Popen[str]", *, live: bool) -> dict[str, Any]:
        """Shows the steps of config.prepare as they run and returns its result. Raises SetupError where it fails."""
        result: dict[str, Any] = {}
        running = ""
        assert process.stdout is not None  # noqa: S101  for mypy
        for line in process.stdout:
            told = json.loads(line)
            if "begin" in told:
                running = told["begin"]
                if live:
                    self.steps.begin(running)
            elif "step" in told:
                if live:
                    self.steps.end(told["seconds"])
                elif told["step"] != "Application":  # named already: the other process loads it as well
                    self.steps.done(told["step"], told["seconds"])
            else:
                result = told["result"]
        if process.wait():
            log = self.logs / ("prepare-data.log" if live else "prepare-static.log")
            last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise SetupError(
                f"\n{last}\n{running or 'Loading Django'} failed; the lines above say why, {log} has all of them."
            )
        return result

    def _start_web(self) -> None:
        host, port = self.options.host, self.options.port
        command = web_command(host, port)
        self._start_module("web", command, is_ready=lambda: _answers(host, port), stop_seconds=15)

    def _start_jobs(self, *, demo: bool) -> None:
        celery = ["celery", "--app", "config"]
        worker = [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        beat = [*celery, "beat", "--loglevel", "INFO", "--pidfile=", "--schedule", str(self.run / "beat-schedule")]
        self._start_module("worker", worker)
        self._start_module("beat", beat, stop_seconds=5)
        if demo:
            address = os.environ["EXAMPLE_SERVER_URL"].rsplit(":", 1)[1]
            self._start_program("example", [str(PYTHON), "manage.py", "example_server", "--port", address], None, 5)

    def _start_module(
        self, name: str, command: list[str], *, is_ready: Callable[[], bool] | None = None, stop_seconds: float = 20
    ) -> None:
        self._start_program(name, [str(PYTHON), "-m", *command], is_ready, stop_seconds)

    def _start_program(
        self, name: str, command: list[str], is_ready: Callable[[], bool] | None, stop_seconds: float
    ) -> None:
        self.supervisor.start(
            Program(
                name=name,
                command=command,
                log=self.logs / f"{name}.log",
                folder=ROOT,
                environment={"PYTHONUNBUFFERED": "1"},
                is_ready=is_ready,
                stop_seconds=stop_seconds,
            )
        )


def _static_digest() -> str:
    """What the static files were made from: the requirements and each file of static/, by size and time."""
    parts = [(ENVIRONMENT / ".installed-requirements.txt").read_text()]
    for file in sorted((ROOT / "static").rglob("*")):
        found = file.stat()
        parts.append(f"{file.relative_to(ROOT)} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(parts)


def _data_digest() -> str:
    """What the database was migrated to: its address, the packages, each migration of this checkout."""
    total = hashlib.sha256(os.environ["DATABASE_URL"].encode())
    total.update((ENVIRONMENT / ".installed-requirements.txt").read_bytes())
    for file in sorted(ROOT.glob("*/migrations/*.py")):
        total.update(str(file).encode() + file.read_bytes())
    return total.hexdigest()


def _answers(host: str, port: int) -> bool:
    """Whether the web server answers /healthz."""
    asked = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    request = urllib.request.Request(f"http://{asked}:{port}/healthz", headers={"Host": "localhost"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def ending(found: dict[str, Any], *, var: Path, options: Namespace, seconds: float) -> str:
    """The text that bin/up ends with."""
    url = os.environ["BASE_URL"]
    lines = ["", f"Phaseline is ready after {seconds:.0f} s:  {url}/", ""]
    if not is_loopback(options.host) and not found["demo_present"] and not options.no_demo:
        lines += ["Other machines can reach this address, so no demo accounts were made; bin/up --demo makes them.", ""]
    lines += next_steps(
        found,
        url=url,
        passwords=ensure_demo_passwords(var),
        passwords_file=var / "demo-sign-ins.json",
        manage=".venv/bin/python manage.py",
    )
    data = "var/" if var == ROOT / "var" else f"{var}/"
    return "\n".join(
        [
            *lines,
            f"Stop:            Ctrl-C here. Start again: bin/up. Data stays in {data}, logs are in {data}logs/.",
            "",
        ]
    )


def _stop_on(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    options = up_options(argv)
    steps = Steps()
    steps.began -= max(0.0, time.time() - float(os.environ.pop("PHASELINE_STARTED", time.time())))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_on)
    env_file = Path(os.environ.get("PHASELINE_ENV_FILE") or ROOT / ".env")
    if env_file.is_file():
        environ.Env.read_env(env_file)
    var = var_folder()
    os.environ["PHASELINE_VAR"] = str(var)
    start = Start(options, var=var, steps=steps)
    code = 0
    try:
        if LOCK_VARIABLE in os.environ:
            os.set_inheritable(int(os.environ.pop(LOCK_VARIABLE)), False)  # noqa: FBT003
        else:
            take_lock(var)
        found = start.everything()
        steps.say(ending(found, var=var, options=options, seconds=steps.total()))
        start.supervisor.run()
    except SetupError as error:
        steps.say(str(error))
        code = 1
    except KeyboardInterrupt:
        steps.say("\nStopping ...")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        start.stop()
    if not code:
        steps.say("Stopped. bin/up starts again, with all data.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
