from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0019_ids_by_day_and_histograms_behind")]

    operations = [
        migrations.CreateModel(
            name="RetentionJob",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("cursor", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
                ("last_removed", models.BigIntegerField(default=0)),
                ("removed", models.BigIntegerField(default=0)),
                ("problem", models.CharField(blank=True, default="", max_length=300)),
            ],
        ),
        # Both with a constant default, so that no row is written again.
        migrations.AddField("receipt", "stands_for", models.BigIntegerField(default=1)),
        migrations.AddField("ledgerentry", "postings", models.IntegerField(db_default=1)),
    ]
