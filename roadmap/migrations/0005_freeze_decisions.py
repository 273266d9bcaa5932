"""A gate's decision is frozen in the database itself, and may be taken back by another one."""

import django.db.models.deletion
from django.db import migrations, models

FREEZE = """
CREATE FUNCTION phaseline_decision_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a decision cannot be changed; take it back with a new one'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM roadmap_gate gate
        JOIN roadmap_phase phase ON phase.id = gate.phase_id
        JOIN roadmap_roadmap roadmap ON roadmap.id = phase.roadmap_id
        JOIN accounts_workload workload ON workload.id = roadmap.workload_id
        WHERE gate.id = OLD.gate_id AND workload.is_demo
    ) THEN
        RAISE EXCEPTION 'a decision cannot be deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER decision_is_frozen BEFORE UPDATE OR DELETE ON roadmap_gatedecision
    FOR EACH ROW EXECUTE FUNCTION phaseline_decision_is_frozen();
"""
THAW = "DROP TRIGGER decision_is_frozen ON roadmap_gatedecision; DROP FUNCTION phaseline_decision_is_frozen();"


class Migration(migrations.Migration):
    dependencies = [("roadmap", "0004_kpi_formulas")]

    operations = [
        migrations.AddField(
            model_name="gatedecision",
            name="undoes",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="undone_by",
                to="roadmap.gatedecision",
            ),
        ),
        migrations.RunSQL(FREEZE, THAW),
    ]
