"""Fixtures of all tests: the people (tests/cast.py), clients that ask as them, rows that last (tests/lasting.py)."""

from __future__ import annotations

import gc
import os

import pytest
from django.conf import settings as django_settings
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from accounts.access import Asker
from accounts.models import Token, User, Workload
from accounts.tokens import make_token
from config.messages import compile_stale
from tests.cast import person, workload
from tests.lasting import PASSWORD_HASHERS, STORAGES, lasting

__all__ = ["lasting"]

# A machine that is busy with something else is slow; that is no defect of what is tested.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


def pytest_configure() -> None:
    """Tests read the catalogues of translations as they stand."""
    compile_stale()


def pytest_collection_finish() -> None:
    """What was collected stays to the end; the garbage collector would look through all of it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings):
    """Each worker's database is a copy of the one that bin/test has migrated, where it names one."""
    template = os.environ.get("PHASELINE_TESTS_TEMPLATE")
    if template:
        django_settings.DATABASES["default"]["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """A transactional test empties every table when it ends; the triggers against TRUNCATE would refuse: those of the
    audit trail and of published reports.

    They are switched off in the tests' database alone, and on again in the tests of them
    (tests/accounts/test_audit_kept.py, tests/roadmap/test_report_files.py).
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_is_kept")
        for table in ("report", "reportfile", "reportwords", "report_covers"):
            cursor.execute(f"ALTER TABLE roadmap_{table} DISABLE TRIGGER reports_are_kept")


@pytest.fixture(autouse=True)
def _plain_static(settings):
    """Pages are drawn without a collected manifest."""
    settings.STORAGES = STORAGES
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS


@pytest.fixture
def claims(db) -> Workload:
    return workload("claims")


@pytest.fixture
def other(db) -> Workload:
    return workload("other")


@pytest.fixture
def alice(claims) -> User:
    return person("alice")


@pytest.fixture
def bob(claims) -> User:
    return person("bob")


@pytest.fixture
def vera(claims) -> User:
    return person("vera")


@pytest.fixture
def oscar(other) -> User:
    return person("oscar")


@pytest.fixture
def adam(db) -> User:
    return person("adam")


@pytest.fixture
def erin(db) -> User:
    return person("erin")


@pytest.fixture
def sign_in(client):
    """`sign_in(person)`: Django's test client, signed in."""

    def _sign_in(person: User):
        client.force_login(person)
        return client

    return _sign_in


@pytest.fixture
def asker():
    """`asker(person)`: the person as the actions and queries know them."""
    return lambda person: Asker(user=person)


@pytest.fixture
def api():
    """`api(person, scopes=[...], workload=None)`: a REST client with a token: `.token` its row, `.text` its text."""

    def _api(person: User, *, scopes: list[str], workload: Workload | None = None, **fields) -> APIClient:
        token, text = make_token(name="test", owner=person, scopes=scopes, workload=workload, **fields)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        client.token = Token.objects.get(pk=token.pk)
        client.text = text
        return client

    return _api
