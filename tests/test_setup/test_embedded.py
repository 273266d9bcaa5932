"""The embedded PostgreSQL and Valkey: real servers, started and killed."""

import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import LONGEST_SOCKET_FOLDER, EmbeddedPostgres, EmbeddedValkey, choose_account, socket_folder
from config.install import SetupError
from config.supervisor import Supervisor


@pytest.fixture
def supervisor(var: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(var / "run")
    yield supervisor
    supervisor.stop()


@pytest.fixture
def postgres(var: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(var / "postgres", run=var / "run", log=var / "postgres.log", is_careless=True)


def start(supervisor: Supervisor, server: EmbeddedPostgres) -> None:
    server.initialise()
    supervisor.start(server.program())
    supervisor.wait_until_ready("postgres", seconds=60)
    server.create_database()


def ask(server: EmbeddedPostgres, statement: str) -> list[tuple]:
    with psycopg.connect(server.url.replace("@/", "@localhost/"), host=str(server.sockets)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_it_starts_without_tcp_and_finds_its_data_again(supervisor, postgres):
    start(supervisor, postgres)
    assert ask(postgres, "show listen_addresses") == [("",)]
    ask(postgres, "create table kept as select 7 as value")
    supervisor.stop()
    assert postgres.initialise() is False
    start(supervisor, postgres)
    assert ask(postgres, "select value from kept") == [(7,)]


def test_it_heals_after_a_kill(var, supervisor):
    postgres = EmbeddedPostgres(var / "postgres", run=var / "run", log=var / "postgres.log")
    start(supervisor, postgres)
    ask(postgres, "create table kept as select 7 as value")
    os.kill(supervisor.process_id("postgres"), signal.SIGKILL)
    wait_for(lambda: bool(supervisor.restart_dead()), seconds=10)
    supervisor.wait_until_ready("postgres")
    assert ask(postgres, "select value from kept") == [(7,)]


def test_it_does_not_take_another_program_for_a_running_server(supervisor, postgres):
    """A stale pid file whose number is a living process's by now, which PostgreSQL alone refuses to start over."""
    start(supervisor, postgres)
    pid_file = postgres.data / "postmaster.pid"
    kept = pid_file.read_text().splitlines()
    supervisor.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *kept[1:]]) + "\n")
    if postgres.account.user is not None:
        os.chown(pid_file, postgres.account.user, -1)
    start(supervisor, postgres)
    assert ask(postgres, "select 1") == [(1,)]


def test_it_stops_a_server_that_still_holds_the_data(var, supervisor, postgres):
    start(supervisor, postgres)
    first = supervisor.process_id("postgres")
    other = Supervisor(var / "run")
    start(other, EmbeddedPostgres(var / "postgres", run=var / "run", log=var / "other.log", is_careless=True))
    try:
        assert other.process_id("postgres") != first
        assert ask(postgres, "select 1") == [(1,)]
    finally:
        other.stop()


def test_it_makes_a_half_made_data_folder_again(postgres):
    draft = postgres.home / "data.new"
    draft.mkdir()
    (draft / "left").touch()
    assert postgres.initialise() is True
    assert (postgres.data / "PG_VERSION").is_file()
    assert not draft.exists()


def test_it_says_what_to_do_with_data_of_another_major_version(postgres):
    postgres.initialise()
    (postgres.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(SetupError, match=r"PostgreSQL 17's and this is PostgreSQL 18.*Upgrade"):
        postgres.initialise()


def test_it_says_when_the_server_does_not_get_ready(supervisor, postgres):
    postgres.initialise()
    (postgres.data / "postgresql.conf").write_text("nonsense = 1\n")
    supervisor.start(postgres.program())
    with pytest.raises(SetupError, match=r"(?s)nonsense.*postgres ended with 1"):
        supervisor.wait_until_ready("postgres")


def test_a_long_path_gets_a_short_private_socket_folder(var):
    wanted = var / ("a" * LONGEST_SOCKET_FOLDER)
    folder = socket_folder(wanted)
    try:
        assert len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder == socket_folder(wanted)
        assert folder != socket_folder(var / ("b" * LONGEST_SOCKET_FOLDER))
    finally:
        folder.rmdir()
        socket_folder(var / ("b" * LONGEST_SOCKET_FOLDER)).rmdir()


def test_a_link_in_the_place_of_the_socket_folder_is_refused(var):
    (var / "elsewhere").mkdir()
    (var / "pg").symlink_to(var / "elsewhere")
    with pytest.raises(SetupError, match="belongs to someone else"):
        socket_folder(var / "pg")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses whom to run PostgreSQL as")
def test_root_falls_back_to_nobody_where_user_namespaces_are_forbidden(var, supervisor, monkeypatch):
    """/tmp can be reached by nobody, so that the data stays where it was wanted."""
    real = choose_account.__globals__["shutil"].which
    monkeypatch.setattr("config.embedded.shutil.which", lambda name: None if name == "unshare" else real(name))
    monkeypatch.setattr("config.embedded.SYSTEM_FOLDER", var / "system")
    var.chmod(0o711)
    server = EmbeddedPostgres(var / "postgres", run=var / "run", log=var / "postgres.log", is_careless=True)
    assert server.account.user is not None
    start(supervisor, server)
    assert ask(server, "select 1") == [(1,)]
    assert server.data.stat().st_uid == server.account.user


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses whom to run PostgreSQL as")
def test_root_takes_data_and_programs_where_nobody_can_reach_them(var, supervisor, monkeypatch):
    closed = var / "closed"
    closed.mkdir(mode=0o700)
    (closed / "var" / "run").mkdir(parents=True)
    monkeypatch.setattr("config.embedded.shutil.which", lambda name: None)
    monkeypatch.setattr("config.embedded.SYSTEM_FOLDER", var / "system")
    var.chmod(0o711)
    home, run = closed / "var" / "postgres", closed / "var" / "run"
    server = EmbeddedPostgres(home, run=run, log=var / "postgres.log", is_careless=True)
    assert server.home.parent == var / "system"
    start(supervisor, server)
    assert ask(server, "select 1") == [(1,)]
    again = EmbeddedPostgres(home, run=run, log=var / "postgres.log", is_careless=True)
    assert again.data == server.data


def test_what_is_queued_in_valkey_survives_a_kill(var, supervisor):
    valkey = EmbeddedValkey(var / "valkey", run=var / "run", log=var / "valkey.log")
    supervisor.start(valkey.program())
    supervisor.wait_until_ready("valkey")
    assert say(valkey, "SET kept 7") == "+OK"
    time.sleep(1.2)  # it writes its file through every second
    os.kill(supervisor.process_id("valkey"), signal.SIGKILL)
    wait_for(lambda: bool(supervisor.restart_dead()), seconds=10)
    supervisor.wait_until_ready("valkey")
    assert say(valkey, "GET kept") == "$1\r\n7"


def say(valkey: EmbeddedValkey, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(valkey.socket))
        client.sendall(command.encode() + b"\r\n")
        return client.recv(1000).decode().strip()


def wait_for(is_so: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
