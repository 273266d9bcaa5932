"""The history of each milestone's due date and state, written by the database, so that no way of changing one is missed."""

import django.db.models.deletion
from django.db import migrations, models

KEEP = """
CREATE FUNCTION phaseline_keep_milestone_date() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.due_on IS DISTINCT FROM OLD.due_on OR NEW.state IS DISTINCT FROM OLD.state THEN
        INSERT INTO roadmap_milestonedate (milestone_id, at, due_on, state)
        VALUES (NEW.id, clock_timestamp(), NEW.due_on, NEW.state);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_milestone_date AFTER INSERT OR UPDATE ON roadmap_milestone
    FOR EACH ROW EXECUTE FUNCTION phaseline_keep_milestone_date();
"""
# What is there already: as first promised, as the audit trail tells the moves, and as it is today.
FILL = """
INSERT INTO roadmap_milestonedate (milestone_id, at, due_on, state)
SELECT m.id, COALESCE((
        SELECT min(e.at) FROM accounts_auditevent e
        WHERE e.subject_type = 'roadmap.milestone' AND e.subject_id = m.id::text AND e.action = 'add_milestone'
    ), r.created_at), m.baseline_due_on, 'open'
FROM roadmap_milestone m JOIN roadmap_phase p ON p.id = m.phase_id JOIN roadmap_roadmap r ON r.id = p.roadmap_id;
INSERT INTO roadmap_milestonedate (milestone_id, at, due_on, state)
SELECT m.id, e.at, (e.after ->> 'due_on')::date, 'open'
FROM accounts_auditevent e JOIN roadmap_milestone m ON m.id::text = e.subject_id
WHERE e.subject_type = 'roadmap.milestone' AND e.action = 'change_milestone' AND e.after ->> 'due_on' IS NOT NULL
ORDER BY e.at, e.id;
INSERT INTO roadmap_milestonedate (milestone_id, at, due_on, state)
SELECT m.id, CASE WHEN m.state = 'done' THEN LEAST(m.done_on::timestamptz + interval '12 hours', now()) ELSE now() END,
    m.due_on, m.state
FROM roadmap_milestone m
WHERE m.state <> 'open' OR m.due_on <> (
    SELECT d.due_on FROM roadmap_milestonedate d WHERE d.milestone_id = m.id ORDER BY d.at DESC, d.id DESC LIMIT 1
);
"""
DROP = "DROP TRIGGER keep_milestone_date ON roadmap_milestone; DROP FUNCTION phaseline_keep_milestone_date();"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_append_only_audit"), ("roadmap", "0006_plan_templates")]

    operations = [
        migrations.CreateModel(
            name="MilestoneDate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("due_on", models.DateField()),
                ("state", models.CharField(max_length=16)),
                (
                    "milestone",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="dates", to="roadmap.milestone"
                    ),
                ),
            ],
            options={"ordering": ["at", "id"]},
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(KEEP, DROP),
    ]
