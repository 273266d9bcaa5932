"""What codes are called, in the language in force: those that a report keeps for ever, so that no label is lost."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Labels = Mapping[str, str | Promise]

PHASES: Labels = {"poc": _("PoC"), "scale_up": _("Scale-up"), "optimise": _("Optimise")}
STATUSES: Labels = {"on_track": _("On track"), "at_risk": _("At risk"), "off_track": _("Off track")}
COST_CATEGORIES: Labels = {
    "people": _("People"),
    "licences": _("Licences"),
    "data": _("Data"),
    "training": _("Training"),
    "hardware": _("Hardware that serves no backend"),
    "opening_balance": _("Opening balance"),
    "other": _("Other"),
}
RISK_CATEGORIES: Labels = {
    "supply": _("Supply and price of hardware"),
    "lock_in": _("Provider lock-in"),
    "safety": _("Safety and regulation"),
    "privacy": _("Data and privacy"),
    "quality": _("Quality"),
    "adoption": _("Adoption"),
}
OUTCOMES: Labels = {
    "go": pgettext_lazy("outcome of a gate", "Go"),
    "conditional": _("Conditional go"),
    "hold": pgettext_lazy("outcome of a gate", "Hold"),
    "stop": pgettext_lazy("outcome of a gate", "Stop"),
}
SIGNALS: Labels = {
    "schedule": _("Schedule"),
    "budget": _("Budget"),
    "quality": _("Quality"),
    "latency": _("Latency"),
    "risk": _("Risk"),
}
LIGHTS: Labels = {
    "green": _("Green"),
    "amber": _("Amber"),
    "red": _("Red"),
    "none": _("No target"),
    "off": _("Not measured"),
}
KPI_STATUSES: Labels = {
    "on_target": _("On target"),
    "at_risk": _("At risk"),
    "off_target": _("Off target"),
    "no_data": _("No data"),
    "no_target": _("No target"),
}
CAUSES: Labels = {
    "exchange_rate": _("Exchange rate"),
    "price": _("Price"),
    "mix": _("Mix of models and providers"),
    "volume": _("Volume"),
    "tokens_per_unit": _("Tokens per unit"),
    "idle": _("Idle capacity"),
    "cost_entries": _("Cost entries"),
    "restatements": _("Restatements"),
    "other_charges": _("Other charges and credits"),
}
# What stands where a figure is not known.
MISSING: Labels = {
    "no_data": _("no data"),
    "too_little_data": _("too little data"),
    "no_value_kpi": _("no value KPI"),
}
# What a figure's coverage is a share of: 'known for 91% of spend'.
COVERED: Labels = {
    "": pgettext_lazy("known for a share of", "usage"),
    "spend": pgettext_lazy("known for a share of", "spend"),
    "requests": pgettext_lazy("known for a share of", "requests"),
    "input tokens": pgettext_lazy("known for a share of", "input tokens"),
    "tokens": pgettext_lazy("known for a share of", "tokens"),
    "scores": pgettext_lazy("known for a share of", "scores"),
    "GPU hours held": pgettext_lazy("known for a share of", "GPU hours held"),
}
# Where a latency is measured.
PLACES: Labels = {
    "gateway": _("at the gateway"),
    "inner_gateway": _("at the inner gateway"),
    "server": _("at the server"),
    "pushed_server": _("as pushed by the server"),
    "application": _("in the application"),
}


def label_of(labels: Labels, code: str) -> str:
    """The label of a code; the code itself where it has none."""
    return str(labels.get(code, code))
