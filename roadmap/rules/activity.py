"""What happened on a roadmap, in plain sentences, from the rows of the audit trail. Pure: texts in, texts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from web import wording

Values = Mapping[str, str | None]

# Names of fields that are not read as they stand.
_FIELDS = {
    "due_on": "the due date",
    "done_on": "the day it was done",
    "planned_start_on": "the planned start",
    "planned_end_on": "the planned end",
    "started_on": "the start",
    "start_on": "the first day",
    "end_on": "the last day",
    "evidence_url": "the evidence",
    "budget_amount": "the budget",
    "outside_key": "the outside key",
    "depends_on": "what it waits for",
    "target_on": "the day of the target",
    "rate_amount": "the rate",
}
# Kept beside another field that says the same to a person.
_SILENT = {"version", "done_at", "done_by", "closed_at", "state", "growth_set_by", "growth_set_on"}

_PLAIN = {
    "make_roadmap": "made this roadmap",
    "tick_milestone": "marked {name} as done",
    "reopen_milestone": "opened {name} again",
    "delete_milestone": "deleted the milestone {name}",
    "add_evidence": "added the evidence {name}",
    "remove_evidence": "removed the evidence {name}",
    "add_checklist_item": "added {name} to the checklist",
    "delete_checklist_item": "deleted {name} from the checklist",
    "add_kpi": "added the KPI {name}",
    "delete_kpi": "deleted the KPI {name}",
    "record_readings": "recorded readings of {name}",
    "delete_reading": "deleted a reading of {name}",
    "add_risk": "added the risk {name}",
    "close_risk": "closed the risk {name}",
    "reopen_risk": "opened the risk {name} again",
    "delete_cost_entry": "deleted the cost entry {name}",
    "start_phase": "started {name}",
    "add_criterion": "made {name} a criterion of the gate",
    "remove_criterion": "took {name} out of the gate",
    "delete_annotation": "deleted a note on the charts",
    "make_report_link": "made the private link {name}",
    "revoke_report_link": "revoked the private link {name}",
}


def sentence(action: str, subject: str, before: Values | None, after: Values | None) -> str:
    """What somebody did, to stand behind their name: 'moved "Pilot" from 3 to 17 Nov 2026'."""
    was, now = before or {}, after or {}
    name = f'"{subject}"'
    special = _SPECIAL.get(action)
    if special is not None:
        return special(name, was, now)
    if action in _PLAIN:
        return _PLAIN[action].format(name=name)
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
        return f"{moves}, and {wording.plural(along, 'milestone')} that {'waits' if along == 1 else 'wait'} for it"
    if "due_on" in told and (moved := _moved(name, was.get("due_on"), now.get("due_on"))):
        rest = [field for field in told if field != "due_on"]
        return moved if not rest else f"{moved}, and changed {_fields(rest, was, now)}"
    if told == ["name"]:
        return f'renamed "{was.get("name")}" to "{now.get("name")}"'
    return f"changed {_fields(told, was, now)} of {name}" if told else f"saved {name}"


def _moved(name: str, was: str | None, now: str | None) -> str:
    try:
        first, second = date.fromisoformat(was or ""), date.fromisoformat(now or "")
    except ValueError:
        return ""
    return f"moved {name} from {_from_to(first, second)}"


def _from_to(first: date, second: date) -> str:
    """'3 to 17 Nov 2026'; month and year once where they are the same."""
    if (first.year, first.month) == (second.year, second.month):
        return f"{first.day} to {wording.day(second)}"
    if first.year == second.year:
        return f"{wording.day_short(first)} to {wording.day(second)}"
    return f"{wording.day(first)} to {wording.day(second)}"


def _fields(fields: list[str], was: Values, now: Values) -> str:
    parts = []
    for field in fields:
        label = _FIELDS.get(field, f"the {field.replace('_', ' ')}")
        old, new = _value(was.get(field)), _value(now.get(field))
        if max(len(old), len(new)) > 60:
            parts.append(label)
        elif old and new:
            parts.append(f"{label} from {old} to {new}")
        else:
            parts.append(f"{label} to {new}" if new else f"{label} from {old} to nothing")
    return _listed(parts)


def _listed(parts: list[str]) -> str:
    """'a, b and c'."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _value(text: str | None) -> str:
    """A day as people write it, yes and no, anything else as it is."""
    if text in (None, ""):
        return ""
    if text in ("True", "False"):
        return "yes" if text == "True" else "no"
    try:
        return wording.day(date.fromisoformat(str(text)))
    except ValueError:
        return str(text)


def _quoted(text: str | None) -> str:
    return f": {text}" if text else ""


def _add_milestone(name: str, was: Values, now: Values) -> str:
    due = _value(now.get("due_on"))
    return f"added the milestone {name}{f', due {due}' if due else ''}"


def _tick(name: str, was: Values, now: Values) -> str:
    if "is_done" not in now:
        return f"changed the evidence of {name}"
    return f"ticked {name}" if now["is_done"] == "True" else f"took the tick from {name}"


def _update(name: str, was: Values, now: Values) -> str:
    status = (now.get("status") or "").replace("_", " ")
    return f"posted an update, {status}{_quoted(now.get('sentence'))}"


def _decide(name: str, was: Values, now: Values) -> str:
    outcome = {"conditional": "conditional go"}.get(now.get("outcome") or "", now.get("outcome") or "")
    phase = {"poc": "PoC", "scale_up": "scale-up", "optimise": "optimise"}.get(was.get("phase") or "", "phase")
    return f"decided the {phase} gate: {outcome}{_quoted(now.get('reason'))}"


def _member(name: str, was: Values, now: Values) -> str:
    person, role = _person(name), now.get("role")
    return f"made {person} a {role}, {was['role']} before" if was.get("role") else f"added {person} as {role}"


def _person(name: str) -> str:
    """Of '"Bob Builder: Viewer of Claims"' the person."""
    return name.strip('"').partition(":")[0]


def _cost(name: str, was: Values, now: Values) -> str:
    amount = " ".join(part for part in (now.get("amount"), now.get("currency")) if part)
    return f"added the cost entry {name}{f', {amount}' if amount else ''}"


_SPECIAL: Mapping[str, Callable[[str, Values, Values], str]] = {
    "add_comment": lambda name, was, now: f"commented on {now.get('about')}{_quoted(now.get('text'))}",
    "change_comment": lambda name, was, now: f"changed a comment{_quoted(now.get('text'))}",
    "delete_comment": lambda name, was, now: "deleted a comment",
    "add_milestone": _add_milestone,
    "drop_milestone": lambda name, was, now: f"dropped {name}{_quoted(now.get('dropped_reason'))}",
    "tick_checklist_item": _tick,
    "post_update": _update,
    "decide_gate": _decide,
    "set_membership": _member,
    "remove_membership": lambda name, was, now: f"took {_person(name)} out of the roadmap",
    "add_cost_entry": _cost,
    "annotate": lambda name, was, now: f"noted on the charts{_quoted(now.get('text'))}",
    "set_state": lambda name, was, now: f"set the roadmap from {was.get('state')} to {now.get('state')}",
    "publish_report": lambda name, was, now: (
        f"published the report of {(now.get('month') or '')[:7]}"
        + (f", revision {now.get('revision')}" if now.get("revision") != "1" else "")
    ),
}
