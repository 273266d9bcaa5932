from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0016_prices_again")]

    operations = [
        migrations.AddField(
            model_name="backend",
            name="label_names",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
