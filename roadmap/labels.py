"""What codes are called, in the language in force: phases, categories, statuses, lights, causes, units."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Labels = Mapping[str, str | Promise]

PHASES: Labels = {"poc": _("PoC"), "scale_up": _("Scale-up"), "optimise": _("Optimise")}


def label_of(labels: Labels, code: str) -> str:
    """The label of a code; the code itself where it has none."""
    return str(labels.get(code, code))
