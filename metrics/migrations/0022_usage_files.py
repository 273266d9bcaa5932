import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

STATES = [
    ("reading", "Being read"),
    ("ready", "Read, to be confirmed"),
    ("posting", "Being counted"),
    ("done", "Counted"),
    ("taking_back", "Being taken back"),
    ("taken_back", "Taken back"),
    ("failed", "Not counted"),
    ("discarded", "Discarded"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("metrics", "0021_series_builds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("backend", models.CharField(blank=True, default="", max_length=100)),
                ("zone", models.CharField(blank=True, default="", max_length=60)),
                ("name", models.CharField(max_length=200)),
                ("size", models.BigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
                ("state", models.CharField(choices=STATES, default="reading", max_length=16)),
                ("container", models.CharField(blank=True, default="", max_length=100)),
                ("columns", models.JSONField(blank=True, default=list)),
                ("sample", models.JSONField(blank=True, default=list)),
                ("sums", models.JSONField(blank=True, default=dict)),
                ("rows_read", models.BigIntegerField(default=0)),
                ("rows_posted", models.BigIntegerField(default=0)),
                ("read_share", models.FloatField(default=0)),
                ("accepted", models.BigIntegerField(default=0)),
                ("duplicates", models.BigIntegerField(default=0)),
                ("not_priced", models.BigIntegerField(default=0)),
                ("rejected", models.JSONField(blank=True, default=list)),
                ("rejected_count", models.BigIntegerField(default=0)),
                ("warnings", models.JSONField(blank=True, default=dict)),
                ("problem", models.TextField(blank=True, default="")),
                (
                    "receipts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), blank=True, default=list, size=None
                    ),
                ),
                ("series_made", models.IntegerField(default=0)),
                ("touched_at", models.DateTimeField(auto_now=True)),
                (
                    "taken_back_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "workload",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.workload",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["reading", "ready", "posting", "done", "taking_back"])),
                        fields=("digest",),
                        name="one_live_usage_file_per_digest",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UsageFilePiece",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(choices=[("file", "File"), ("rejected", "Rejected rows")], max_length=8),
                ),
                ("number", models.IntegerField()),
                ("content", models.BinaryField()),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="pieces", to="metrics.usagefile"
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(fields=("file", "kind", "number"), name="one_usage_file_piece")
                ],
            },
        ),
    ]
