"""What both readers call things, in the language in force, so that the same is called the same on either side."""

from __future__ import annotations

from django.utils.translation import gettext as _

from roadmap.labels import LIGHTS, OUTCOMES, SIGNALS, label_of
from roadmap.reports.comparisons.side import Light
from roadmap.reports.document import Tone
from roadmap.reports.documents.v2.cells import TONES
from roadmap.reports.documents.v2.headline import status_word
from web import wording


def status_light(status: str, *, key: str = "status", label: str = "", reason: str = "") -> Light:
    """The manager's status as a light; a grey one without an update."""
    tone = TONES.get(status, "off")
    return Light(key=key, label=label or _("Status"), tone=tone, word=status_word(status), reason=reason)


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
