"""What people do here: come in, get a role, make and revoke tokens. One transaction and one audit row each."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.access import Asker, can, changeable_tokens
from accounts.audit import record
from accounts.errors import AccessViolation
from accounts.models import Membership, OrganisationRole, Role, Token, User, Workload
from accounts.tokens import LAST_DAY, TOO_FAR_OFF, make_token, use_setup_link

# 16 letters of an alphabet without look-alikes: 92 bits, and still typed from a screen.
PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105 - an alphabet, not a password
PASSWORD_LENGTH = 18


def random_password() -> str:
    """A password for somebody who will change it."""
    return "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH))


@transaction.atomic
def make_first_admin(
    link: str, *, username: str, password: str, first_name: str = "", last_name: str = "", email: str = ""
) -> User:
    """Uses the set-up link and makes an admin. Errors: AccessViolation when the link is used, expired or unknown."""
    if not use_setup_link(link):
        raise AccessViolation(
            "link_used", _("This link was used already or has expired. Make another: manage.py setup_link")
        )
    person = User.objects.create_user(
        username=username,
        password=password,
        first_name=first_name,
        last_name=last_name,
        email=email,
        organisation_role=OrganisationRole.ADMIN,
    )
    record("setup link", action="add_person", subject=person, after={"organisation_role": OrganisationRole.ADMIN})
    return person


@transaction.atomic
def add_person(
    asker: Asker,
    *,
    username: str,
    first_name: str = "",
    last_name: str = "",
    email: str = "",
    organisation_role: str = OrganisationRole.MEMBER,
) -> tuple[User, str]:
    """A new person and the password to give them, which is nowhere else kept."""
    _only_admins(asker)
    if User.objects.filter(username__iexact=username).exists():
        raise AccessViolation(
            "already_exists", _("There is a person '%(username)s' already.") % {"username": username}, "username"
        )
    password = random_password()
    person = User.objects.create_user(
        username=username,
        password=password,
        first_name=first_name,
        last_name=last_name,
        email=email,
        organisation_role=organisation_role,
    )
    record(asker, action="add_person", subject=person, after={"organisation_role": organisation_role})
    return person, password


@transaction.atomic
def change_person(
    asker: Asker,
    person: User,
    *,
    first_name: str,
    last_name: str,
    email: str,
    organisation_role: str,
    is_active: bool,
    roles: Mapping[Workload, str],
) -> None:
    """Sets name, organisation role and the role per workload ('' = none). The last active admin stays one."""
    _only_admins(asker)
    stays_admin = is_active and organisation_role == OrganisationRole.ADMIN
    others = User.objects.select_for_update().filter(is_active=True, organisation_role=OrganisationRole.ADMIN)
    if person.is_admin and not stays_admin and not others.exclude(pk=person.pk).exists():
        raise AccessViolation(
            "last_admin", _("This is the only admin. Make somebody else an admin first."), "organisation_role"
        )
    wanted: dict[str, object] = {
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "organisation_role": organisation_role,
        "is_active": is_active,
    }
    before = {name: getattr(person, name) for name in wanted if getattr(person, name) != wanted[name]}
    for name in before:
        setattr(person, name, wanted[name])
    if before:
        person.save(update_fields=list(before))
        record(
            asker, action="change_person", subject=person, before=before, after={name: wanted[name] for name in before}
        )
    held = {membership.workload_id: membership for membership in person.memberships.all()}
    for workload, role in roles.items():
        _set_role(asker, person, workload, held.get(workload.pk), role)


def _set_role(asker: Asker, person: User, workload: Workload, held: Membership | None, role: str) -> None:
    old = held.role if held else ""
    if old == role:
        return
    if held and not role:
        held.delete()
    else:
        Membership.objects.update_or_create(user=person, workload=workload, defaults={"role": Role(role)})
    record(
        asker,
        action="set_role",
        subject=person,
        workload=workload,
        before={"role": old or None},
        after={"role": role or None},
    )


@transaction.atomic
def reset_password(asker: Asker, person: User) -> str:
    """A new random password for the person, shown once; their sessions end."""
    _only_admins(asker)
    password = random_password()
    person.set_password(password)
    person.save(update_fields=["password"])
    record(asker, action="reset_password", subject=person)
    return password


@transaction.atomic
def issue_token(
    asker: Asker,
    *,
    name: str,
    scopes: list[str],
    workload: Workload | None = None,
    measured_at: str = Token.MeasuredAt.APPLICATION,
    through: str = "",
    signal: str = Token.Signal.METRICS,
    counts_step_tokens: bool = False,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """A token that acts for its maker and never for more than they may. Its text is returned this once."""
    if not scopes:
        raise AccessViolation("no_scope", _("Choose at least one thing that the token may do."), "scopes")
    if workload is not None and not can(asker, _role_for(scopes), workload):
        message = _("You may only read '%(name)s', and so may a token of yours.") % {"name": workload.name}
        raise AccessViolation("not_your_role", message, "scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise AccessViolation("already_expired", _("Give a day after today."), "expires_on")
    if expires_at is not None and expires_at.year > LAST_DAY.year + 1:
        raise AccessViolation("too_far_off", str(TOO_FAR_OFF), "expires_on")
    token, text = make_token(
        name=name,
        owner=asker.user,
        scopes=scopes,
        workload=workload,
        measured_at=measured_at,
        through=through,
        signal=signal,
        counts_step_tokens=counts_step_tokens,
        expires_at=expires_at,
    )
    record(asker, action="make_token", subject=token, workload=workload, after={"scopes": ", ".join(scopes)})
    return token, text


def _role_for(scopes: list[str]) -> Role:
    return Role.VIEWER if set(scopes) <= {"read"} else Role.CONTRIBUTOR


@transaction.atomic
def revoke_token(asker: Asker, token: Token) -> None:
    """Ends the token at once; what it pushed stays. Its owner and admins may."""
    if token.owner_id != asker.user.pk and not asker.user.is_admin:
        raise AccessViolation("not_yours", _("Only its owner or an admin can revoke a token."))
    if token.revoked_at is not None:
        return
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    record(asker, action="revoke_token", subject=token, workload=token.workload)


@transaction.atomic
def change_token(
    asker: Asker, token: Token, *, signal: str | None = None, counts_step_tokens: bool | None = None
) -> Token:
    """Says which signal counts from now on, and whether the tokens of agents' steps do; None leaves it as it is.

    What was counted, or acknowledged and not counted, stays so. Raises AccessViolation.
    """
    held = changeable_tokens(asker).select_for_update(of=("self",)).filter(pk=token.pk).first()
    if held is None:
        raise AccessViolation(
            "not_yours", _("Only its owner, a manager of its roadmap or an admin can change a token.")
        )
    token = held
    if token.revoked_at is not None:
        raise AccessViolation("revoked", _("This token is revoked; nothing can arrive with it."))
    wanted = {"signal": signal, "counts_step_tokens": counts_step_tokens}
    after = {name: value for name, value in wanted.items() if value is not None and value != getattr(token, name)}
    if not after:
        return token
    before = {name: getattr(token, name) for name in after}
    for name, value in after.items():
        setattr(token, name, value)
    token.save(update_fields=list(after))
    record(asker, action="change_token", subject=token, workload=token.workload, before=before, after=after)
    return token


@transaction.atomic
def choose_language(asker: Asker, language: str) -> None:
    """Sets the asker's own language, a code of settings.LANGUAGES; '' for what the browser asks for."""
    if language and language not in dict(settings.LANGUAGES):
        raise AccessViolation("unknown_language", _("Choose one of the languages listed."), "language")
    person = User.objects.select_for_update().get(pk=asker.user.pk)
    before = person.language
    if before == language:
        return
    person.language = asker.user.language = language
    person.save(update_fields=["language"])
    record(
        asker,
        action="choose_language",
        subject=person,
        before={"language": before or None},
        after={"language": language or None},
    )


def _only_admins(asker: Asker) -> None:
    if not asker.user.is_admin:
        raise AccessViolation("not_an_admin", _("Only an admin can change people and roles."))
