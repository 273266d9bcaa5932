"""From a stored backend to the connector that reads it: decrypted secrets, the outbound policy, the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import F

from metrics.connector import Connector
from metrics.connectors import connector_for
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.models import Backend
from metrics.secrets import open_sealed
from metrics.words import N_, phrase

PUSH_ONLY = "push_only"
# Carries what billing files state (metrics.importing).
BILLING_FILE = "billing_file"
# Kinds of backend that nothing is asked of: what they know is brought.
NOT_PULLED = (PUSH_ONLY, BILLING_FILE)
DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "amqp": 5672, "amqps": 5671}


def now() -> datetime:
    """The aware UTC time; the clock of connectors."""
    return datetime.now(UTC)


def outbound_policy() -> OutboundPolicy:
    """Where this installation may connect to, from its settings; its own database and broker are always refused."""
    return OutboundPolicy(
        allow=parse_networks([str(entry) for entry in settings.OUTBOUND_ALLOW]),
        forbidden_endpoints=tuple(_own_servers()),
    )


@contextmanager
def connector_with(kind: str, parameters: Mapping[str, Any]) -> Iterator[Connector]:
    """Yield a connector over cleaned parameters, secrets included; its connections are closed afterwards."""
    with HttpClient(outbound_policy()) as http:
        connector = connector_for(kind)(parameters, http, now)
        http.meter.requests_a_minute = connector.pace.requests_a_minute
        yield connector


@contextmanager
def connector_of(backend: Backend, *, is_backfill: bool = False) -> Iterator[Connector]:
    """Yield the backend's connector. Raises ConnectorError where its kind is unknown or its secret cannot be read.

    Where the source allows so many requests a day they are counted; a backfill may use half of them.
    """
    if backend.connector in NOT_PULLED:
        raise ConnectorError(N_("This backend is pushed to; there is nothing to pull."), permanent=True)
    try:
        connector_for(backend.connector)
    except RuleViolation:
        raise ConnectorError(
            phrase("This installation knows no connector '%(connector)s'.", connector=backend.connector),
            permanent=True,
            hint=N_("It was added by a version that has it; upgrade, or remove the backend."),
        ) from None
    with connector_with(backend.connector, {**backend.parameters, **open_sealed(backend.secrets)}) as connector:
        allowed, meter = connector.pace.requests_a_day, connector.http.meter
        if allowed is None:
            yield connector
            return
        today = now().date()
        made = backend.requests_made if backend.requests_on == today else 0
        meter.most_requests = max((allowed // 2 if is_backfill else allowed) - made, 0)
        try:
            yield connector
        finally:
            count_requests(backend, meter.requests, today)


def count_requests(backend: Backend, made: int, today: date) -> None:
    """Add to the requests of a UTC day."""
    rows = Backend.objects.filter(pk=backend.pk)
    if not rows.filter(requests_on=today).update(requests_made=F("requests_made") + made):
        rows.update(requests_on=today, requests_made=made)


def _own_servers() -> Iterator[tuple[str, int]]:
    """(host, port) of each server that the settings name, however they do: several, in options, by the environment."""
    for database in settings.DATABASES.values():
        options = database.get("OPTIONS") or {}
        given = [str(database.get("HOST") or options.get("host") or os.environ.get("PGHOST") or "")]
        given += [str(options.get("hostaddr") or os.environ.get("PGHOSTADDR") or "")]
        ports = str(database.get("PORT") or options.get("port") or os.environ.get("PGPORT") or 5432).split(",")
        for hosts in given:
            for place, host in enumerate(hosts.split(",")):
                # A host that begins with a slash, or none, is a Unix socket, which no address of http reaches.
                if host and not host.startswith("/"):
                    yield host, int(ports[place] if place < len(ports) else ports[0])
    for address in str(settings.CELERY_BROKER_URL).split(";"):
        broker = urlsplit(address)
        if broker.hostname:
            yield broker.hostname, broker.port or DEFAULT_PORTS.get(broker.scheme, 6379)
