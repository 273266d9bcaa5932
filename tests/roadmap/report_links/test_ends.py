"""What does not work any more, and that it does not say why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.access import Asker
from roadmap.actions.report_links import revoke_report_link
from roadmap.models import ReportLink
from roadmap.queries.report_links import open_report_link
from tests.roadmap.report_links.common import DEAD, KINDS, move_to, read
from tests.roadmap.test_reports import NOW


def end(case, link, *, alice, settings, monkeypatch):
    """Ends the link in one of the ways there are."""
    if case == "revoked":
        revoke_report_link(Asker(alice), link)
    elif case == "expired":
        move_to(monkeypatch, link.expires_at)
    elif case == "its maker left":
        alice.is_active = False
        alice.save()
    elif case == "its maker is gone":
        alice.delete()
    elif case == "switched off":
        settings.REPORT_LINKS = "off"
    elif case == "a setting that is no setting":
        settings.REPORT_LINKS = "perhaps"


ENDS = ("revoked", "expired", "its maker left", "its maker is gone", "switched off", "a setting that is no setting")


@pytest.mark.parametrize("case", ENDS)
def test_every_dead_link_is_the_page_of_an_unknown_one(secret, case, alice, settings, monkeypatch):
    nowhere = read("x" * 43)
    assert nowhere.status_code == 404
    assert DEAD in nowhere.content.decode()
    with CaptureQueriesContext(connection) as unknown:
        read("y" * 43)
    end(case, ReportLink.objects.get(), alice=alice, settings=settings, monkeypatch=monkeypatch)
    with CaptureQueriesContext(connection) as dead:
        answer = read(secret)
    assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert len(dead) == len(unknown) == 1
    for kind in KINDS:
        answer = Client().get(reverse("linked_report_file", args=[secret, kind]))
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert not ReportLink.objects.filter(uses__gt=0).exists()


def test_it_works_to_the_end_of_its_time_and_not_a_second_longer(secret, monkeypatch):
    link = ReportLink.objects.get()
    assert link.expires_at == NOW + timedelta(days=30)
    move_to(monkeypatch, link.expires_at - timedelta(seconds=1))
    assert read(secret).status_code == 200
    move_to(monkeypatch, link.expires_at)
    assert read(secret).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "x" * 42, "x" * 5000, "%00", "%F0%9F%98%80" * 20, "..%2F..", "' OR 1=1 --", "{secret}%20", "{secret}x"],
)
def test_odd_secrets_open_nothing(secret, wrong):
    answer = Client().get(f"/r/{wrong.format(secret=secret)}/")
    assert answer.status_code == 404
    assert "Letters" not in answer.content.decode()
    assert open_report_link(wrong) is None


@pytest.mark.parametrize("path", ["report.exe", "report.", "report.pdf/", "links/", "../", "report.PDF"])
def test_there_is_nothing_else_below_it(secret, path):
    answer = Client().get(f"/r/{secret}/{path}")
    assert answer.status_code == 404
    assert "Letters" not in answer.content.decode()
    assert "To the portfolio" not in answer.content.decode()
    assert ReportLink.objects.get().uses == 0


def test_without_its_last_slash_it_works_too(secret):
    assert Client().get(f"/r/{secret}").status_code == 200
