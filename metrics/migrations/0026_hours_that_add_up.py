"""An hour holds no more than its days and months can, so that what one sender sends never stops anybody's pages."""

from django.db import migrations

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
# Of 10^16, the 745 hours of a month add up to less than 2^63.
MOST = 10**16
LARGEST = ", ".join(f"NEW.{name}" for name in COUNTS)

# The error of a column that overflows. A condition of the trigger costs a row less than a call of the function does.
LIMIT = f"""
CREATE FUNCTION metrics_hour_is_too_large() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a sum of an hour is out of range' USING ERRCODE = 'numeric_value_out_of_range';
END
$$;
CREATE TRIGGER metrics_usagehour_adds_up AFTER INSERT OR UPDATE ON metrics_usagehour
    FOR EACH ROW WHEN (GREATEST({LARGEST}) > {MOST}) EXECUTE FUNCTION metrics_hour_is_too_large();
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0025_a_push_at_once")]

    operations = [
        migrations.RunSQL(
            LIMIT,
            "DROP TRIGGER metrics_usagehour_adds_up ON metrics_usagehour; DROP FUNCTION metrics_hour_is_too_large();",
        ),
    ]
