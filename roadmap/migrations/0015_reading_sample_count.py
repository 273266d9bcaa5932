from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("roadmap", "0014_evidence_files")]

    operations = [migrations.AddField("reading", "sample_count", models.BigIntegerField(blank=True, null=True))]
