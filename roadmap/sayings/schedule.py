"""What is late."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    "planned_for": words(_("Not started; planned for %(start_on)s to %(end_on)s."), start_on=Kind.DAY, end_on=Kind.DAY),
    "gate_overdue": words(
        ngettext_lazy("The gate is %(days)s day overdue.", "The gate is %(days)s days overdue.", "n"), days=Kind.COUNT
    ),
    "milestone_late": words(_("1 milestone is late: %(milestone)s."), milestone=Kind.NAME),
    "milestones_late": words(
        ngettext_lazy("%(count)s milestone is late.", "%(count)s milestones are late.", "n"), count=Kind.COUNT
    ),
    "nothing_late": words(_("No milestone and no gate is late.")),
}
