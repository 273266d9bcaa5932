from django.db import migrations, models


def tell_apart(apps, schema_editor):
    """Where entries of a roadmap share an outside key the first keeps it; the others get a free number behind it."""
    entries = apps.get_model("roadmap", "CostEntry").objects.exclude(outside_key="").order_by("id")
    taken = set(entries.values_list("roadmap_id", "outside_key"))
    kept = set()
    for entry in entries.iterator():
        place = (entry.roadmap_id, entry.outside_key)
        if place not in kept:
            kept.add(place)
            continue
        key, number = entry.outside_key, 2
        while (entry.roadmap_id, key) in taken:
            end = f" ({number})"
            key, number = f"{entry.outside_key[: 80 - len(end)]}{end}", number + 1
        taken.add((entry.roadmap_id, key))
        entry.outside_key = key
        entry.save(update_fields=["outside_key"])


class Migration(migrations.Migration):
    dependencies = [
        ("roadmap", "0008_comments"),
    ]

    operations = [
        migrations.RunPython(tell_apart, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="costentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("outside_key", ""), _negated=True),
                fields=("roadmap", "outside_key"),
                name="one_cost_entry_per_outside_key",
            ),
        ),
    ]
