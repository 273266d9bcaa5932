"""Cost entries that shared an outside key before it had to be one entry's."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.db import connection

from roadmap.models import CostEntry


def test_entries_that_share_a_key_are_told_apart(plan, poc, today):
    constraint = next(item for item in CostEntry._meta.constraints if item.name == "one_cost_entry_per_outside_key")
    with connection.schema_editor() as editor:
        editor.remove_constraint(CostEntry, constraint)
    for key in ("INV-1", "INV-1", "INV-1 (2)", "K" * 80, "K" * 80, "", ""):
        CostEntry.objects.create(
            roadmap=plan, phase=poc, name="x", category="other", amount=1, currency="EUR", start_on=today,
            outside_key=key,
        )  # fmt: skip
    import_module("roadmap.migrations.0009_cost_entry_keys").tell_apart(apps, None)
    keys = list(CostEntry.objects.order_by("pk").values_list("outside_key", flat=True))
    assert keys == ["INV-1", "INV-1 (3)", "INV-1 (2)", "K" * 80, "K" * 76 + " (2)", "", ""]
