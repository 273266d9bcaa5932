"""/healthz and /readyz, as a container's health check and a load balancer ask them."""

import pytest
from django.db import DatabaseError

from web import health


def test_healthz_answers_without_signing_in_and_without_the_database(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert "no-cache" in answer["Cache-Control"]


@pytest.mark.django_db
def test_readyz_is_ready_when_database_and_broker_answer(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.json()
    assert answer.json() == {"status": "ok", "database": "ok", "broker": "ok"}


@pytest.mark.django_db
def test_readyz_says_that_the_broker_does_not_answer(client, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["broker"] == "no answer"
    assert answer.json()["database"] == "ok"


@pytest.mark.django_db
def test_readyz_says_that_the_database_does_not_answer(client, monkeypatch):
    def refuse(connection):
        raise DatabaseError

    monkeypatch.setattr(health, "MigrationExecutor", refuse)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "no answer"


@pytest.mark.django_db
def test_readyz_counts_migrations_that_are_missing(client, monkeypatch):
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda self, targets: [1, 2])
    assert client.get("/readyz").json()["database"] == "2 migrations are not applied"


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_they_take_no_post(client, address):
    assert client.post(address).status_code == 405
