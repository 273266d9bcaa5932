"""Says of each allocation who made it, so that rules never overrule a person."""

from datetime import date

from django.db import migrations


def say_who_said_so(apps, schema_editor):
    """Allocations by hand have a row in the audit trail; the others came with a push, a default or idle capacity."""
    Series = apps.get_model("metrics", "Series")
    Allocation = apps.get_model("metrics", "Allocation")
    AuditEvent = apps.get_model("accounts", "AuditEvent")
    by_hand = {}
    for event in AuditEvent.objects.filter(action="allocate_series").order_by("pk"):
        day = date.fromisoformat((event.after or {}).get("from") or "2000-01-01")
        by_hand[event.subject_id] = min(day, by_hand.get(event.subject_id, day))
    series = Series.objects.select_related("backend").prefetch_related("allocations")
    for one in series.filter(is_demo=False).iterator(chunk_size=2000):
        hand_from_on = by_hand.get(str(one.pk))
        rows = [row for row in one.allocations.all() if hand_from_on is None or row.valid_from_on < hand_from_on]
        if one.kind == "idle":
            source = "busy"
        elif one.is_pushed and one.workload_id is not None:
            source = "push"
        else:
            source = "default"
            whole = [row.workload_id for row in rows if row.share_ratio == 1]
            one.default_workload_id = whole[0] if whole else None
            if hand_from_on is not None and not rows and not one.is_pushed:
                one.default_workload_id = one.backend.default_workload_id
        one.hand_from_on = hand_from_on
        one.save(update_fields=["hand_from_on", "default_workload"])
        Allocation.objects.filter(pk__in=[row.pk for row in rows]).update(source=source)


class Migration(migrations.Migration):

    dependencies = [
        ('metrics', '0011_allocation_rules'),
    ]

    operations = [
        migrations.RunPython(say_who_said_so, migrations.RunPython.noop),
    ]
