"""That no log and no report of an error quotes the address of a private link."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.utils.log import ServerFormatter

from config.error_report import ErrorReport
from config.logs import NoSecretAddresses, without_secret_addresses
from tests.roadmap.report_links.common import page_of

SECRET = "s3cr3t-" + "x" * 36


@pytest.mark.parametrize(
    "line",
    [
        f"GET /r/{SECRET}/ HTTP/1.1",
        f"GET http://h.example:8000/r/{SECRET}/report.pdf?lang=nl HTTP/1.1",
        f'"http://h.example/r/{SECRET}"',
        f"Not Found: /r/{SECRET}/else",
    ],
)
def test_an_address_is_taken_out_of_a_line(line):
    assert SECRET not in without_secret_addresses(line)
    assert "/r/•••" in without_secret_addresses(line)


def test_an_address_that_ends_a_subscription_is_one():
    assert SECRET not in without_secret_addresses(f"GET /reports/unsubscribe/{SECRET}/ HTTP/1.1")


def test_other_addresses_stay_as_they_are():
    for line in ("GET /reports/0b0e7c52-8f2b-4a6e-9a42-0c3a6b2f7c11/ HTTP/1.1", "GET /r/short/ HTTP/1.1", "/r/"):
        assert without_secret_addresses(line) == line


def test_django_does_not_log_it(secret, caplog):
    caplog.handler.addFilter(NoSecretAddresses())
    with caplog.at_level(logging.DEBUG):
        Client().get(f"/r/{SECRET}/")
        Client().post(page_of(secret))
    assert "/r/•••" in caplog.text
    assert SECRET not in caplog.text
    assert secret not in caplog.text


def test_every_handler_of_the_logs_takes_it_out(settings):
    """runserver's too, which Django gives a handler of its own."""
    assert settings.LOGGING["loggers"]["django.server"]["handlers"] == ["console"]
    named = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    of_ours = [one for log in named for one in log.handlers if one.formatter and one.formatter._fmt.startswith("%(asc")]
    assert of_ours
    for handler in of_ours:
        assert any(isinstance(one, NoSecretAddresses) for one in handler.filters)
    own = logging.getLogger("django.server").handlers
    assert not [one for one in own if isinstance(one.formatter, ServerFormatter)]


def test_pages_and_mails_of_errors_do_not_quote_it(rf: RequestFactory, settings):
    request = rf.get(f"/r/{SECRET}/", HTTP_REFERER=f"http://h.example/r/{SECRET}/")
    request.user = AnonymousUser()
    try:
        raise ValueError("broken")
    except ValueError as error:
        report = ErrorReport(request, ValueError, error, error.__traceback__)
        for text in (report.get_traceback_html(), report.get_traceback_text()):
            assert "broken" in text
            assert SECRET not in text
            assert "/r/•••" in text
    assert settings.DEFAULT_EXCEPTION_REPORTER == "config.error_report.ErrorReport"
