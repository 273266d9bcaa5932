"""Wrong or missing settings, as system checks with an id and what to do. Run by every manage.py command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name
from django.core.exceptions import ImproperlyConfigured

from metrics.connectors.presets.catalogue import read_folder

MAKE_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
INSECURE_PREFIX = "django-insecure"


@register
def check_settings(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Every setting that is read from the environment and can be wrong."""
    return [
        *_secret_key(),
        *_encryption_keys(),
        *_time_and_money(),
        *_months(),
        *_links(),
        *_outbound(),
        *_weights(),
        *_presets(),
        *_proxies(),
        *_mail(),
        *_language(),
    ]


def _secret_key() -> list[CheckMessage]:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:
        return [
            Error(
                "SECRET_KEY is not set.", hint="bin/up makes one; else set 50 random characters.", id="phaseline.E001"
            )
        ]
    if len(key) < 32 or key.startswith(INSECURE_PREFIX):
        return [Warning("SECRET_KEY is short or an example.", hint="Use 50 random characters.", id="phaseline.W001")]
    return []


def _encryption_keys() -> list[CheckMessage]:
    if not settings.ENCRYPTION_KEYS:
        return [
            Warning(
                "PHASELINE_ENCRYPTION_KEYS is not set, so the secrets of backends cannot be kept.",
                hint=f"Make one with: {MAKE_KEY}",
                id="phaseline.W002",
            )
        ]
    for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"Key {position} of PHASELINE_ENCRYPTION_KEYS is not a Fernet key.",
                    hint=f"Keys are separated by commas, the first encrypts. Make one with: {MAKE_KEY}",
                    id="phaseline.E003",
                )
            ]
    return []


def _time_and_money() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.REPORTING_TIME_ZONE not in available_timezones():
        found.append(
            Error(
                f"REPORTING_TIME_ZONE '{settings.REPORTING_TIME_ZONE}' is not a time zone.",
                hint="Use a name like UTC, Europe/Amsterdam or Asia/Seoul.",
                id="phaseline.E004",
            )
        )
    if not re.fullmatch(r"[A-Z]{3}", settings.REPORTING_CURRENCY):
        found.append(
            Error(
                f"REPORTING_CURRENCY '{settings.REPORTING_CURRENCY}' is not a currency code.",
                hint="Use three letters of ISO 4217, like EUR or USD.",
                id="phaseline.E005",
            )
        )
    return found


def _months() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, low, high, code in (
        ("REPORT_CLOSE_DAY", 1, 28, "E006"),
        ("REPORT_PROVISIONAL_DAY", 1, max(1, min(settings.REPORT_CLOSE_DAY, 28)), "E034"),
        ("FISCAL_YEAR_START_MONTH", 1, 12, "E007"),
        ("USAGE_RETENTION_MONTHS", 14, 1200, "E008"),
        ("BACKFILLS_AT_ONCE", 1, 64, "E012"),
        ("UPDATE_EVERY_DAYS", 1, 366, "E022"),
        # A receipt can be taken back for 35 days: nothing younger is merged.
        ("COMPACT_AFTER_DAYS", 36, 36_500, "E023"),
        ("RECEIPTS_KEPT_DAYS", 36, 36_500, "E024"),
        ("REPORT_LINK_MAX_DAYS", 1, 366, "E030"),
        ("REPORT_LINK_DAYS", 1, max(1, min(settings.REPORT_LINK_MAX_DAYS, 366)), "E031"),
    ):
        value = getattr(settings, name)
        if not low <= value <= high:
            found.append(
                Error(f"{name} is {value}.", hint=f"It is from {low} to {high}.", id=f"phaseline.{code}"),
            )
    return found


def _links() -> list[CheckMessage]:
    if settings.REPORT_LINKS not in ("on", "off"):
        return [
            Error(
                f"REPORT_LINKS '{settings.REPORT_LINKS}' is not known, so no private link to a report is answered.",
                hint="Use on or off.",
                id="phaseline.E032",
            )
        ]
    return []


def _outbound() -> list[CheckMessage]:
    for entry in settings.OUTBOUND_ALLOW:
        try:
            ip_network(str(entry).strip(), strict=False)
        except ValueError:
            return [
                Error(
                    f"OUTBOUND_ALLOW holds '{entry}', which is not a network.",
                    hint="Write networks separated by commas, like 10.0.0.0/8,127.0.0.1.",
                    id="phaseline.E009",
                )
            ]
    return []


def _proxies() -> list[CheckMessage]:
    for entry in settings.TRUSTED_PROXIES:
        try:
            ip_network(entry, strict=False)
        except ValueError:
            return [
                Error(
                    f"TRUSTED_PROXIES holds '{entry}', which is not a network.",
                    hint="Write the addresses of your proxies separated by commas, like 10.0.0.2,172.16.0.0/12.",
                    id="phaseline.E021",
                )
            ]
    return []


def _mail() -> list[CheckMessage]:
    if settings.EMAIL_PROBLEM:
        return [
            Error(
                f"EMAIL_URL cannot be used: {settings.EMAIL_PROBLEM}.",
                hint="Write it as smtp+tls://user:password@mail.example.org:587, with / @ : # % in user and password "
                "as %2F %40 %3A %23 %25. docs/operations.md lists the forms.",
                id="phaseline.E025",
            )
        ]
    if settings.EMAIL_URL.startswith("smtp") and settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        return [
            Warning(
                f"Mails would come from {settings.DEFAULT_FROM_EMAIL}, which most mail servers refuse.",
                hint="Set DEFAULT_FROM_EMAIL to an address that your mail server may send from.",
                id="phaseline.W003",
            )
        ]
    return []


def _language() -> list[CheckMessage]:
    known = dict(settings.LANGUAGES)
    if settings.DEFAULT_LANGUAGE in known:
        return []
    return [
        Error(
            f"DEFAULT_LANGUAGE '{settings.DEFAULT_LANGUAGE}' is not a language of Phaseline.",
            hint=f"Use one of {', '.join(known)}.",
            id="phaseline.E026",
        )
    ]


def _presets() -> list[CheckMessage]:
    if not settings.PRESET_FOLDER:
        return []
    _, problems = read_folder(Path(settings.PRESET_FOLDER))
    return [
        Error(
            f"PRESET_FOLDER: {problem}",
            hint="docs/connectors/presets.md says what a preset's file holds. Correct it, or take the file away.",
            id="phaseline.E020",
        )
        for problem in problems
    ]


def _weights() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        is_usable = 0 <= Decimal(settings.INPUT_TOKEN_WEIGHT) <= 1
    except InvalidOperation:
        is_usable = False
    if not is_usable:
        found.append(
            Error(
                f"INPUT_TOKEN_WEIGHT '{settings.INPUT_TOKEN_WEIGHT}' is not a number from 0 to 1.",
                hint="It is the weight of an input token against an output token; 0.1 unless you know better.",
                id="phaseline.E010",
            )
        )
    if settings.IDLE_ALLOCATION not in ("as_busy", "unallocated"):
        found.append(
            Error(
                f"IDLE_ALLOCATION '{settings.IDLE_ALLOCATION}' is not known.",
                hint="Use as_busy or unallocated.",
                id="phaseline.E011",
            )
        )
    return found
