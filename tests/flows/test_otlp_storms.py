"""Storms of OTLP exports: replicas with cumulative sums, while the web server or PostgreSQL is killed.

The proof is the tally of each replica: what it had counted at its last acknowledged export is counted, once, however
often an export was sent, cut off after it was kept, or overtaken by a newer one, and through its restarts.
"""

from __future__ import annotations

import os
import signal

from tests.flows.storm.ground import assert_whole, storm

REPLICAS = ["otlp"] * 6


def assert_timed(ground) -> None:
    """Its percentiles have each request once, too."""
    (counted,) = ground.query(
        "SELECT sum(requests), sum(duration_count), "
        "(SELECT sum(n) FROM metrics_ledgerhistogram h, unnest(h.window[2:]) n) FROM metrics_usagehour"
    )
    assert counted[0] == counted[1] == counted[2] > 0


def test_the_web_server_is_killed(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path, ways=REPLICAS) as one:
        one.goes_on()
        for worker in ground.workers():
            worker.kill()
        one.goes_on()
        os.killpg(ground.supervisor.process_id("web"), signal.SIGKILL)
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally)
    assert_timed(ground)
    assert set(tally["answers"]) - {"200", "429", "503"}, "no connection ever broke"


def test_postgresql_is_killed(start, tmp_path):
    ground = start()
    with storm(ground, tmp_path, ways=REPLICAS) as one:
        one.goes_on()
        ground.backends()[0].kill()
        one.goes_on()
        ground.process("postgres").kill()
        one.goes_on()
        tally = one.end()
    assert_whole(ground, tally)
    assert_timed(ground)
    assert tally["answers"]["503"]
