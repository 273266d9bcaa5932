"""What happens before anything is installed: Python, folder, port, lock, environment."""

import argparse
import io
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from config import install
from config.install import ROOT, SetupError


def in_shell(var: Path, names: dict[str, str], script: str) -> "subprocess.CompletedProcess[str]":
    """Runs sh with nothing on its PATH but the named programs, each a shell script, and what sh itself needs."""
    folder = var / "programs"
    folder.mkdir()
    for name, text in names.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "dirname").symlink_to("/usr/bin/dirname")
    environment = {"PATH": str(folder), "HOME": str(var)}
    return subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )


FIND = "set -- ; . bin/find-python.sh; echo $python"


def find_python(var: Path, names: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    # $0 is what the scripts in bin/ use to find the checkout.
    return in_shell(var, names, f"exec /bin/sh -c '{FIND.replace('set -- ; ', '')}' bin/up")


OLD = 'case "$2" in *python_version*) echo 3.9.2;; *) exit 1;; esac'
RECENT = "exit 0"
WITHOUT_VENV = 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac'


def test_it_says_in_one_sentence_that_python_is_missing(var):
    done = find_python(var, {})
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and this machine has none" in done.stderr
    assert "apt install python3" in done.stderr


def test_it_says_which_python_is_too_old(var):
    done = find_python(var, {"python3": OLD})
    assert done.returncode == 1
    assert "this machine has only Python 3.9.2" in done.stderr


def test_it_takes_a_newer_python_over_the_machine_s_old_one(var):
    assert find_python(var, {"python3": OLD, "python3.12": RECENT}).stdout.strip() == "python3.12"


def test_it_takes_the_python_that_has_venv(var):
    names = {"python3.13": WITHOUT_VENV, "python3.11": RECENT}
    assert find_python(var, names).stdout.strip() == "python3.11"


def test_it_takes_a_python_without_venv_where_there_is_no_other(var):
    assert find_python(var, {"python3.13": WITHOUT_VENV}).stdout.strip() == "python3.13"


def test_it_says_how_to_install_a_missing_venv_module(monkeypatch):
    monkeypatch.setitem(install.sys.modules, "ensurepip", None)
    with pytest.raises(SetupError, match=r"without its venv module; install it .*apt install python3\.\d+-venv"):
        install._make_environment(None)


def test_it_names_another_port_when_one_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} is in use.*bin/up --port {port + 1}\."):
            install.check_port("127.0.0.1", port)
    install.check_port("127.0.0.1", port)


def test_it_says_when_this_machine_does_not_have_the_address():
    with pytest.raises(SetupError, match=r"192\.0\.2\.1"):
        install.check_port("192.0.2.1", 8000)
    with pytest.raises(SetupError, match="knows no address"):
        install.check_port("no-such-name.invalid", 8000)


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--prot", "1"]])
def test_it_refuses_wrong_options_before_installing(argv, capsys):
    with pytest.raises(SystemExit):
        install.up_options(argv)
    assert "bin/up" in capsys.readouterr().err


def test_demo_and_no_demo_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        install.up_options(["--demo", "--no-demo"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_it_knows_loopback(host, expected):
    assert install.is_loopback(host) is expected


def test_a_folder_it_cannot_write_to_is_said_in_a_sentence():
    with pytest.raises(SetupError, match=r"Cannot write in /proc/phaseline .*clone Phaseline to one of your own"):
        install.check_writable(Path("/proc/phaseline"))


def test_a_second_start_is_refused_and_a_dead_one_s_lock_is_not(var):
    first = install.take_lock(var)
    with pytest.raises(SetupError, match=rf"already running here \(process {os.getpid()}\)"):
        install.take_lock(var)
    os.close(first)  # what the kernel does for a process that was killed
    os.close(install.take_lock(var))


def test_a_changed_requirement_is_installed_and_an_unchanged_one_is_not(var, monkeypatch):
    installed: list[list[str]] = []
    monkeypatch.setattr(install, "ROOT", var)
    monkeypatch.setattr(install, "ENVIRONMENT", var)
    monkeypatch.setattr(install, "_runs", lambda python: True)
    monkeypatch.setattr(install, "_install", lambda names, uv: installed.append(list(names)))
    for name in ("requirements.txt", "requirements-test.txt", "constraints.txt"):
        (var / name).write_text(name)
    both = ["requirements.txt", "requirements-test.txt"]
    install.ensure_environment(both, install.Steps())
    install.ensure_environment(both, install.Steps())
    (var / "requirements-test.txt").write_text("more")
    install.ensure_environment(both, install.Steps())
    (var / "constraints.txt").write_text("newer")
    install.ensure_environment(["requirements.txt"], install.Steps())
    assert installed == [both, ["requirements-test.txt"], ["requirements.txt"]]


def test_a_failed_installation_shows_why_and_is_tried_again(var, monkeypatch):
    (var / "pip").write_text("#!/bin/sh\necho 'No matching distribution' >&2\nexit 1\n")
    (var / "pip").chmod(0o755)
    monkeypatch.setattr(install, "PYTHON", var / "pip")
    with pytest.raises(SetupError, match=r"(?s)No matching distribution.*could not be installed"):
        install._install(["requirements.txt"], None)


def test_every_direct_dependency_is_pinned_and_so_is_all_they_bring():
    pinned = {line.split("==")[0] for line in read("constraints.txt") if "==" in line}
    for file in ("requirements.txt", "requirements-clouds.txt", "requirements-test.txt", "requirements-peers.txt"):
        lines = read(file)
        assert "-c constraints.txt" in lines
        for line in lines:
            if line.startswith(("-c", "#")):
                continue
            assert re.fullmatch(r"[a-z0-9-]+(\[[a-z,-]+\])?==[0-9a-z.]+", line), line
    runtime = {re.split(r"[\[=]", line)[0] for line in read("requirements.txt") if line[0].isalpha()}
    assert runtime <= pinned


def read(name: str) -> list[str]:
    return [line.split(" ;")[0].strip() for line in (ROOT / name).read_text().splitlines() if line.strip()]


def test_options_are_those_that_the_documentation_lists():
    documented = (ROOT / "docs" / "operations.md").read_text()
    options = vars(install.up_options([]))
    assert isinstance(install.up_options([]), argparse.Namespace)
    for name in options:
        assert f"--{name.replace('_', '-')}" in documented


class GoneTerminal(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


def test_a_terminal_that_is_gone_stops_nothing():
    steps = install.Steps(GoneTerminal())
    with steps.step("Migrations"):
        done = True
    steps.say("still here")
    assert done
