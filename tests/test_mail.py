"""EMAIL_URL: one address becomes Django's settings; a wrong one is said, and mails reach a real server."""

from __future__ import annotations

import pytest
from aiosmtpd.smtp import AuthResult
from django.core.mail import send_mail

from config.checks import check_settings
from config.mail import mail_settings
from tests.doubles.mail_server import mail_server

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay", {"EMAIL_HOST": "relay", "EMAIL_PORT": 25, "EMAIL_BACKEND": SMTP}),
        (
            "smtp+tls://jo%40example.org:p%2Fq@mail.example.org",
            {
                "EMAIL_HOST": "mail.example.org",
                "EMAIL_PORT": 587,
                "EMAIL_HOST_USER": "jo@example.org",
                "EMAIL_HOST_PASSWORD": "p/q",
                "EMAIL_USE_TLS": True,
                "EMAIL_BACKEND": SMTP,
            },
        ),
        (
            "smtp+ssl://mail.example.org:10465",
            {"EMAIL_HOST": "mail.example.org", "EMAIL_PORT": 10465, "EMAIL_USE_SSL": True, "EMAIL_BACKEND": SMTP},
        ),
        ("consolemail://", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
    ],
)
def test_an_address_becomes_settings(url, expected):
    assert mail_settings(url) == expected


@pytest.mark.parametrize("url", ["mail.example.org:587", "https://mail.example.org", "smtp://", "smtp://relay:mail"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="it "):
        mail_settings(url)


def test_a_wrong_address_and_a_sender_that_servers_refuse_are_system_checks(settings):
    settings.EMAIL_PROBLEM = "it names no server"
    [found] = [one for one in check_settings(None) if one.id == "phaseline.E025"]
    assert "it names no server" in found.msg
    settings.EMAIL_PROBLEM, settings.EMAIL_URL = "", "smtp://relay"
    settings.DEFAULT_FROM_EMAIL = "Phaseline <phaseline@localhost>"
    assert [one.id for one in check_settings(None) if "Mails" in one.msg] == ["phaseline.W003"]
    settings.DEFAULT_FROM_EMAIL = "Phaseline <phaseline@example.org>"
    assert not [one for one in check_settings(None) if "Mails" in one.msg]


def test_a_mail_reaches_a_server_that_asks_for_a_password(settings):
    def authenticator(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"jo@example.org", b"p/q"))

    with mail_server(authenticator=authenticator, auth_required=True, auth_require_tls=False) as server:
        url = server.address.replace("//", "//jo%40example.org:p%2Fq@")
        for name, value in mail_settings(url).items():
            setattr(settings, name, value)
        assert send_mail("Hello", "There.", None, ["bob@example.org"]) == 1
    [mail] = server.mails
    assert (mail["Subject"], mail["From"]) == ("Hello", settings.DEFAULT_FROM_EMAIL)
    assert server.recipients == [["bob@example.org"]]
