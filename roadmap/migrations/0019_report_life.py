"""Drafts, words, programmes; and the freeze of a published report made whole: row, words, what it covers, files."""

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


COVERS = """
INSERT INTO roadmap_report_covers (report_id, roadmap_id)
    SELECT id, roadmap_id FROM roadmap_report WHERE roadmap_id IS NOT NULL
    UNION
    SELECT report.id, roadmap.id
    FROM roadmap_report report
    CROSS JOIN LATERAL jsonb_array_elements(report.payload -> 'rows') line
    JOIN accounts_workload workload ON workload.slug = line ->> 'slug'
    JOIN roadmap_roadmap roadmap ON roadmap.workload_id = workload.id
    WHERE report.scope = 'portfolio' AND jsonb_typeof(report.payload -> 'rows') = 'array';
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""
# Every column, those of the future as well; only a person who is deleted may leave the row.
FREEZE_ROW = """
CREATE OR REPLACE FUNCTION phaseline_report_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted roadmap_report;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state = 'published' AND NOT OLD.is_demo THEN
            RAISE EXCEPTION 'a published report cannot be deleted' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    wanted := NEW;
    IF NEW.published_by_id IS NULL THEN
        wanted.published_by_id := OLD.published_by_id;
    END IF;
    IF NEW.asked_by_id IS NULL THEN
        wanted.asked_by_id := OLD.asked_by_id;
    END IF;
    IF OLD.state = 'published' AND wanted IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a published report cannot be changed; publish a revision' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""
FREEZE_ROW_BEFORE = (
    import_module("roadmap.migrations.0003_freeze_reports")
    .FREEZE.partition("CREATE TRIGGER")[0]
    .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
)
FREEZE_PARTS = """
CREATE FUNCTION phaseline_report_is_published(report bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM roadmap_report WHERE id = report AND state = 'published' AND NOT is_demo)
$$;
CREATE FUNCTION phaseline_report_words_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted roadmap_reportwords;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        wanted := NEW;
        IF NEW.changed_by_id IS NULL THEN
            wanted.changed_by_id := OLD.changed_by_id;
        END IF;
        IF wanted IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    IF (TG_OP <> 'INSERT' AND phaseline_report_is_published(OLD.report_id))
        OR (TG_OP <> 'DELETE' AND phaseline_report_is_published(NEW.report_id)) THEN
        RAISE EXCEPTION 'the words of a published report cannot be %', CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER report_words_are_frozen BEFORE INSERT OR UPDATE OR DELETE ON roadmap_reportwords
    FOR EACH ROW EXECUTE FUNCTION phaseline_report_words_are_frozen();
CREATE FUNCTION phaseline_report_covers_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (TG_OP <> 'INSERT' AND phaseline_report_is_published(OLD.report_id))
        OR (TG_OP <> 'DELETE' AND phaseline_report_is_published(NEW.report_id)) THEN
        RAISE EXCEPTION 'what a published report covers cannot be %', CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER report_covers_are_frozen BEFORE INSERT OR UPDATE OR DELETE ON roadmap_report_covers
    FOR EACH ROW EXECUTE FUNCTION phaseline_report_covers_are_frozen();
"""
THAW_PARTS = """
DROP TRIGGER report_covers_are_frozen ON roadmap_report_covers;
DROP FUNCTION phaseline_report_covers_are_frozen();
DROP TRIGGER report_words_are_frozen ON roadmap_reportwords;
DROP FUNCTION phaseline_report_words_are_frozen();
DROP FUNCTION phaseline_report_is_published(bigint);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('roadmap', '0018_report_links'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ReportWords',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(blank=True, default='', max_length=1500)),
                ('next_actions', models.JSONField(blank=True, default=dict)),
                ('is_ready', models.BooleanField(default=False)),
                ('version', models.PositiveIntegerField(default=0)),
                ('changed_at', models.DateTimeField(blank=True, null=True)),
                ('changed_by_name', models.CharField(blank=True, default='', max_length=200)),
            ],
            options={
                'verbose_name_plural': 'report words',
            },
        ),
        migrations.RemoveConstraint(
            model_name='report',
            name='one_report_per_month_and_revision',
        ),
        migrations.RemoveConstraint(
            model_name='report',
            name='report_scope_matches_roadmap',
        ),
        migrations.AddField(
            model_name='report',
            name='asked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='report',
            name='asked_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='report',
            name='attempts',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='report',
            name='covers',
            field=models.ManyToManyField(blank=True, related_name='covered_by', to='roadmap.roadmap'),
        ),
        migrations.AddField(
            model_name='report',
            name='drawn_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='report',
            name='gaps',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name='report',
            name='problem',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='report',
            name='programme',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='reports', to='roadmap.programme'),
        ),
        migrations.AddField(
            model_name='report',
            name='tried_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='report',
            name='why',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AlterField(
            model_name='report',
            name='payload',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AlterField(
            model_name='report',
            name='scope',
            field=models.CharField(choices=[('roadmap', 'Roadmap'), ('programme', 'Programme'), ('portfolio', 'Portfolio')], max_length=16),
        ),
        migrations.AlterField(
            model_name='report',
            name='sha256',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(fields=('scope', 'roadmap', 'programme', 'month', 'revision', 'is_demo'), name='one_report_per_month_and_revision', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('programme__isnull', True), ('roadmap__isnull', False), ('scope', 'roadmap')), models.Q(('programme__isnull', False), ('roadmap__isnull', True), ('scope', 'programme')), models.Q(('programme__isnull', True), ('roadmap__isnull', True), ('scope', 'portfolio')), _connector='OR'), name='report_scope_matches_subject'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('sha256', ''), ('state__in', ['draft', 'provisional'])), models.Q(('state', 'published'), models.Q(('payload', {}), _negated=True), models.Q(('sha256', ''), _negated=True)), _connector='OR'), name='report_published_with_payload'),
        ),
        migrations.AddField(
            model_name='reportwords',
            name='changed_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reportwords',
            name='report',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='words', to='roadmap.report'),
        ),
        migrations.AlterField(
            model_name='reportsubscription',
            name='scope',
            field=models.CharField(choices=[('roadmap', 'Roadmap'), ('programme', 'Programme'), ('portfolio', 'Portfolio')], max_length=16),
        ),
        migrations.RunSQL(COVERS, migrations.RunSQL.noop),
        migrations.RunSQL(FREEZE_ROW, FREEZE_ROW_BEFORE),
        migrations.RunSQL(FREEZE_PARTS, THAW_PARTS),
    ]
