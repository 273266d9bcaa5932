"""The cast: the same people and workloads in every test, so that who may see what is never in question.

alice manages the workload `claims`, bob contributes to it, vera views it; oscar manages `other` and is the outsider to
`claims`; adam is admin, erin executive.
"""

from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from accounts.access import Asker
from accounts.models import Membership, OrganisationRole, Role, Token, User, Workload
from accounts.tokens import make_token
from config.messages import compile_stale

# A machine that is busy with something else is slow; that is no defect of what is tested.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


def pytest_configure() -> None:
    """Tests read the catalogues of translations as they stand."""
    compile_stale()


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
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def _person(username: str, first: str, last: str, role: str = OrganisationRole.MEMBER) -> User:
    return User.objects.create_user(
        username=username,
        password="correct horse battery",
        email=f"{username}@example.org",
        first_name=first,
        last_name=last,
        organisation_role=role,
    )


@pytest.fixture
def claims(db) -> Workload:
    return Workload.objects.create(slug="claims", name="Claims assistant")


@pytest.fixture
def other(db) -> Workload:
    return Workload.objects.create(slug="other", name="Other use case")


@pytest.fixture
def alice(claims) -> User:
    person = _person("alice", "Alice", "Manager")
    Membership.objects.create(user=person, workload=claims, role=Role.MANAGER)
    return person


@pytest.fixture
def bob(claims) -> User:
    person = _person("bob", "Bob", "Builder")
    Membership.objects.create(user=person, workload=claims, role=Role.CONTRIBUTOR)
    return person


@pytest.fixture
def vera(claims) -> User:
    person = _person("vera", "Vera", "Viewer")
    Membership.objects.create(user=person, workload=claims, role=Role.VIEWER)
    return person


@pytest.fixture
def oscar(other) -> User:
    person = _person("oscar", "Oscar", "Outsider")
    Membership.objects.create(user=person, workload=other, role=Role.MANAGER)
    return person


@pytest.fixture
def adam(db) -> User:
    return _person("adam", "Adam", "Admin", OrganisationRole.ADMIN)


@pytest.fixture
def erin(db) -> User:
    return _person("erin", "Erin", "Executive", OrganisationRole.EXECUTIVE)


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
