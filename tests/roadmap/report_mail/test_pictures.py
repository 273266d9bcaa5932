"""The drawings of a mail: PNG beside the HTML, in each language; and what becomes of one that cannot be drawn."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP

import pytest
from PIL import Image

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportFile
from roadmap.reports.documents import document_of
from roadmap.reports.outputs import chart
from roadmap.reports.outputs.mail import read_mail
from tests.roadmap.report_mail.conftest import MONTH, NOW
from tests.roadmap.test_reports import push, roadmap

__all__ = ["roadmap"]

_IMAGE = re.compile(r'<img class="picture" src="cid:([^"]+)" width="560" alt="([^"]+)"')
SAID = {
    "roadmap": {
        "en": "34.00\u00a0USD were spent by 31\u00a0Oct\u00a02026",
        "nl": "Tot en met 31\u00a0okt\u00a02026 is 34,00\u00a0USD uitgegeven",
    },
    "portfolio": {"en": "Spend by month against plan", "nl": "Uitgaven per maand tegenover het plan"},
}


@pytest.fixture
def spent(roadmap, monkeypatch):
    """'Letters', which spent 1.00 USD on each of 34 days up to 31 October, and is read in both languages."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    for day in range(34):
        push(roadmap, datetime(2026, 10, 31, 10, tzinfo=UTC) - timedelta(days=day), requests=10, cost="1.00")
    return roadmap


def reports_of(spent, adam, subscribe) -> list[Report]:
    subjects = [Report(scope="roadmap", roadmap=spent), Report(scope="portfolio")]
    for subject in subjects:
        for language in ("en", "nl"):
            subscribe(subject, f"{language}@board.example", language=language)
    closed = close_month(Asker(adam), MONTH)
    assert closed.failed == closed.waiting == ()
    return [report for report in closed.published if report.scope in SAID]


def kept(report: Report, language: str) -> bytes:
    return bytes(report.files.get(kind=ReportFile.Kind.MAIL, language=language).content)


@pytest.mark.parametrize("language", ["en", "nl"])
def test_what_is_published_is_mailed_with_its_drawing(spent, adam, subscribe, language):
    reports = reports_of(spent, adam, subscribe)
    assert [report.scope for report in reports] == ["roadmap", "portfolio"]
    for report in reports:
        message = message_from_bytes(kept(report, language), policy=SMTP)
        assert read_mail(kept(report, language)).subject == document_of(report.payload, language).news.replace(
            "\u00a0", " "
        )
        [part] = [part for part in message.walk() if part.get_content_type() == "image/png"]
        html = message.get_body(("html",)).get_content()
        [(cid, alt)] = _IMAGE.findall(html)
        assert part["Content-ID"] == f"<{cid}>"
        assert alt.startswith(SAID[report.scope][language])
        assert alt.split(";")[0] in message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        picture = Image.open(io.BytesIO(part.get_content()))
        assert (picture.format, picture.width) == ("PNG", 1120)
        assert 700 < picture.height < 860
        # Ink on white: something is drawn, and not all of it.
        dark = sum(picture.convert("L").histogram()[:128]) / (picture.width * picture.height)
        assert 0.005 < dark < 0.3


def test_a_drawing_that_fails_is_left_out_and_holds_up_nothing(spent, adam, subscribe, monkeypatch, tmp_path, caplog):
    sheet = tmp_path / "chart.typ"
    sheet.write_text('#panic("no room")')
    monkeypatch.setattr(chart, "_SHEET", sheet)
    for report in reports_of(spent, adam, subscribe):
        mail = read_mail(kept(report, "en"))
        assert mail.pictures == []
        assert "<img" not in mail.html
        assert SAID[report.scope]["en"] in mail.html
        assert SAID[report.scope]["en"] in mail.text
    assert "no room" in caplog.text
    assert "The drawing 'course' of the mail 'Letters, October 2026' is left out." in caplog.text
