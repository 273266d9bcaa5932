"""Servers that a test may break: `start` makes them, as `bin/up` would, from data that was made once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.flows.storm.ground import Ground, Seed, make_seed


@pytest.fixture(scope="session")
def seed() -> Iterator[Seed]:
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
    (folder / "run").mkdir()
    yield make_seed(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start(seed) -> Iterator[Callable[..., Ground]]:
    """`start(DATABASE_POOL_SIZE="1")`: servers of this test's own, with these settings beside the usual ones."""
    with ExitStack() as stack:

        def _start(var: Path | None = None, **environment: str) -> Ground:
            if var is None:
                var = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
                stack.callback(shutil.rmtree, var, ignore_errors=True)
            ground = Ground(seed, var, environment=environment)
            stack.callback(ground.close)
            ground.start()
            return ground

        yield _start
