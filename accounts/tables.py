"""People and tokens as files: the tables of their pages. Nothing with which one could sign in."""

from __future__ import annotations

from accounts.models import Token, User
from web.file_tables import Field, FileTable, yes_no

PEOPLE: FileTable[User] = FileTable(
    "People",
    (
        Field("person", lambda person: person.username),
        Field("name", lambda person: person.display_name),
        Field("email", lambda person: person.email),
        Field("organisation_role", lambda person: person.organisation_role),
        Field("may_sign_in", lambda person: yes_no(person.is_active)),
        Field(
            "roles", lambda person: "; ".join(f"{one.workload.slug}: {one.role}" for one in person.memberships.all())
        ),
        Field("last_sign_in", lambda person: person.last_login, "moment"),
        Field("demo", lambda person: yes_no(person.is_demo)),
    ),
)

TOKENS: FileTable[Token] = FileTable(
    "Tokens",
    (
        Field("token", lambda token: token.name),
        Field("begins_with", lambda token: token.prefix),
        Field("owner", lambda token: token.owner.username),
        Field("may", lambda token: ", ".join(token.scopes)),
        Field("roadmap", lambda token: token.workload.slug if token.workload else ""),
        Field("measures_at", lambda token: token.measured_at),
        Field("through", lambda token: token.through),
        Field("signal", lambda token: token.signal),
        Field("made_at", lambda token: token.created_at, "moment"),
        Field("last_used_at", lambda token: token.last_used_at, "moment"),
        Field("ends_at", lambda token: token.expires_at, "moment"),
        Field("revoked_at", lambda token: token.revoked_at, "moment"),
        Field("demo", lambda token: yes_no(token.is_demo)),
    ),
)
