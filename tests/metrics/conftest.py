"""A backend and its series, for tests of usage."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metrics import identity, sources
from metrics.models import Backend
from metrics.usage import SeriesKey


@pytest.fixture(autouse=True)
def _no_remembered_ids():
    """Ids of rows that another test rolled back must not be found."""
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def in_november(monkeypatch):
    """The clock of sources and files stands at 26 Nov 2026, so that fixed days lie within what is kept."""
    monkeypatch.setattr(sources, "now", lambda: datetime(2026, 11, 26, 12, tzinfo=UTC))


@pytest.fixture
def backend(db) -> Backend:
    return Backend.objects.create(slug="gpu-1", name="GPU 1", connector="metrics", provider="vllm")


@pytest.fixture
def make_identity(backend):
    """`make_identity(model, labels=..., workload_id=...)`: a stream of usage on `backend`, or on `on`."""

    def _make(model, *, on=None, is_pushed=False, workload_id=None, measured_at="server", through_id=None, **key):
        return identity.SeriesIdentity(
            SeriesKey(provider=(on or backend).provider, model=model, **key),
            (on or backend).pk,
            is_pushed=is_pushed,
            workload_id=workload_id,
            measured_at=measured_at,
            through_id=through_id,
        )

    return _make


@pytest.fixture
def make_series(make_identity):
    """`make_series(model, ...)`: the id of that series."""

    def _make(model, **fields) -> int:
        wanted = make_identity(model, **fields)
        return identity.series_ids([wanted])[wanted]

    return _make
