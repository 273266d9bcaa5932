"""One call writes a posting; the ledger's references are checked once for all of its rows (ADR 0016)."""

import django.db.models.deletion
from django.db import migrations, models

COUNTS = (
    "requests",
    "errors",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "quality_count",
    "blocked",
    "overridden",
    "false_alarms",
    "duration_count",
    "time_to_first_token_count",
    "inter_token_count",
)
NUMBERS = (
    "units",
    "gpu_busy_seconds",
    "gpu_held_seconds",
    "energy_wh",
    "quality_sum",
    "duration_sum_ms",
    "time_to_first_token_sum_ms",
    "inter_token_sum_ms",
    "estimated_cost",
    "billed_cost",
)
MEASURES = (*COUNTS, *NUMBERS)
COLUMNS = ", ".join(MEASURES)
ARGUMENTS = ",\n    ".join(
    [f"p_{name} bigint[] DEFAULT NULL" for name in COUNTS] + [f"p_{name} numeric[] DEFAULT NULL" for name in NUMBERS]
)
ARRAYS = ", ".join(f"p_{name}" for name in MEASURES)
FROM_ARRAYS = ", ".join(f"i.{name}" for name in MEASURES)
ADDED = ",\n        ".join(f"{name} = coalesce(h.{name} + EXCLUDED.{name}, h.{name}, EXCLUDED.{name})" for name in MEASURES)

# Cells are sorted by series, hour and currency, and distinct; a histogram says by number which cell it is of. It goes
# to the hours as well where `p_into_hours` is true, which it can only be where no two cells have the same hour.
POST = f"""
CREATE FUNCTION metrics_post(
    p_receipt bigint,
    p_feed bigint,
    p_series_count bigint,
    p_series bigint[],
    p_hours timestamptz[],
    p_currencies text[],
    p_has_sums boolean[],
    p_stale_series bigint[],
    p_stale_days date[],
    p_at timestamptz,
    p_into_hours boolean DEFAULT false,
    p_cells int[] DEFAULT NULL,
    p_measures smallint[] DEFAULT NULL,
    p_bounds bigint[] DEFAULT NULL,
    p_windows text[] DEFAULT NULL,
    {ARGUMENTS}
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];
BEGIN
    -- Held until the end, as a foreign key would: neither goes while this is under way.
    PERFORM 1 FROM metrics_feed WHERE id = p_feed FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM metrics_receipt WHERE id = p_receipt FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- One that goes after this look is found by its stale day, which has a foreign key.
    IF (SELECT count(*) FROM metrics_series WHERE id = ANY (p_series)) <> p_series_count THEN
        RETURN false;
    END IF;
    ids := ARRAY(
        SELECT nextval('metrics_ledgerentry_id_seq'::regclass) FROM generate_series(1, cardinality(p_series))
    );
    INSERT INTO metrics_ledgerentry (id, receipt_id, feed_id, series_id, hour, currency, {COLUMNS})
    SELECT i.id, p_receipt, p_feed, i.series_id, i.hour, i.currency, {FROM_ARRAYS}
    FROM unnest(ids, p_series, p_hours, p_currencies, {ARRAYS})
        AS i (id, series_id, hour, currency, {COLUMNS});
    IF p_cells IS NOT NULL AND NOT p_into_hours THEN
        INSERT INTO metrics_ledgerhistogram (entry_id, measure, bounds_id, "window")
        SELECT ids[i.cell], i.measure, i.bounds_id, i.held::bigint[]
        FROM unnest(p_cells, p_measures, p_bounds, p_windows) AS i (cell, measure, bounds_id, held);
    END IF;
    -- From here on rows are locked that other postings wait for.
    INSERT INTO metrics_usagehour AS h (series_id, hour, currency, {COLUMNS})
    SELECT i.series_id, i.hour, i.currency, {FROM_ARRAYS}
    FROM unnest(p_series, p_hours, p_currencies, p_has_sums, {ARRAYS})
        AS i (series_id, hour, currency, has_sums, {COLUMNS})
    WHERE i.has_sums IS NOT FALSE
    ON CONFLICT (series_id, hour, currency) DO UPDATE SET
        {ADDED};
    INSERT INTO metrics_staleday (series_id, day, touched_at)
    SELECT i.series_id, i.day, p_at FROM unnest(p_stale_series, p_stale_days) AS i (series_id, day)
    ON CONFLICT (series_id, day) DO UPDATE SET touched_at = EXCLUDED.touched_at;
    IF p_cells IS NOT NULL AND p_into_hours THEN
        WITH i AS MATERIALIZED (
            SELECT cell, measure, bounds_id, held::bigint[] AS held
            FROM unnest(p_cells, p_measures, p_bounds, p_windows) AS t (cell, measure, bounds_id, held)
        ), kept AS (
            INSERT INTO metrics_ledgerhistogram (entry_id, measure, bounds_id, "window")
            SELECT ids[i.cell], i.measure, i.bounds_id, i.held FROM i
        )
        INSERT INTO metrics_histogramhour AS h (series_id, hour, measure, bounds_id, "window")
        SELECT p_series[i.cell], p_hours[i.cell], i.measure, i.bounds_id, i.held FROM i
        ON CONFLICT (series_id, hour, measure, bounds_id)
        DO UPDATE SET "window" = histogram_add(h."window", EXCLUDED."window");
    END IF;
    RETURN true;
END
$$;
"""

