"""The virtual environment, made and filled before anything else: `bin/up`, `bin/test`, `bin/bench` and
`bin/messages` begin here.

Runs under the machine's own Python with the standard library alone, as a script and not through the package, because
`config/__init__` needs Celery. When the environment is there it hands over to `NEXT` inside it.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = {
    "up": ["requirements.txt"],
    "test": ["requirements.txt", "requirements-clouds.txt", "requirements-parquet.txt", "requirements-test.txt"],
    "bench": ["requirements.txt", "requirements-parquet.txt"],
    "messages": ["requirements.txt"],
}
NEXT = {"up": "config.up", "test": "config.suite", "bench": "benchmarks", "messages": "config.messages"}
LOCK_VARIABLE = "PHASELINE_LOCK_FD"


class SetupError(Exception):
    """Something a person can put right; the message is one sentence that says how."""


class Steps:
    """Names each step as it runs and says how long it took."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.began = time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Names the step, runs it and says how long it took."""
        self.begin(name)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._write("stopped\n")
            raise
        self.end(time.monotonic() - began)

    def begin(self, name: str) -> None:
        self._write(f"  {name} ... ")

    def end(self, seconds: float) -> None:
        self._write(f"{seconds:.1f} s\n")

    def done(self, name: str, seconds: float) -> None:
        self._write(f"  {name} ... {seconds:.1f} s\n")

    def say(self, text: str) -> None:
        self._write(f"{text}\n")

    def total(self) -> float:
        return time.monotonic() - self.began

    def _write(self, text: str) -> None:
        # The terminal may be gone while the programs go on.
        with contextlib.suppress(OSError):
            self.out.write(text)
            self.out.flush()


def var_folder() -> Path:
    return Path(os.environ.get("PHASELINE_VAR") or ROOT / "var").absolute()


def up_options(argv: Sequence[str]) -> argparse.Namespace:
    """bin/up's options; an unknown one ends the program before anything is installed."""
    parser = argparse.ArgumentParser(
        prog="bin/up",
        description="Start Phaseline: database, broker, web server, worker and scheduler. Ctrl-C stops all.",
    )
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000), help="web port (8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    demo = parser.add_mutually_exclusive_group()
    demo.add_argument("--demo", action="store_true", help="make the demo data and its accounts, whatever the host")
    demo.add_argument("--no-demo", action="store_true", help="start empty, with a link for making the first admin")
    options = parser.parse_args(argv)
    if not 0 < options.port < 65536:
        parser.error("--port takes a number from 1 to 65535")
    return options


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Raises SetupError where the web server could not listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except PermissionError:
            raise SetupError(f"Only root may listen on port {port}; choose another: bin/up --port 8000.") from None
        except socket.gaierror:
            raise SetupError(f"This machine knows no address '{host}'; leave --host out or give one it has.") from None
        except OSError as error:
            if error.errno in {98, 48}:  # EADDRINUSE on Linux, on macOS
                other = port + 1 if port < 65535 else 8000
                raise SetupError(
                    f"Port {port} is in use by another program; stop that one or choose another port: "
                    f"bin/up --port {other}."
                ) from None
            raise SetupError(f"Cannot listen on {host}:{port} ({error.strerror}); choose another --host.") from None


def check_writable(folder: Path) -> None:
    """Raises SetupError unless a file can be made in the folder, which is made if it is missing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"Cannot write in {folder} ({error.strerror}); give this user the folder, "
            "or clone Phaseline to one of your own."
        ) from None


def take_lock(var: Path) -> int:
    """Takes the lock of this var folder and returns its descriptor. The kernel drops it however the process ends."""
    run = var / "run"
    check_writable(run)
    descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        raise SetupError(
            f"Phaseline is already running here{f' ({holder})' if holder else ''}; "
            "stop it with Ctrl-C in its terminal first."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
    return descriptor


def digest(files: Sequence[Path]) -> str:
    """The text of the requirement files that the environment was made from, as a hash."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()


