"""What a published report looked like, frozen beside its payload."""

import django.db.models.deletion
from django.db import migrations, models

FREEZE = """
CREATE FUNCTION phaseline_report_file_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a file of a published report cannot be changed' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (
        SELECT FROM roadmap_report WHERE id = OLD.report_id AND state = 'published' AND NOT is_demo
    ) THEN
        RAISE EXCEPTION 'a file of a published report cannot be deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER report_file_is_frozen BEFORE UPDATE OR DELETE ON roadmap_reportfile
    FOR EACH ROW EXECUTE FUNCTION phaseline_report_file_is_frozen();
"""
THAW = "DROP TRIGGER report_file_is_frozen ON roadmap_reportfile; DROP FUNCTION phaseline_report_file_is_frozen();"


class Migration(migrations.Migration):
    dependencies = [("roadmap", "0010_calendar_addresses")]

    operations = [
        migrations.CreateModel(
            name="ReportFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("pdf", "PDF")], max_length=8)),
                ("language", models.CharField(max_length=8)),
                ("content", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="roadmap.report"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("report", "kind", "language"), name="one_report_file_per_kind_and_language"
                    )
                ],
            },
        ),
        migrations.RunSQL(FREEZE, THAW),
    ]
