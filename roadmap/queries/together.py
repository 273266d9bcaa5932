"""Several small tables in one query: each queryset becomes one JSON column, its rows become model instances again.

A page that shows a plan needs a few rows of a dozen tables; asking for each costs more in round trips than in rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet


@dataclass(frozen=True, slots=True)
class Prepared:
    """Querysets as one statement. Building the SQL of a dozen querysets takes longer than the database takes to
    answer, so a page builds it once, over stand-ins, and gives the values with each reading."""

    sql: str
    parameters: tuple[Any, ...]
    models: Mapping[str, type[Model]]

    def read(self, values: Mapping[Any, Any] | None = None) -> dict[str, list[Any]]:
        """The rows by name. `values`: what each stand-in among the parameters stands for."""
        given = values or {}
        bound = [given.get(parameter, parameter) for parameter in self.parameters]
        with connection.cursor() as cursor:
            # The SQL is Django's own, with its parameters apart; nothing of a request is in the text.
            cursor.execute(self.sql, bound)
            row = cursor.fetchone()
        return {
            name: _instances(model, json.loads(text, parse_float=Decimal))
            for (name, model), text in zip(self.models.items(), row, strict=True)
        }


def prepare(querysets: Mapping[str, QuerySet[Any]]) -> Prepared:
    """The querysets as one statement. They have no select_related; deferred fields stay deferred."""
    columns: list[str] = []
    parameters: list[Any] = []
    for queryset in querysets.values():
        sql, bound = queryset.query.sql_with_params()
        columns.append(f"(SELECT coalesce(json_agg(found), '[]'::json)::text FROM ({sql}) found)")  # noqa: S608
        parameters += bound
    models = {name: queryset.model for name, queryset in querysets.items()}
    return Prepared("SELECT " + ", ".join(columns), tuple(parameters), models)


def read_together(querysets: Mapping[str, QuerySet[Any]]) -> dict[str, list[Any]]:
    """The rows of each queryset, in its order, by its name."""
    return prepare(querysets).read()


def _instances(model: type[Model], rows: Iterable[Mapping[str, Any]]) -> list[Model]:
    fields = [(field.attname, str(field.column), field.to_python) for field in model._meta.concrete_fields]  # noqa: SLF001
    found = []
    for row in rows:
        held = [(name, convert(row[column])) for name, column, convert in fields if column in row]
        found.append(model.from_db(connection.alias, [name for name, _ in held], [value for _, value in held]))
    return found


def link(rows: Iterable[Model], field: str, people: Mapping[int, Model]) -> None:
    """Set a foreign key's object on each row from those that were read already."""
    for row in rows:
        key = getattr(row, f"{field}_id")
        if key is None or key in people:
            setattr(row, field, people.get(key))
