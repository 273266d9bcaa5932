"""Which days an admin can mean: a year that is mistyped ('0202' for '2026') would cost centuries of a machine."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext

from metrics.errors import RuleViolation
from metrics.placing import ALWAYS

LAST_DAY = date(2099, 12, 31)


def check_day(day: date | None, *, field: str) -> None:
    """Refuse a day outside 2000 to 2099; None is for the field's owner to judge."""
    if day is not None and not ALWAYS <= day <= LAST_DAY:
        raise RuleViolation("date_out_of_range", gettext("Give a date between 2000 and 2099."), field)
