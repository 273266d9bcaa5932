"""Making, reading and revoking tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import SetupLink, Token, User, Workload
from web.planned import ask

M = TypeVar("M", bound=models.Model)

TOKEN_PREFIX = "pl_"  # noqa: S105 - how a token is recognised, not one
# `last_used_at` is written at most this often for a token, so that a push does not write a hot row each time.
LAST_USED_GRAIN = timedelta(minutes=1)
# A token's last day lies no later: some write 9999 for 'never', and no zone has the day after it.
LAST_DAY = date(2099, 12, 31)
TOO_FAR_OFF = gettext_lazy("Give a day up to 2099, or none: the token then works until it is revoked.")


def digest_of(text: str) -> bytes:
    """The SHA-256 under which a token's text is stored. The text has 256 random bits, so that no salt is needed."""
    return hashlib.sha256(text.encode()).digest()


def make_token(
    *,
    name: str,
    owner: User,
    scopes: list[str],
    workload: Workload | None = None,
    expires_at: datetime | None = None,
    measured_at: str = Token.MeasuredAt.APPLICATION,
    through: str = "",
    signal: str = Token.Signal.METRICS,
    counts_step_tokens: bool = False,
    is_demo: bool = False,
) -> tuple[Token, str]:
    """A new token and its text, which is nowhere stored and can be shown this once only."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token.objects.create(
        name=name,
        digest=digest_of(text),
        prefix=text[:9],
        owner=owner,
        scopes=scopes,
        workload=workload,
        expires_at=expires_at,
        measured_at=measured_at,
        through=through,
        signal=signal,
        counts_step_tokens=counts_step_tokens,
        is_demo=is_demo,
    )
    return token, text


def find_token(text: str) -> Token | None:
    """The valid token with this text: not revoked, not expired, its owner active. None otherwise."""
    now = timezone.now()
    token = _stored(digest_of(text))
    if token is None or token.revoked_at is not None or not token.owner.is_active:
        return None
    if token.expires_at is not None and token.expires_at <= now:
        return None
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_GRAIN:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


@lru_cache(maxsize=1)
def _reading() -> str:
    """The statement for a token with owner, workload and role there. Put together once: each request asks it."""
    columns = [
        f"{short}.{field.column}"
        for short, model in (("t", Token), ("o", User), ("w", Workload))
        for field in model._meta.concrete_fields
    ]
    return (
        f"SELECT {', '.join(columns)}, m.role FROM accounts_token t JOIN accounts_user o ON o.id = t.owner_id "  # noqa: S608
        "LEFT JOIN accounts_workload w ON w.id = t.workload_id "
        "LEFT JOIN accounts_membership m ON m.user_id = t.owner_id AND m.workload_id = t.workload_id "
        "WHERE t.digest = %s::bytea"
    )


def _stored(digest: bytes) -> Token | None:
    row = ask(_reading(), [digest])
    if row is None:
        return None
    token, row = _from_row(Token, row)
    token.owner, row = _from_row(User, row)
    token.workload = None if row[0] is None else _from_row(Workload, row)[0]
    token.owner_role = row[-1]
    return token


def _from_row(model: type[M], row: Sequence[Any]) -> tuple[M, Sequence[Any]]:
    """The instance in the first columns, and the columns after it."""
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, row[: len(names)]), row[len(names) :]


def make_setup_link(*, valid_for: timedelta = timedelta(hours=1)) -> str:
    """The text of a new one-time link with which the first admin can be made."""
    text = secrets.token_urlsafe(32)
    SetupLink.objects.create(digest=digest_of(text), expires_at=timezone.now() + valid_for)
    return text


@transaction.atomic
def use_setup_link(text: str) -> bool:
    """Uses the link up. False when it is unknown, expired or used."""
    link = SetupLink.objects.select_for_update().filter(digest=digest_of(text)).first()
    if link is None or link.used_at is not None or link.expires_at <= timezone.now():
        return False
    link.used_at = timezone.now()
    link.save(update_fields=["used_at"])
    return True


def is_setup_link_valid(text: str) -> bool:
    """Whether the link could be used now."""
    return SetupLink.objects.filter(
        digest=digest_of(text), used_at__isnull=True, expires_at__gt=timezone.now()
    ).exists()
