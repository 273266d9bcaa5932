"""A short temporary folder: sockets below it have short paths, whatever pytest's own folder is called."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def var() -> Iterator[Path]:
    """An empty var folder, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
    (folder / "run").mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
