"""Whether the budget lasts."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    "nothing_spent": words(_("Nothing was spent or measured yet.")),
    "spent_without_budget": words(_("%(spent)s spent; no budget is set."), spent=Kind.MONEY),
    "budget_passed": words(
        _("The budget was passed: %(spent)s of %(budget)s are spent."), spent=Kind.MONEY, budget=Kind.MONEY
    ),
    "budget_passed_on": words(
        _("The budget was passed on %(on)s: %(spent)s of %(budget)s are spent."),
        on=Kind.DAY, spent=Kind.MONEY, budget=Kind.MONEY,
    ),
    "budget_was_spent": words(_("%(spent)s of %(budget)s were spent."), spent=Kind.MONEY, budget=Kind.MONEY),
    "too_little_for_forecast": words(
        _("%(spent)s of %(budget)s spent; too little data for a forecast."), spent=Kind.MONEY, budget=Kind.MONEY
    ),
    "budget_ends": words(_("At the present rate the budget ends on %(on)s."), on=Kind.DAY),
    "budget_ends_days_before_gate": words(
        ngettext_lazy(
            "At the present rate the budget ends on %(on)s, %(days)s day before the gate.",
            "At the present rate the budget ends on %(on)s, %(days)s days before the gate.",
            "n",
        ),
        on=Kind.DAY, days=Kind.COUNT,
    ),
    "budget_ends_weeks_before_gate": words(
        ngettext_lazy(
            "At the present rate the budget ends on %(on)s, %(weeks)s week before the gate.",
            "At the present rate the budget ends on %(on)s, %(weeks)s weeks before the gate.",
            "n",
        ),
        on=Kind.DAY, weeks=Kind.COUNT,
    ),
    "budget_ends_months_before_gate": words(
        ngettext_lazy(
            "At the present rate the budget ends on %(on)s, %(months)s month before the gate.",
            "At the present rate the budget ends on %(on)s, %(months)s months before the gate.",
            "n",
        ),
        on=Kind.DAY, months=Kind.COUNT,
    ),
    "budget_just_lasts_until": words(
        _("The budget just lasts: %(total)s of %(budget)s are forecast for %(on)s."),
        total=Kind.MONEY, budget=Kind.MONEY, on=Kind.DAY,
    ),
    "budget_lasts_until": words(
        _("The budget lasts: %(total)s of %(budget)s are forecast for %(on)s."),
        total=Kind.MONEY, budget=Kind.MONEY, on=Kind.DAY,
    ),
    # The report's own sentence, which names the phase.
    "no_phase": words(_("No phase was running at the end of the month.")),
    "no_budget": words(_("%(phase)s has no budget."), phase=Kind.PHASE),
    "no_forecast": words(_("There is too little data for a forecast.")),
    "budget_lasts": words(
        _("The budget of %(budget)s lasts: %(total)s are forecast for %(phase)s."),
        budget=Kind.MONEY, total=Kind.MONEY, phase=Kind.PHASE,
    ),
    "budget_does_not_last": words(
        _("The budget of %(budget)s does not last: %(total)s are forecast for %(phase)s, and it is passed on %(on)s."),
        budget=Kind.MONEY, total=Kind.MONEY, phase=Kind.PHASE, on=Kind.DAY,
    ),
}  # fmt: skip
