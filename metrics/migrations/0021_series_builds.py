import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0020_retention")]

    operations = [
        migrations.CreateModel(
            name="SeriesBuild",
            fields=[
                (
                    "series",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="metrics.series",
                    ),
                ),
                ("number", models.BigIntegerField()),
            ],
        ),
    ]