# What a foreign key does where a row is deleted that others point to, at the end of the transaction.
GUARD = """
CREATE FUNCTION metrics_ledger_points_here() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_used boolean;
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'metrics_series' THEN
            is_used := EXISTS (SELECT 1 FROM metrics_ledgerentry WHERE series_id = OLD.id);
        WHEN 'metrics_feed' THEN
            is_used := EXISTS (SELECT 1 FROM metrics_ledgerentry WHERE feed_id = OLD.id);
        WHEN 'metrics_receipt' THEN
            is_used := EXISTS (SELECT 1 FROM metrics_ledgerentry WHERE receipt_id = OLD.id);
        WHEN 'metrics_ledgerentry' THEN
            is_used := EXISTS (SELECT 1 FROM metrics_ledgerhistogram WHERE entry_id = OLD.id);
    END CASE;
    IF is_used THEN
        RAISE EXCEPTION 'the ledger still points to % % of %', TG_TABLE_NAME, OLD.id, TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;
""" + "".join(
    f"""
CREATE CONSTRAINT TRIGGER {table}_of_the_ledger AFTER DELETE ON {table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION metrics_ledger_points_here();
"""
    for table in ("metrics_series", "metrics_feed", "metrics_receipt", "metrics_ledgerentry")
)

UNGUARD = (
    "".join(
        f"DROP TRIGGER {table}_of_the_ledger ON {table};"
        for table in ("metrics_series", "metrics_feed", "metrics_receipt", "metrics_ledgerentry")
    )
    + "DROP FUNCTION metrics_ledger_points_here();"
)

# An update in the row's own page changes no index. Where there is no room left for it, it changes all.
ROOM = """
ALTER TABLE metrics_usagehour SET (fillfactor = 70);
ALTER TABLE metrics_staleday SET (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0023_usage_months")]

    operations = [
        migrations.RunSQL(POST, "DROP FUNCTION metrics_post"),
        migrations.RunSQL(GUARD, UNGUARD),
        migrations.AlterField(
            "ledgerentry",
            "receipt",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="metrics.receipt",
            ),
        ),
        migrations.AlterField(
            "ledgerentry",
            "feed",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="metrics.feed",
            ),
        ),
        migrations.AlterField(
            "ledgerentry",
            "series",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="metrics.series",
            ),
        ),
        migrations.AlterField(
            "ledgerhistogram",
            "entry",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="histograms",
                to="metrics.ledgerentry",
            ),
        ),
        migrations.RunSQL(
            ROOM, "ALTER TABLE metrics_usagehour RESET (fillfactor); ALTER TABLE metrics_staleday RESET (fillfactor);"
        ),
    ]
