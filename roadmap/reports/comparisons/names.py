"""What both readers call things, in the language in force, so that the same is called the same on either side."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from roadmap.kpis import BY_NAME
from roadmap.labels import LIGHTS, OUTCOMES, PHASES, SIGNALS, STATUSES, label_of
from roadmap.reports.comparisons.side import Light
from roadmap.reports.document import Tone
from web import wording

STATUS_TONES: Mapping[str, Tone] = {"on_track": "green", "at_risk": "amber", "off_track": "red"}


def measure_title(code: str, currency: str, otherwise: str = "") -> str:
    """What a computed measure is called; `otherwise`, or its code, where none has that name any more."""
    return BY_NAME[code].title_in(currency) if code in BY_NAME else otherwise or code


def measure_unit(code: str, currency: str, otherwise: str = "") -> str:
    """A computed measure's unit."""
    return BY_NAME[code].unit_in(currency) if code in BY_NAME else otherwise


def figure_label(key: str, *, phase: str = "", name: str = "", measure: str = "", currency: str = "") -> str:
    """What one of the four figures of page 1 is called."""
    if key == "spend":
        return _("Spend of the month")
    if key == "forecast":
        return _("Forecast, %(phase)s") % {"phase": label_of(PHASES, phase)} if phase else _("Forecast")
    if key == "value":
        return _("Value: %(kpi)s") % {"kpi": name} if name else _("Value")
    return measure_title(measure, currency, name)


def status_light(status: str, *, key: str = "status", label: str = "", reason: str = "") -> Light:
    """The manager's status as a light; a grey one without an update."""
    word = label_of(STATUSES, status) if status else _("No update")
    return Light(key=key, label=label or _("Status"), tone=STATUS_TONES.get(status, "off"), word=word, reason=reason)


def signal_light(signal: str, tone: Tone, reason: str) -> Light:
    """One of the five signals."""
    return Light(key=signal, label=label_of(SIGNALS, signal), tone=tone, word=label_of(LIGHTS, tone), reason=reason)


def gate_stands(outcome: str, met: int, criteria: int) -> str:
    """'Conditional go'; '3 of 5 criteria met' while it is not decided."""
    if outcome:
        return label_of(OUTCOMES, outcome)
    if not criteria:
        return _("no criteria")
    return _("%(met)s of %(criteria)s criteria met") % {"met": wording.count(met), "criteria": wording.count(criteria)}


def part_labels() -> dict[str, str]:
    """What spend is made of, by the payload's keys; the total last."""
    return {
        "billed": _("Billed"),
        "estimated": _("Estimated"),
        "entered": _("Entered by hand"),
        "total": _("Total"),
    }
