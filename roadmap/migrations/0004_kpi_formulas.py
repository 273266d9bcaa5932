from django.db import migrations, models

from roadmap.rules.formulas import key_from


def fill_keys(apps, schema_editor):
    """A key for each KPI there is; one that goes on from a phase before keeps that one's where it can."""
    kpi_model = apps.get_model("roadmap", "Kpi")
    taken = {}
    keys = {}
    for kpi in kpi_model.objects.order_by("phase__position", "position", "id").iterator():
        held = taken.setdefault(kpi.phase_id, set())
        before = keys.get(kpi.carried_from_id)
        kpi.key = before if before and before not in held else key_from(kpi.name, held)
        held.add(kpi.key)
        keys[kpi.pk] = kpi.key
        kpi.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [
        ("roadmap", "0003_freeze_reports"),
    ]

    operations = [
        migrations.AddField(
            model_name="kpi",
            name="formula",
            field=models.CharField(blank=True, default="", max_length=300),
        ),
        migrations.AddField(
            model_name="kpi",
            name="key",
            field=models.CharField(blank=True, default="", max_length=60),
        ),
        migrations.AlterField(
            model_name="kpi",
            name="source",
            field=models.CharField(
                choices=[
                    ("computed", "Computed from usage"),
                    ("read", "Read by hand or over REST"),
                    ("formula", "A formula over other KPIs"),
                ],
                default="read",
                max_length=16,
            ),
        ),
        migrations.RunPython(fill_keys, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="kpi",
            constraint=models.UniqueConstraint(
                condition=models.Q(("key", ""), _negated=True), fields=("phase", "key"), name="one_kpi_per_key"
            ),
        ),
    ]
