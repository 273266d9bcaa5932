"""Push storms over a database that does not answer, takes nothing or has no room: 503 until it does, and nothing lost.

The client's own tally is the proof (tests/flows/storm/client.py), as in test_push_storms.py.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.flows.storm.ground import assert_whole, storm


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "phaseline", folder], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def fill_up(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


def test_the_database_freezes(start, tmp_path):
    ground = start(DATABASE_ANSWER_SECONDS="3")
    with storm(ground, tmp_path) as one:
        one.goes_on()
        frozen = [ground.process("postgres"), *ground.process("postgres").children(recursive=True)]
        for process in frozen:
            process.suspend()
        one.rages(9)
        kept = one.acknowledged
        one.rages(2)
        assert one.acknowledged == kept
        for process in frozen:
            process.resume()
        one.goes_on(seconds=15)
        tally = one.end()
    assert_whole(ground, tally, slowest=15)
    assert tally["answers"]["503"] >= 6, "every thread comes back"


def test_every_connection_waits_for_a_lock(start, tmp_path):
    ground = start(DATABASE_POOL_SIZE="2")
    with storm(ground, tmp_path, ways=["body", "key", "ids"] * 6) as one:
        one.goes_on()
        with ground.session() as other:
            other.execute("LOCK TABLE metrics_usagehour IN ACCESS EXCLUSIVE MODE")
            one.rages(8)
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally, slowest=20)
    assert tally["answers"]["503"]


def test_others_hold_every_connection_of_the_server(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one, ExitStack() as others:
        one.goes_on()
        ground.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(200):
                others.enter_context(ground.session())
        with pytest.raises(psycopg.OperationalError, match="too many"):
            ground.session()
        one.rages(7)
        others.close()
        one.goes_on(seconds=10)
        tally = one.end()
    assert_whole(ground, tally, slowest=20)
    assert tally["answers"]["503"]


def test_a_stand_in_that_takes_no_writes(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        ground.query("ALTER DATABASE phaseline SET default_transaction_read_only = on")
        ground.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        one.rages(2)
        ground.query("ALTER DATABASE phaseline RESET default_transaction_read_only", writes=True)
        ground.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally)
    assert tally["answers"]["503"]


def test_a_database_that_was_away_for_long_is_found_at_once(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        ground.supervisor.stop("postgres")
        # Tries that get rarer without end would come after 15 and 31 seconds.
        one.rages(16)
        ground.supervisor.start(ground.postgres.program())
        ground.supervisor.wait_until_ready("postgres")
        one.goes_on(pushes=1, seconds=6)
        tally = one.end()
    assert_whole(ground, tally, slowest=20)
    assert tally["answers"]["503"]


def test_the_disk_is_full(disk, start, tmp_path):
    """Everything of `bin/up` is on it: data, logs, what the supervisor writes down."""
    ground = start(var=disk)
    ballast = disk / "ballast"
    with storm(ground, tmp_path) as one:
        one.goes_on()
        fill_up(ballast)
        one.rages()
        with contextlib.suppress(psycopg.Error):
            # The log needs a new file and has no room for one: PostgreSQL ends itself, and cannot start.
            ground.query("SELECT pg_switch_wal()")
        assert ground.watch(lambda: len(ground.said) > 1, seconds=20)
        fill_up(ballast)
        one.rages(3)
        kept = one.acknowledged
        one.rages(2)
        assert one.acknowledged == kept
        ballast.unlink()
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally)
    assert tally["answers"]["503"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux bounds the files of a running process")
def test_postgresql_may_write_no_further(start, tmp_path):
    """As a full disk or a quota, also where nobody can make a small disk: no file grows past 2 MB, nor does the log."""
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        bound = [ground.process("postgres"), *ground.process("postgres").children(recursive=True)]
        for process in bound:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
        with contextlib.suppress(psycopg.Error):
            ground.query("SELECT pg_switch_wal()")
        # What is started again is a new process, without the limit.
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally)
    assert tally["answers"]["503"]
