"""A published report is frozen in the database itself."""

from django.db import migrations

FREEZE = """
CREATE FUNCTION phaseline_report_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state = 'published' AND NOT OLD.is_demo THEN
            RAISE EXCEPTION 'a published report cannot be deleted' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.state = 'published' AND (
        NEW.payload IS DISTINCT FROM OLD.payload OR NEW.sha256 IS DISTINCT FROM OLD.sha256
        OR NEW.state IS DISTINCT FROM OLD.state OR NEW.month IS DISTINCT FROM OLD.month
        OR NEW.revision IS DISTINCT FROM OLD.revision OR NEW.scope IS DISTINCT FROM OLD.scope
        OR NEW.roadmap_id IS DISTINCT FROM OLD.roadmap_id OR NEW.published_at IS DISTINCT FROM OLD.published_at
        OR NEW.is_demo IS DISTINCT FROM OLD.is_demo
    ) THEN
        RAISE EXCEPTION 'a published report cannot be changed; publish a revision' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER report_is_frozen BEFORE UPDATE OR DELETE ON roadmap_report
    FOR EACH ROW EXECUTE FUNCTION phaseline_report_is_frozen();
"""
THAW = "DROP TRIGGER report_is_frozen ON roadmap_report; DROP FUNCTION phaseline_report_is_frozen();"


class Migration(migrations.Migration):
    dependencies = [("roadmap", "0002_criterion_needs")]

    operations = [migrations.RunSQL(FREEZE, THAW)]
