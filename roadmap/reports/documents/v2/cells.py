"""What sections share: cells, tones, figures with their unit, and what a figure rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from django.utils import translation
from django.utils.translation import gettext as _

from roadmap.kpis import BY_NAME
from roadmap.labels import COVERED, label_of
from roadmap.reports.document import Cell, Json, Tone
from roadmap.reports.documents.v2.values import number_of
from roadmap.saying import range_text
from web import wording

TONES: dict[str, Tone] = {"on_track": "green", "at_risk": "amber", "off_track": "red"}
# Rows that a table has on paper; the page has all.
ON_PAPER = 12


def change(text: str | None) -> Cell:
    """An amount with its sign; a dash for what is not known."""
    value = number_of(text)
    return Cell(text=wording.signed_exact(value, missing=wording.DASH), value=value)


def amount(text: str | None) -> Cell:
    """An amount to the cent, without its currency."""
    value = number_of(text)
    return Cell(text=wording.decimals(value, 2), value=value)


def number(text: str | None, *, missing: str | None = None) -> Cell:
    """A figure with as many digits as a reader needs."""
    value = number_of(text)
    return Cell(text=wording.number(value) if value is not None or missing is None else missing, value=value)


def day(value: date | None) -> Cell:
    """A day, a dash for none."""
    return Cell(text=wording.day(value), value=value)


def interval(row: Json) -> Cell:
    """A figure that may be known as an interval only, which has no one value."""
    value, low, high = (number_of(row[name]) for name in ("value", "low", "high"))
    text = range_text(value, low, high)
    return Cell(text=text, value=value if low is None and high is None else None)


def from_to(moved: Json, currency: str, *, is_before_known: bool) -> str:
    """'spend from 44.91 USD to 45.16 USD': a month of which nothing is known is no month of zero."""
    before, now = (wording.money_exact(number_of(moved[name]), currency) for name in ("before", "value"))
    if not is_before_known:
        return _("spend of %(now)s; of the month before none is known") % {"now": now}
    return _("spend from %(before)s to %(now)s") % {"before": before, "now": now}


def drivers_text(drivers: list[Json]) -> str:
    """'gpt-4.1 (openai) +12.00; ...': what a part of the change comes from."""
    return "; ".join(
        f"{one['model'] or _('no model')} ({one['provider']}) {wording.signed_exact(number_of(one['amount']))}"
        for one in drivers
    )


def coverage(kept: Json | None) -> str:
    """'91% of spend', nothing where all of it is known."""
    share = number_of(kept["share"]) if kept else None
    if kept is None or share is None or share >= 1:
        return ""
    return _("%(share)s of %(of)s") % {"share": wording.share(share), "of": label_of(COVERED, kept["of"])}


def measure_title(code: str, currency: str) -> str:
    """What a computed measure is called; its code where this version has none of that name."""
    return BY_NAME[code].title_in(currency) if code in BY_NAME else code


def measure_unit(code: str, currency: str) -> str:
    """A computed measure's unit."""
    return BY_NAME[code].unit_in(currency) if code in BY_NAME else ""


def kpi_unit(row: Json, currency: str) -> str:
    """A KPI's unit: as typed, and of a computed one, in the reader's language."""
    with translation.override("en"):
        is_measures = row["unit"] == measure_unit(row["measure"], currency)
    return measure_unit(row["measure"], currency) if is_measures else str(row["unit"])


def parts(value: Json, currency: str) -> str:
    """What spend is made of, in a sentence, and what is in none of it."""
    known = {name: number_of(value[name]) for name in ("billed", "estimated", "entered")}
    usage = [known[name] for name in ("billed", "estimated") if known[name] is not None]
    if not usage and not known["entered"]:
        said = _("No spend is known.")
    elif not any(known.values()):
        said = _("Nothing was spent.")
    else:
        shown = {name: wording.money(amount or Decimal(0), currency) for name, amount in known.items()}
        said = _made_of(known) % shown
    return f"{said} {_not_priced(value)}".strip()


def _made_of(known: Mapping[str, Decimal | None]) -> str:
    """What is not known is not named as a part: no statement is not a statement of zero."""
    if known["billed"] is not None and known["estimated"] is not None:
        return _("Spend is made of %(billed)s billed, %(estimated)s estimated and %(entered)s entered by hand.")
    if known["billed"] is not None:
        return _("Spend is made of %(billed)s billed and %(entered)s entered by hand.")
    if known["estimated"] is not None:
        return _(
            "Spend is made of %(estimated)s estimated and %(entered)s entered by hand; "
            "no provider's statement covers it."
        )
    return _("Spend is %(entered)s entered by hand; of usage no spend is known.")


def _not_priced(value: Json) -> str:
    requests, tokens = number_of(value["not_priced_requests"]), number_of(value["not_priced_tokens"])
    if not requests and not tokens:
        return _("Not priced: none.")
    said = {"requests": wording.short(requests or Decimal(0)), "tokens": wording.short(tokens or Decimal(0))}
    return _("Not priced: %(requests)s requests, %(tokens)s tokens.") % said
