from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('roadmap', '0015_reading_sample_count'),
    ]

    operations = [
        migrations.AddField(
            model_name='kpi',
            name='example',
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=30, null=True),
        ),
    ]
