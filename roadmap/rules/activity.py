"""What happened on a roadmap, in plain sentences, from the rows of the audit trail. Pure: texts in, texts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext

from web import wording

Values = Mapping[str, str | None]

# Names of fields that are not read as they stand.
_FIELDS = {
    "due_on": gettext_lazy("the due date"),
    "done_on": gettext_lazy("the day it was done"),
    "planned_start_on": gettext_lazy("the planned start"),
    "planned_end_on": gettext_lazy("the planned end"),
    "started_on": gettext_lazy("the start"),
    "start_on": gettext_lazy("the first day"),
    "end_on": gettext_lazy("the last day"),
    "evidence_url": gettext_lazy("the evidence"),
    "budget_amount": gettext_lazy("the budget"),
    "outside_key": gettext_lazy("the outside key"),
    "depends_on": gettext_lazy("what it waits for"),
    "target_on": gettext_lazy("the day of the target"),
    "rate_amount": gettext_lazy("the rate"),
}
# Kept beside another field that says the same to a person.
_SILENT = {"version", "done_at", "done_by", "closed_at", "state", "growth_set_by", "growth_set_on"}

_PLAIN = {
    "make_roadmap": gettext_lazy("made this roadmap"),
    "tick_milestone": gettext_lazy("marked {name} as done"),
    "reopen_milestone": gettext_lazy("opened {name} again"),
    "delete_milestone": gettext_lazy("deleted the milestone {name}"),
    "add_evidence": gettext_lazy("added the evidence {name}"),
    "remove_evidence": gettext_lazy("removed the evidence {name}"),
    "add_checklist_item": gettext_lazy("added {name} to the checklist"),
    "delete_checklist_item": gettext_lazy("deleted {name} from the checklist"),
    "add_kpi": gettext_lazy("added the KPI {name}"),
    "delete_kpi": gettext_lazy("deleted the KPI {name}"),
    "record_readings": gettext_lazy("recorded readings of {name}"),
    "delete_reading": gettext_lazy("deleted a reading of {name}"),
    "add_risk": gettext_lazy("added the risk {name}"),
    "close_risk": gettext_lazy("closed the risk {name}"),
    "reopen_risk": gettext_lazy("opened the risk {name} again"),
    "delete_cost_entry": gettext_lazy("deleted the cost entry {name}"),
    "start_phase": gettext_lazy("started {name}"),
    "add_criterion": gettext_lazy("made {name} a criterion of the gate"),
    "remove_criterion": gettext_lazy("took {name} out of the gate"),
    "delete_annotation": gettext_lazy("deleted a note on the charts"),
    "make_report_link": gettext_lazy("made the private link {name}"),
    "revoke_report_link": gettext_lazy("revoked the private link {name}"),
}


def sentence(action: str, subject: str, before: Values | None, after: Values | None) -> str:
    """What somebody did, to stand behind their name: 'moved "Pilot" from 3 to 17 Nov 2026'."""
    was, now = before or {}, after or {}
    name = f'"{subject}"'
    special = _SPECIAL.get(action)
    if special is not None:
        return special(name, was, now)
    if action in _PLAIN:
        return str(_PLAIN[action]).format(name=name)
    if action.startswith("change_"):
        return _changed(name, was, now)
    # An action that is new here is told by its own name.
    verb, _, rest = action.partition("_")
    return f"{verb}: {rest.replace('_', ' ')} {name}" if rest else f"{verb} {name}"


def _changed(name: str, was: Values, now: Values) -> str:
    # A milestone that others wait for names each that moved along as '#12 Runbook'.
    along = sum(1 for field in now if field.startswith("#"))
    told = [field for field in now if field not in _SILENT and not field.startswith("#")]
    if along and "due_on" in told:
        moves = _changed(name, was, {field: now[field] for field in told})
        text = ngettext(
            "%(moves)s, and %(count)s milestone that waits for it",
            "%(moves)s, and %(count)s milestones that wait for it",
            along,
        )
        return text % {"moves": moves, "count": wording.count(along)}
    if "due_on" in told and (moved := _moved(name, was.get("due_on"), now.get("due_on"))):
        rest = [field for field in told if field != "due_on"]
        if not rest:
            return moved
        return gettext("%(moved)s, and changed %(fields)s") % {"moved": moved, "fields": _fields(rest, was, now)}
    if told == ["name"]:
        return gettext('renamed "%(before)s" to "%(now)s"') % {"before": was.get("name"), "now": now.get("name")}
    if not told:
        return gettext("saved %(name)s") % {"name": name}
    return gettext("changed %(fields)s of %(name)s") % {"fields": _fields(told, was, now), "name": name}


def _moved(name: str, was: str | None, now: str | None) -> str:
    try:
        first, second = date.fromisoformat(was or ""), date.fromisoformat(now or "")
    except ValueError:
        return ""
    return gettext("moved %(name)s from %(days)s") % {"name": name, "days": _from_to(first, second)}


def _from_to(first: date, second: date) -> str:
    """'3 to 17 Nov 2026'; month and year once where they are the same."""
    if (first.year, first.month) == (second.year, second.month):
        begun = str(first.day)
    elif first.year == second.year:
        begun = wording.day_short(first)
    else:
        begun = wording.day(first)
    return pgettext("from one day to another", "%(first)s to %(second)s") % {
        "first": begun,
        "second": wording.day(second),
    }


def _fields(fields: list[str], was: Values, now: Values) -> str:
    parts = []
    for field in fields:
        label = str(_FIELDS.get(field) or gettext("the %(field)s") % {"field": field.replace("_", " ")})
        said = {"field": label, "before": _value(was.get(field)), "now": _value(now.get(field))}
        old, new = _value(was.get(field)), _value(now.get(field))
        if max(len(old), len(new)) > 60:
            parts.append(label)
        elif old and new:
            parts.append(gettext("%(field)s from %(before)s to %(now)s") % said)
        else:
            text = gettext("%(field)s to %(now)s") if new else gettext("%(field)s from %(before)s to nothing")
            parts.append(text % said)
    return _listed(parts)


def _listed(parts: list[str]) -> str:
    """'a, b and c'."""
    if len(parts) == 1:
        return parts[0]
    return gettext("%(first)s and %(second)s") % {"first": ", ".join(parts[:-1]), "second": parts[-1]}


def _value(text: str | None) -> str:
    """A day as people write it, yes and no, anything else as it is."""
    if text in (None, ""):
        return ""
    if text in ("True", "False"):
        return gettext("yes") if text == "True" else gettext("no")
    try:
        return wording.day(date.fromisoformat(str(text)))
    except ValueError:
        return str(text)


def _quoted(text: str | None) -> str:
    return f": {text}" if text else ""


def _add_milestone(name: str, was: Values, now: Values) -> str:
    due = _value(now.get("due_on"))
    if not due:
        return gettext("added the milestone %(name)s") % {"name": name}
    return gettext("added the milestone %(name)s, due %(day)s") % {"name": name, "day": due}


def _tick(name: str, was: Values, now: Values) -> str:
    if "is_done" not in now:
        return gettext("changed the evidence of %(name)s") % {"name": name}
    text = gettext("ticked %(name)s") if now["is_done"] == "True" else gettext("took the tick from %(name)s")
    return text % {"name": name}


def _update(name: str, was: Values, now: Values) -> str:
    status = now.get("status") or ""
    words = {"on_track": gettext("on track"), "at_risk": gettext("at risk"), "off_track": gettext("off track")}
    text = gettext("posted an update, %(status)s") % {"status": words.get(status, status.replace("_", " "))}
    return f"{text}{_quoted(now.get('sentence'))}"


def _decide(name: str, was: Values, now: Values) -> str:
    code = now.get("outcome") or ""
    outcomes = {"conditional": gettext("conditional go"), "hold": gettext("hold"), "stop": gettext("stop")}
    phases = {"poc": gettext("PoC"), "scale_up": gettext("scale-up"), "optimise": gettext("optimise")}
    text = gettext("decided the %(phase)s gate: %(outcome)s") % {
        "phase": phases.get(was.get("phase") or "", gettext("phase")),
        "outcome": outcomes.get(code, code),
    }
    return f"{text}{_quoted(now.get('reason'))}"


def _member(name: str, was: Values, now: Values) -> str:
    person, role = _person(name), now.get("role")
    roles = {"manager": gettext("manager"), "contributor": gettext("contributor"), "viewer": gettext("viewer")}
    said = {"person": person, "role": roles.get(role or "", role)}
    if not was.get("role"):
        return gettext("added %(person)s as %(role)s") % said
    before = str(was["role"])
    return gettext("made %(person)s a %(role)s, %(before)s before") % (said | {"before": roles.get(before, before)})


def _person(name: str) -> str:
    """Of '"Bob Builder: Viewer of Claims"' the person."""
    return name.strip('"').partition(":")[0]


def _cost(name: str, was: Values, now: Values) -> str:
    amount = " ".join(part for part in (now.get("amount"), now.get("currency")) if part)
    text = gettext("added the cost entry %(name)s") % {"name": name}
    return f"{text}, {amount}" if amount else text


def _state(values: Values) -> str:
    code = values.get("state") or ""
    words = {
        "proposed": gettext("proposed"),
        "active": gettext("active"),
        "paused": gettext("paused"),
        "stopped": gettext("stopped"),
        "live": gettext("live"),
    }
    return words.get(code, code)


def _published(now: Values) -> str:
    said = {"month": (now.get("month") or "")[:7], "revision": now.get("revision")}
    if said["revision"] == "1":
        return gettext("published the report of %(month)s") % said
    return gettext("published the report of %(month)s, revision %(revision)s") % said


_SPECIAL: Mapping[str, Callable[[str, Values, Values], str]] = {
    "add_comment": lambda name, was, now: (
        gettext("commented on %(about)s") % {"about": now.get("about")} + _quoted(now.get("text"))
    ),
    "change_comment": lambda name, was, now: gettext("changed a comment") + _quoted(now.get("text")),
    "delete_comment": lambda name, was, now: gettext("deleted a comment"),
    "add_milestone": _add_milestone,
    "drop_milestone": lambda name, was, now: (
        gettext("dropped %(name)s") % {"name": name} + _quoted(now.get("dropped_reason"))
    ),
    "tick_checklist_item": _tick,
    "post_update": _update,
    "decide_gate": _decide,
    "set_membership": _member,
    "remove_membership": lambda name, was, now: (
        gettext("took %(person)s out of the roadmap") % {"person": _person(name)}
    ),
    "add_cost_entry": _cost,
    "annotate": lambda name, was, now: gettext("noted on the charts") + _quoted(now.get("text")),
    "set_state": lambda name, was, now: (
        gettext("set the roadmap from %(before)s to %(now)s") % {"before": _state(was), "now": _state(now)}
    ),
    "publish_report": lambda name, was, now: _published(now),
}
