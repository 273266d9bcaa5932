"""TRUNCATE fires no trigger of a row: what was published is kept from it by a trigger of the statement."""

from django.db import migrations

TABLES = ("roadmap_report", "roadmap_reportfile", "roadmap_reportwords", "roadmap_report_covers")
KEPT = """
CREATE FUNCTION phaseline_reports_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM roadmap_report WHERE state = 'published' AND NOT is_demo) THEN
        RAISE EXCEPTION 'published reports cannot be deleted: truncate refused' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
""" + "".join(
    f"CREATE TRIGGER reports_are_kept BEFORE TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION phaseline_reports_are_kept();\n"
    for table in TABLES
)
NOT_KEPT = "".join(f"DROP TRIGGER reports_are_kept ON {table};\n" for table in TABLES) + (
    "DROP FUNCTION phaseline_reports_are_kept();"
)


class Migration(migrations.Migration):
    dependencies = [("roadmap", "0019_report_life")]

    operations = [migrations.RunSQL(KEPT, NOT_KEPT)]
