"""The test's database, as another process is told of it."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django.db import connection


def database_url() -> str:
    """The value of DATABASE_URL that names it."""
    found = connection.settings_dict
    where = {
        "host": found["HOST"] or found.get("OPTIONS", {}).get("host"),
        "port": found["PORT"],
        "user": found["USER"],
    }
    query = urlencode({name: value for name, value in where.items() if value})
    password = f":{quote(found['PASSWORD'])}@" if found["PASSWORD"] else ""
    return f"postgres://{password}/{quote(found['NAME'])}{'?' + query if query else ''}"
