"""What the tests of private links to reports share."""

from __future__ import annotations

from datetime import datetime

from django.test import Client
from django.urls import reverse

KINDS = ("pdf", "xlsx", "csv", "json")
DEAD = "This link does not work any more"
PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")


def page_of(secret: str) -> str:
    return reverse("linked_report", args=[secret])


def read(secret: str):
    return Client().get(page_of(secret))


def move_to(monkeypatch, moment: datetime) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)
