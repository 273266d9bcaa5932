"""What every request asks is planned once, and outlives a migration of its columns."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection

from web.planned import ask


@pytest.mark.django_db(transaction=True)
def test_it_is_planned_once_and_again_after_a_column_changed_its_type():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE planned (word varchar(10))")
        cursor.execute("INSERT INTO planned VALUES ('one')")
        assert ask("SELECT word FROM planned WHERE word = %s::text", ["one"]) == ("one",)
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT word FROM planned%'")
        assert cursor.fetchone() == (1,)
        cursor.execute("ALTER TABLE planned ALTER word TYPE text")
        assert ask("SELECT word FROM planned WHERE word = %s::text", ["one"]) == ("one",)
        assert ask("SELECT word FROM planned WHERE word = %s::text", ["two"]) is None
        cursor.execute("DROP TABLE planned")


def test_it_raises_the_errors_of_django(db):
    with pytest.raises(DatabaseError):
        ask("SELECT 1 / %s::int", [0])
