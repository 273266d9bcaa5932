"""Push storms in which something is killed, frozen or full: what was acknowledged counts once, the rest is sent again.

The client's own tally is the proof (tests/flows/storm/client.py). Each storm is a few seconds;
PHASELINE_STORM_SECONDS=300 makes them long.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.storm.ground import assert_whole, storm


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group whose processes may take 64 kB more than they have."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root, f"phaseline-{os.getpid()}")
        try:
            group.mkdir()
            (group / limit).write_text("65536")
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("only root can bound a process's memory, where control groups are mounted")


def test_sixteen_clients_write_to_one_hot_series(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path, ways=[*["body"] * 5, *["key"] * 5, *["ids"] * 6], cells="one") as one:
        one.goes_on(pushes=200)
        one.rages()
        tally = one.end()
    assert_whole(ground, tally)
    # More at once than a process takes are told to come again; nothing else is refused.
    assert {"201"} <= set(tally["answers"]) <= {"201", "429"}
    assert [len(cells) for cells in tally["cells"].values()] == [1, 1, 1]
    assert ground.query("SELECT deadlocks FROM pg_stat_database WHERE datname = 'phaseline'") == [(0,)]


def test_the_web_server_is_killed(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        for worker in ground.workers():
            worker.kill()
        one.goes_on()
        # The master alone; its workers end by themselves, or the supervisor ends them.
        ground.process("web").kill()
        one.goes_on()
        os.killpg(ground.supervisor.process_id("web"), signal.SIGKILL)
        one.goes_on()
        one.rages()
        tally = one.end()
    assert_whole(ground, tally)
    assert set(tally["answers"]) - {"201", "409", "503"}, "no connection ever broke"


def test_postgresql_is_killed(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        ground.backends()[0].kill()
        one.goes_on()
        ground.process("postgres").kill()
        one.goes_on()
        one.rages()
        tally = one.end()
    assert_whole(ground, tally)
    assert tally["answers"]["503"]


def test_valkey_is_killed_and_stays_away(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path) as one:
        one.goes_on()
        ground.supervisor.stop("valkey")
        one.goes_on()
        one.rages()
        tally = one.end()
    assert_whole(ground, tally)
    assert set(tally["answers"]) == {"201"}


def test_a_web_worker_runs_out_of_memory(little_memory, start, tmp_path):
    ground = start()
    with storm(ground, tmp_path, records=2000) as one:
        one.goes_on(pushes=10)
        one_worker = ground.workers()[0]
        (little_memory / "cgroup.procs").write_text(str(one_worker.pid))
        # The kernel ends it as soon as it takes a little more.
        assert ground.watch(lambda: not one_worker.is_running(), seconds=15)
        one.goes_on(pushes=20)
        tally = one.end()
    assert_whole(ground, tally)
