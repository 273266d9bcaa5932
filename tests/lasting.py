"""Rows that take long to make, made once for all tests of a file.

A fixture of module scope makes them inside `with lasting(NOW):`. Each test begins with them, in a transaction inside
theirs, and what it changes is undone when it ends; they go when the file is through. A fixture of a test reads them
anew, so that no test sees an object that another one has changed. Not for a file with transactional tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings

# What holds in every test (tests/conftest.py), and so while rows are made outside of one.
STORAGES = {
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

Lasting = Callable[[datetime], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def lasting(django_db_setup, django_db_blocker) -> Iterator[Lasting]:
    """`with lasting(moment):` rows made as if it were that moment stay for all tests of the file."""

    @contextmanager
    def _lasting(moment: datetime) -> Iterator[None]:
        with (
            django_db_blocker.unblock(),
            override_settings(STORAGES=STORAGES, PASSWORD_HASHERS=PASSWORD_HASHERS),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("django.utils.timezone.now", lambda: moment)
            yield

    with django_db_blocker.unblock():
        around = transaction.atomic()
        # As for a test's own transaction: code that asks for the outermost one gets it.
        around._from_testcase = True
        around.__enter__()
    yield _lasting
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        around.__exit__(None, None, None)
