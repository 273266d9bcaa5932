"""The supervisor: real child processes that die, are restarted, stopped in order and found again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.install import ROOT, SetupError
from config.supervisor import Program, Supervisor, birth, stop_left_over

SLEEPER = "import time; time.sleep(60)"


def program(var: Path, name: str, code: str = SLEEPER, **more) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], log=var / f"{name}.log", **more)


def wait_for(is_so: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_it_starts_again_what_dies_and_waits_longer_each_time(var):
    said: list[str] = []
    supervisor = Supervisor(var / "run", say=said.append)
    supervisor.start(program(var, "flighty", "import sys; sys.exit(3)"))
    started: list[float] = []
    while len(started) < 2:
        if supervisor.restart_dead():
            started.append(time.monotonic())
        time.sleep(0.02)
    wait_for(lambda: bool(supervisor.restart_dead()) or len(said) == 3)
    supervisor.stop()
    assert said[0] == "flighty ended with 3; starting it again in 1 s"
    assert said[1].endswith("in 2 s")
    assert said[2].endswith("in 4 s")
    assert started[1] - started[0] > 1.9


def test_it_stops_the_last_started_first(var):
    code = "import signal, sys, time\n"
    code += "def end(*_):\n    open({file!r}, 'a').write('{name} ')\n    sys.exit(0)\n"
    code += "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\ntime.sleep(60)"
    supervisor = Supervisor(var / "run")
    order = var / "order"
    for name in ("database", "web", "worker"):
        log = var / f"{name}.log"
        text = code.format(file=str(order), name=name)
        supervisor.start(program(var, name, text, is_ready=lambda log=log: "up" in log.read_text()))
    supervisor.wait_until_ready("database", "web", "worker")
    supervisor.stop()
    assert order.read_text().split() == ["worker", "web", "database"]
    assert not (var / "run" / "children.json").exists()


def test_it_kills_what_does_not_stop(var):
    supervisor = Supervisor(var / "run")
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    ready = lambda: "up" in (var / "deaf.log").read_text()  # noqa: E731
    supervisor.start(program(var, "deaf", code, stop_seconds=0.3, is_ready=ready))
    supervisor.wait_until_ready("deaf")
    pid = supervisor.process_id("deaf")
    supervisor.stop()
    assert birth(pid) == ""


def test_it_stops_the_grandchildren_too(var):
    code = "import subprocess, sys, time\n"
    code += f"print(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]).pid, flush=True)\ntime.sleep(60)"
    supervisor = Supervisor(var / "run")
    supervisor.start(program(var, "parent", code, is_ready=lambda: (var / "parent.log").read_text().strip() != ""))
    supervisor.wait_until_ready("parent")
    grandchild = int((var / "parent.log").read_text())
    assert birth(grandchild)
    supervisor.stop()
    wait_for(lambda: birth(grandchild) == "")


def test_it_says_the_last_words_of_what_ends_before_it_is_ready(var):
    supervisor = Supervisor(var / "run")
    supervisor.start(program(var, "broken", "raise SystemExit('no such file')", is_ready=lambda: False))
    with pytest.raises(SetupError, match=r"(?s)no such file.*broken ended with 1; its log is"):
        supervisor.wait_until_ready("broken")
    supervisor.stop()


def test_it_says_when_something_is_not_ready_in_time(var):
    supervisor = Supervisor(var / "run")
    supervisor.start(program(var, "slow", is_ready=lambda: False))
    with pytest.raises(SetupError, match=r"slow was not ready after 0 s"):
        supervisor.wait_until_ready("slow", seconds=0.2)
    supervisor.stop()


def test_a_long_log_is_put_aside_while_its_program_goes_on(var, monkeypatch):
    monkeypatch.setattr("config.supervisor.LOG_LIMIT", 1000)
    code = (
        "import time\nprint('x' * 2000, flush=True)\nwhile True:\n    time.sleep(0.1)\n    print('after', flush=True)"
    )
    supervisor = Supervisor(var / "run")
    log, old = var / "wordy.log", var / "wordy.old.log"
    supervisor.start(program(var, "wordy", code, is_ready=lambda: log.stat().st_size > 2000))
    supervisor.wait_until_ready("wordy")
    supervisor.put_long_logs_aside()
    wait_for(lambda: log.read_text().startswith("after"))
    supervisor.put_long_logs_aside()
    supervisor.stop()
    assert old.read_text().startswith("x" * 2000)
    assert log.stat().st_size < 1000


# A supervisor in a process of its own, which starts a child, prints its number and is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
import config.supervisor as module

var, sleeper, is_deaf = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "deaf"
if is_deaf:
    module.die_with_parent = lambda number: (lambda: None)
supervisor = module.Supervisor(var / "run")
supervisor.start(module.Program(name="child", command=[sys.executable, "-c", sleeper], log=var / "child.log"))
print(supervisor.process_id("child"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run_killed(var: Path, *, is_deaf: bool) -> int:
    """The number of its child; one that is deaf is not told by the kernel, as on macOS."""
    command = [sys.executable, "-c", KILLED, str(var), SLEEPER, "deaf" if is_deaf else ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_supervisor_takes_its_children_with_it(var):
    child = run_killed(var, is_deaf=False)
    wait_for(lambda: birth(child) == "")


def test_the_next_start_stops_what_a_killed_supervisor_left(var):
    child = run_killed(var, is_deaf=True)
    assert birth(child)
    assert "child" in stop_left_over(var / "run")
    wait_for(lambda: birth(child) == "")
    assert not (var / "run" / "children.json").exists()


def test_the_next_start_finds_workers_whose_master_is_gone(var):
    """No record of them is left: they are known by the mark in their environment."""
    environment = {**os.environ, "PHASELINE_RUN": str(var / "run")}
    orphan = subprocess.Popen([sys.executable, "-c", SLEEPER], env=environment)
    wait_for(lambda: Path(f"/proc/{orphan.pid}/cmdline").read_bytes().startswith(sys.executable.encode()))
    assert len(stop_left_over(var / "run")) == 1
    assert birth(orphan.pid) == ""


def test_it_leaves_another_process_with_a_recorded_number_alone(var):
    bystander = subprocess.Popen([sys.executable, "-c", SLEEPER])
    row = {"name": "web", "pid": bystander.pid, "born": "an earlier boot/17", "stop_signal": 15}
    (var / "run" / "children.json").write_text(json.dumps([row]))
    assert stop_left_over(var / "run") == []
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_broken_record_does_not_stop_the_next_start(var):
    (var / "run" / "children.json").write_text('[{"name": "we')
    assert stop_left_over(var / "run") == []


# A supervisor that may write no file, as on a full disk, and whose child dies twice.
FULL_DISK = """
import os, resource, signal, sys, time
from pathlib import Path
import config.supervisor as module

var, sleeper = Path(sys.argv[1]), sys.argv[2]
module.LOG_LIMIT, module.FIRST_DELAY = 10, 0.1
said = []
supervisor = module.Supervisor(var / "run", say=said.append)
(var / "child.log").write_text("x" * 1000)
supervisor.start(module.Program(name="child", command=[sys.executable, "-c", sleeper], log=var / "child.log"))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for _ in range(2):
    os.kill(supervisor.process_id("child"), signal.SIGKILL)
    while not supervisor.restart_dead():
        time.sleep(0.02)
    supervisor.put_long_logs_aside()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
is_running = supervisor.is_running("child")
supervisor.put_long_logs_aside()
supervisor.stop()
print(is_running, *said, sep="\\n")
"""


def test_a_full_disk_ends_no_supervisor(var):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(var), SLEEPER], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "True"
    assert sum("children.json: " in line for line in lines) == 2
    assert sum("child.log: " in line for line in lines) == 2
    assert (var / "child.old.log").read_text() == "x" * 1000
    assert (var / "child.log").read_text() == ""
