"""The audit trail is append-only in the database itself, and stays as written when a person or workload goes."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

NAMES = """
UPDATE accounts_auditevent SET workload_name = accounts_workload.name
FROM accounts_workload WHERE accounts_workload.id = accounts_auditevent.workload_id;
"""

# The demo's rows may be deleted, not changed, and never become one of the others.
APPEND_ONLY = """
CREATE FUNCTION phaseline_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.is_demo THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: % refused', lower(TG_OP) USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION phaseline_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: truncate refused' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION phaseline_audit_is_append_only();
CREATE TRIGGER audit_is_kept BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION phaseline_audit_is_kept();
"""
CHANGEABLE = """
DROP TRIGGER audit_is_kept ON accounts_auditevent;
DROP TRIGGER audit_is_append_only ON accounts_auditevent;
DROP FUNCTION phaseline_audit_is_kept();
DROP FUNCTION phaseline_audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_token_step_tokens")]

    operations = [
        migrations.AlterField("auditevent", "at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
        migrations.AlterField("auditevent", "origin", models.CharField(blank=True, default="", max_length=200)),
        migrations.AlterField(
            "auditevent",
            "actor",
            models.ForeignKey(
                blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+", to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            "auditevent",
            "workload",
            models.ForeignKey(
                blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+", to="accounts.workload",
            ),
        ),
        migrations.AddField("auditevent", "workload_name", models.CharField(blank=True, default="", max_length=200)),
        migrations.RunSQL(NAMES, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
