"""What a push needs that is one transaction and one round trip: conditions that end it where they do not hold."""

from django.db import migrations

# The key is held until the transaction ends, as by `PushKey.lock`; each look sees what the holder before committed.
CLAIM = """
CREATE FUNCTION metrics_claim(p_lock bigint, p_token bigint, p_path text, p_digest bytea, p_since timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(p_lock) THEN
        RAISE EXCEPTION 'the same request is being worked on';
    END IF;
    IF EXISTS (
        SELECT 1 FROM metrics_idempotencykey
        WHERE token_id = p_token AND path = p_path AND key_digest = p_digest AND created_at > p_since
            AND answer IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'the same request was answered before';
    END IF;
END
$$;
"""

MUST = """
CREATE FUNCTION metrics_must(is_posted boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_posted IS NOT TRUE THEN
        RAISE EXCEPTION 'a feed or series was deleted meanwhile';
    END IF;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0024_a_posting_in_one_call")]

    operations = [
        migrations.RunSQL(CLAIM, "DROP FUNCTION metrics_claim"),
        migrations.RunSQL(MUST, "DROP FUNCTION metrics_must"),
    ]