def ensure_environment(names: Sequence[str], steps: Steps) -> None:
    """Makes .venv and installs the requirement files that changed since the last time."""
    uv = shutil.which("uv")
    if not _runs(PYTHON):
        with steps.step("Virtual environment"):
            _make_environment(uv)
    constraints = ROOT / "constraints.txt"
    missing = []
    for name in names:
        stamp = ENVIRONMENT / f".installed-{name}"
        if not stamp.is_file() or stamp.read_text() != digest([ROOT / name, constraints]):
            missing.append(name)
    if not missing:
        return
    with steps.step(f"Python packages ({', '.join(missing)}, {'uv' if uv else 'pip'})"):
        _install(missing, uv)
    for name in missing:
        (ENVIRONMENT / f".installed-{name}").write_text(digest([ROOT / name, constraints]))


def ensure_translations(steps: Steps) -> None:
    """Compiles the catalogues of translations that are newer than what was compiled of them."""
    stale = [
        file
        for file in ROOT.glob("locale/*/LC_MESSAGES/django.po")
        if not (made := file.with_suffix(".mo")).is_file() or made.stat().st_mtime_ns < file.stat().st_mtime_ns
    ]
    if not stale:
        return
    with steps.step("Translations"):
        command = [str(PYTHON), "-m", "config.messages", "--compile"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise SetupError(f"{done.stderr.strip()[-2000:]}\nThe translations could not be compiled; see above.")


def _runs(python: Path) -> bool:
    """Whether this interpreter starts, is recent enough and can install packages."""
    if not python.exists():
        return False
    code = "import sys, importlib.util as u; sys.exit(sys.version_info < (3, 11) or not (u.find_spec('pip') or %r))"
    tried = subprocess.run([python, "-c", code % bool(shutil.which("uv"))], capture_output=True, check=False)
    return tried.returncode == 0


def _make_environment(uv: str | None) -> None:
    if uv:
        command = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)]
    else:
        try:
            import ensurepip  # noqa: F401, PLC0415  Debian ships Python without it
            import venv  # noqa: F401, PLC0415
        except ImportError:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupError(
                f"Python {version} is here without its venv module; install it "
                f"(Debian, Ubuntu: apt install python{version}-venv) or install uv, then start again."
            ) from None
        command = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SetupError(f"Could not make {ENVIRONMENT}: {(made.stderr or made.stdout).strip()[-500:]}")
    if not uv and sys.version_info < (3, 12):
        # 10 MB that nothing here uses; later versions of Python leave it out themselves.
        uninstall = [str(PYTHON), "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools"]
        subprocess.run(uninstall, capture_output=True, check=False)


def _install(names: Sequence[str], uv: str | None) -> None:
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
    else:
        # Not compiled here: Python compiles what is imported, a third of the files, when it is imported.
        command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        command += ["--no-input"]
    for name in names:
        command += ["-r", str(ROOT / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise SetupError(
            f"{said}\n"
            "The Python packages could not be installed; the lines above say why. Start again when it is put right."
        )


def main(argv: Sequence[str]) -> int:
    """Checks what can be checked early, fills the environment and becomes the next program; returns only on failure."""
    what, *rest = argv
    steps = Steps()
    environment = dict(os.environ)
    names = list(REQUIREMENTS[what])
    try:
        var = var_folder()
        if what == "up":
            options = up_options(rest)
            check_writable(ROOT)
            check_writable(var)
            lock = take_lock(var)
            # What a killed start left behind is stopped later, which frees its port.
            if not (var / "run" / "children.json").exists():
                check_port(options.host, options.port)
            os.set_inheritable(lock, True)  # noqa: FBT003
            environment[LOCK_VARIABLE] = str(lock)
            steps.say("Phaseline")
        else:
            check_writable(ROOT)
            if "--peers" in rest:
                names.append("requirements-peers.txt")
        ensure_environment(names, steps)
        if what != "messages":
            ensure_translations(steps)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    environment["PHASELINE_STARTED"] = repr(time.time() - steps.total())
    os.chdir(ROOT)
    return os.execve(PYTHON, [str(PYTHON), "-m", NEXT[what], *rest], environment)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
