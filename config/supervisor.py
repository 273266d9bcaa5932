"""One supervisor for every program of a set-up: starts them, starts again what dies, stops all in order.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which then stops the
children in the opposite order of their start. On Linux the kernel tells each child when the supervisor was killed; what
is left nevertheless is found by the next start in `children.json` and stopped there. Knows nothing of Django.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from config.install import SetupError

MARK = "PHASELINE_RUN"
# A child that dies is started again after 1, 2, 4 ... 30 seconds; a minute without dying begins again at 1.
FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0
SETTLED_AFTER = 60.0
LOG_LIMIT = 20_000_000
LOGS_LOOKED_AT_EVERY = 60.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and how it wants to be stopped."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: int | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 20.0
    is_ready: Callable[[], bool] | None = None
    before_start: Callable[[], None] | None = None


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    delay: float = FIRST_DELAY
    restart_at: float | None = None


class Supervisor:
    """Runs programs; `run_folder` keeps children.json, by which the next start finds what this one left behind."""

    def __init__(self, run_folder: Path, *, say: Callable[[str], None] = lambda text: None) -> None:
        self.run_folder = run_folder
        self.say = say
        self._children: dict[str, _Child] = {}

    def start(self, program: Program) -> None:
        """Starts a program; does not wait until it is ready."""
        if program.before_start:
            program.before_start()
        self._children[program.name] = _Child(program, self._spawn(program), time.monotonic())
        self._record()

    def wait_until_ready(self, *names: str, seconds: float = 60.0) -> None:
        """Returns when each named program is ready. Raises SetupError with the last words of one that is not."""
        deadline = time.monotonic() + seconds
        for name in names:
            child = self._children[name]
            while not (child.program.is_ready is None or child.program.is_ready()):
                code = child.process.poll()
                if code is not None:
                    raise SetupError(
                        f"{_tail(child.program.log)}\n{name} ended with {code}; its log is {child.program.log}."
                    )
                if time.monotonic() > deadline:
                    raise SetupError(
                        f"{_tail(child.program.log)}\n{name} was not ready after {seconds:.0f} s; "
                        f"its log is {child.program.log}."
                    )
                time.sleep(0.05)

    def is_running(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def process_id(self, name: str) -> int:
        return self._children[name].process.pid

    def restart_dead(self) -> list[str]:
        """Starts again what died and has waited long enough; returns the names of those started."""
        started = []
        now = time.monotonic()
        for child in list(self._children.values()):
            if child.restart_at is None:
                code = child.process.poll()
                if code is None:
                    continue
                if now - child.started > SETTLED_AFTER:
                    child.delay = FIRST_DELAY
                child.restart_at = now + child.delay
                self.say(f"{child.program.name} ended with {code}; starting it again in {child.delay:.0f} s")
            elif now >= child.restart_at:
                _end_group(child.process.pid)
                try:
                    if child.program.before_start:
                        child.program.before_start()
                    child.process = self._spawn(child.program)
                except (OSError, SetupError) as error:
                    self.say(f"{child.program.name}: {error}")
                child.started, child.restart_at = now, None
                child.delay = min(child.delay * 2, LONGEST_DELAY)
                self._record()
                started.append(child.program.name)
        return started

    def run(self, *, every: float = 0.5) -> None:
        """Keeps the programs running until an exception (KeyboardInterrupt) ends it."""
        looked_at = time.monotonic()
        while True:
            self.restart_dead()
            if time.monotonic() - looked_at > LOGS_LOOKED_AT_EVERY:
                looked_at = time.monotonic()
                self.put_long_logs_aside()
            time.sleep(every)

    def put_long_logs_aside(self) -> None:
        """Copies each log past LOG_LIMIT to `<name>.old.log` and empties it; its program goes on appending."""
        for child in self._children.values():
            log = child.program.log
            if log.is_file() and log.stat().st_size > LOG_LIMIT:
                aside = log.with_suffix(".old.log")
                try:
                    shutil.copyfile(log, aside)
                    os.truncate(log, 0)
                except OSError as error:
                    # A full disk. The log waits, and half a copy takes no room.
                    self.say(f"{log}: {error.strerror}")
                    aside.unlink(missing_ok=True)

    def stop(self, *names: str) -> None:
        """Stops the named programs, or all, each after those started later, and waits for them."""
        for name in reversed([name for name in self._children if not names or name in names]):
            child = self._children.pop(name)
            _stop(child.process, child.program)
        self._record()

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        program.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **program.environment, MARK: str(self.run_folder)}
        user = {"user": program.user, "group": program.user, "extra_groups": []} if program.user is not None else {}
        with program.log.open("ab") as log:
            return subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=program.folder,
                env=environment,
                start_new_session=True,
                preexec_fn=die_with_parent(program.stop_signal),  # noqa: PLW1509  the supervisor has one thread
                **user,  # type: ignore[call-overload]
            )

    def _record(self) -> None:
        """Writes down what runs. On a full disk the next start finds it by its mark alone."""
        file = self.run_folder / "children.json"
        if not self._children:
            file.unlink(missing_ok=True)
            return
        rows = [
            {
                "name": child.program.name,
                "pid": child.process.pid,
                "born": birth(child.process.pid),
                "stop_signal": int(child.program.stop_signal),
            }
            for child in self._children.values()
        ]
        draft = file.with_suffix(".new")
        try:
            draft.write_text(json.dumps(rows))
            draft.replace(file)
        except OSError as error:
            self.say(f"{file}: {error.strerror}")


def die_with_parent(number: int) -> Callable[[], None]:
    """A function for the new child: asks Linux to send the signal when the supervisor ends, in whatever way."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _stop(process: "subprocess.Popen[bytes]", program: Program) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
        try:
            process.wait(program.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _end_group(process.pid)


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def birth(pid: int) -> str:
    """When a process began, as text that no other process with the same id shares; empty where there is none."""
    if sys.platform == "linux":
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # The name in brackets may hold anything; field 22 is the start in clock ticks since the boot.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else f"{boot}/{fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.1f}"
    except psutil.Error:
        return ""


def stop_left_over(run_folder: Path, *, seconds: float = 15.0) -> list[str]:
    """Stops what an earlier supervisor of this run folder left running when it was killed; returns the names."""
    file = run_folder / "children.json"
    try:
        rows = json.loads(file.read_text())
    except (OSError, ValueError):
        rows = []
    names = []
    for row in reversed(rows):
        pid, born = int(row["pid"]), str(row["born"])
        if born and birth(pid) == born:
            names.append(str(row["name"]))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, int(row["stop_signal"]))
            if not _gone(pid, born, seconds):
                _end_group(pid)
                _gone(pid, born, 5)
    for process in _marked(run_folder):
        names.append(process.name())
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(5)
    file.unlink(missing_ok=True)
    return names


def _gone(pid: int, born: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while birth(pid) == born:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _marked(run_folder: Path) -> list[psutil.Process]:
    """Processes that carry this run folder's mark: workers whose master was killed."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(run_folder):
                found.append(process)
    return found


def _tail(log: Path, *, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
