"""What may go wrong."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, record, require, text_required
from roadmap.models import Risk, Roadmap

CHANGEABLE = frozenset({"name", "category", "likelihood", "impact", "owner", "response", "due_on"})


@transaction.atomic
def add_risk(asker: Asker, roadmap: Roadmap, **fields: Any) -> Risk:
    """A new open risk; `fields` are those of CHANGEABLE, at least name, category, likelihood and impact."""
    require(asker, Role.MANAGER, roadmap)
    risk = Risk(roadmap=roadmap, **_known(fields))
    _check_risk(risk)
    risk.save()
    record(asker, "add_risk", risk, roadmap, None, {"name": risk.name, "score": risk.score})
    return risk


@transaction.atomic
def change_risk(asker: Asker, risk: Risk, **changes: Any) -> Risk:
    """Changes the fields of CHANGEABLE."""
    require(asker, Role.MANAGER, risk.roadmap)
    risk = _locked(risk)
    before, after = change(risk, _known(changes))
    _check_risk(risk)
    risk.save()
    record(asker, "change_risk", risk, risk.roadmap, before, after)
    return risk


@transaction.atomic
def close_risk(asker: Asker, risk: Risk) -> Risk:
    """Closed now; closing it again changes nothing."""
    require(asker, Role.MANAGER, risk.roadmap)
    risk = _locked(risk)
    if risk.state == Risk.State.CLOSED:
        raise RuleViolation("already_closed", gettext("'%(name)s' is closed already.") % {"name": risk.name})
    before, after = change(risk, {"state": Risk.State.CLOSED, "closed_at": timezone.now()})
    risk.save()
    record(asker, "close_risk", risk, risk.roadmap, before, after)
    return risk


@transaction.atomic
def reopen_risk(asker: Asker, risk: Risk) -> Risk:
    """Open again."""
    require(asker, Role.MANAGER, risk.roadmap)
    risk = _locked(risk)
    before, after = change(risk, {"state": Risk.State.OPEN, "closed_at": None})
    risk.save()
    record(asker, "reopen_risk", risk, risk.roadmap, before, after)
    return risk


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    return fields


def _check_risk(risk: Risk) -> None:
    risk.name = text_required(risk.name, field="name", what=gettext("the risk a name"))
    for field in ("likelihood", "impact"):
        if not 1 <= (getattr(risk, field) or 0) <= 5:
            raise RuleViolation("score", gettext("Give a number from 1 to 5."), field)
    check(risk)


def _locked(risk: Risk) -> Risk:
    return Risk.objects.select_for_update(of=("self",)).select_related("roadmap__workload", "owner").get(pk=risk.pk)
