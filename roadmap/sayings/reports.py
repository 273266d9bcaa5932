"""What only a report says: notes under its figures, decisions, data notes."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    # Under a figure.
    "plan_of_month": words(_("%(share)s of the %(plan)s planned for the month"), share=Kind.RATIO, plan=Kind.MONEY),
    "plan_to_date": words(
        _("to date %(spent)s, %(share)s of the %(plan)s planned"),
        spent=Kind.MONEY, share=Kind.RATIO, plan=Kind.MONEY,
    ),
    "as_before": words(_("as in the month before")),
    "more_than_before": words(_("%(share)s more than the month before"), share=Kind.RATIO),
    "less_than_before": words(_("%(share)s less than the month before"), share=Kind.RATIO),
    "of_budget": words(_("%(share)s of the budget of %(budget)s"), share=Kind.RATIO, budget=Kind.MONEY),
    "budget_is": words(_("budget %(budget)s"), budget=Kind.MONEY),
    "no_budget_set": words(_("no budget")),
    "run_rate": words(
        ngettext_lazy("run rate of %(days)s day", "run rate of %(days)s days", "n"), days=Kind.COUNT
    ),
    "band": words(_("band %(low)s to %(high)s"), low=Kind.MONEY, high=Kind.MONEY),
    "phase_is_over": words(_("the phase is over")),
    "worth": words(
        _("at %(rate)s %(currency)s each (%(source)s): %(worth)s"),
        rate=Kind.NUMBER, currency=Kind.NAME, source=Kind.NAME, worth=Kind.MONEY,
    ),
    "name_a_value_kpi": words(_("name one on the phase")),
    # Decisions needed.
    "decide_gate": words(
        _("Decide the gate of %(phase)s: due on %(on)s, %(met)s of %(criteria)s criteria met."),
        phase=Kind.PHASE, on=Kind.DAY, met=Kind.COUNT, criteria=Kind.COUNT,
    ),
    "change_budget": words(
        _("Change the budget of %(phase)s or its course: it is passed on %(on)s."), phase=Kind.PHASE, on=Kind.DAY
    ),
    "change_passed_budget": words(
        _("Change the budget of %(phase)s or its course: it is passed, %(spent)s of %(budget)s are spent."),
        phase=Kind.PHASE, spent=Kind.MONEY, budget=Kind.MONEY,
    ),
    "set_price_requests": words(
        ngettext_lazy(
            "Set a price: %(requests)s request is not priced.",
            "Set a price: %(requests)s requests are not priced.",
            "n",
        ),
        requests=Kind.COUNT,
    ),
    "set_price_tokens": words(
        ngettext_lazy(
            "Set a price: %(tokens)s token is not priced.", "Set a price: %(tokens)s tokens are not priced.", "n"
        ),
        tokens=Kind.COUNT,
    ),
    # Data notes.
    "zone_and_currency": words(
        _("Days are those of %(zone)s; amounts are in %(currency)s, without tax."), zone=Kind.NAME, currency=Kind.NAME
    ),
    "what_spend_is": words(
        _("Spend is billed cost where a statement covers it, else an estimate, and the month's cost entries.")
    ),
    "no_rate": words(
        _("Amounts in %(currency)s are left out: there is no exchange rate."), currency=Kind.NAME
    ),
    "rate_of": words(
        _("Amounts in %(currency)s are converted at the rate of %(on)s."), currency=Kind.NAME, on=Kind.DAY
    ),
    "not_priced": words(
        _("Not priced, in no amount: %(requests)s requests, %(tokens)s tokens."),
        requests=Kind.COUNT, tokens=Kind.COUNT,
    ),
    "restated": words(
        _("Restatements of earlier months changed the spend by %(amount)s."), amount=Kind.EXACT
    ),
    "demo_data": words(_("These are demo data: an invented company.")),
    "source_until": words(_("%(source)s: data until %(at)s"), source=Kind.NAME, at=Kind.MOMENT),
    "source_without_data": words(_("%(source)s: no data yet"), source=Kind.NAME),
    "source_until_silent": words(
        _("%(source)s: data until %(at)s; it did not answer when last asked"), source=Kind.NAME, at=Kind.MOMENT
    ),
    "source_without_data_silent": words(
        _("%(source)s: no data yet; it did not answer when last asked"), source=Kind.NAME
    ),
}  # fmt: skip
