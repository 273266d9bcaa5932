"""Every action of the plan writes exactly one row of the audit trail, and a refused one none."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from metrics.errors import RuleViolation
from roadmap import actions as package
from roadmap import template_files
from roadmap.actions import (
    calendars,
    checklists,
    comments,
    cost_entries,
    evidence,
    gates,
    kpis,
    milestones,
    notices,
    people,
    phases,
    report_links,
    report_mails,
    report_publishing,
    report_subscriptions,
    report_words,
    reports,
    risks,
    roadmaps,
    templates,
    undoing,
    updates,
)
from roadmap.models import CostEntry, Delivery, Kpi, Notice, Report, ReportMail
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.report_mail import Subject

DAY = timedelta(days=1)
# Every module there is, so that a new one is walked too.
MODULES = [importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
# What takes an asker and changes nothing itself.
NO_ACTIONS = {
    "check_may_decide",
    "close_due_months",
    "freeze",
    "check_may_publish",
    "may_give_words",
    "may_publish",
    "may_remove",
    "may_change",
    "may_decide",
    "may_delete",
    "record",
    "require",
}


def actions() -> dict[str, object]:
    """The public functions whose first argument is the asker."""
    found = {}
    for module in MODULES:
        for name, function in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(function) or function.__module__ != module.__name__:
                continue
            first = next(iter(inspect.signature(function).parameters), "")
            if first == "asker" and name not in NO_ACTIONS:
                found[name] = function
    return found


@pytest.fixture
def steps(plan, poc, gate, alice, adam, oscar, asker, today):
    """How each action is called, in an order in which each can be."""
    a, d = asker(alice), asker(adam)
    held: dict[str, object] = {}

    def keep(name, value):
        held[name] = value
        return value

    return {
        "make_roadmap": lambda: roadmaps.make_roadmap(d, name="Other", owner=adam),
        "save_as_template": lambda: keep("template", templates.save_as_template(a, plan, name="Ours")),
        "import_template": lambda: templates.import_template(
            a, template_files.write_template(template_files.find_template("finance")), name="Theirs"
        ),
        "rename_template": lambda: templates.rename_template(a, held["template"], name="Ours too"),
        "retire_template": lambda: templates.retire_template(a, held["template"]),
        "make_calendar_address": lambda: keep("address", calendars.make_calendar_address(a, roadmap=plan)[0]),
        "renew_calendar_address": lambda: calendars.renew_calendar_address(a, held["address"]),
        "revoke_calendar_address": lambda: calendars.revoke_calendar_address(a, held["address"]),
        "change_roadmap": lambda: roadmaps.change_roadmap(a, plan, summary="x"),
        "set_state": lambda: roadmaps.set_state(a, plan, state="paused"),
        "set_membership": lambda: keep("member", people.set_membership(a, plan, user=oscar, role="viewer")),
        "remove_membership": lambda: people.remove_membership(a, plan, Membership.objects.get(pk=held["member"].pk)),
        "change_phase": lambda: phases.change_phase(a, poc, budget_amount=Decimal(5)),
        "start_phase": lambda: phases.start_phase(d, held["planned"], on=today),
        "annotate": lambda: keep("note", phases.annotate(a, poc, on=today, text="x")),
        "delete_annotation": lambda: phases.delete_annotation(a, held["note"]),
        "add_milestone": lambda: keep("milestone", milestones.add_milestone(a, poc, name="x", due_on=today)),
        "change_milestone": lambda: milestones.change_milestone(a, held["milestone"], name="y"),
        "tick_milestone": lambda: milestones.tick_milestone(a, held["milestone"]),
        "reopen_milestone": lambda: milestones.reopen_milestone(a, held["milestone"]),
        "add_evidence": lambda: keep(
            "file", evidence.add_evidence(a, held["milestone"], name="a.pdf", data=b"%PDF-1.7 x")
        ),
        "remove_evidence": lambda: evidence.remove_evidence(a, held["file"]),
        "drop_milestone": lambda: milestones.drop_milestone(a, held["milestone"], reason="x"),
        "delete_milestone": lambda: milestones.delete_milestone(a, held["milestone"]),
        "add_checklist_item": lambda: keep("item", checklists.add_checklist_item(a, poc, category="data", name="x")),
        "change_checklist_item": lambda: checklists.change_checklist_item(a, held["item"], name="y"),
        "tick_checklist_item": lambda: checklists.tick_checklist_item(a, held["item"]),
        "delete_checklist_item": lambda: checklists.delete_checklist_item(a, held["item"]),
        "add_kpi": lambda: keep("kpi", kpis.add_kpi(a, poc, name="x", direction="higher")),
        "change_kpi": lambda: kpis.change_kpi(a, held["kpi"], target=Decimal(5)),
        "record_readings": lambda: kpis.record_readings(
            a, held["kpi"], [kpis.NewReading(timezone.now() - n * DAY, Decimal(n)) for n in range(3)]
        ),
        "record_reading": lambda: kpis.record_reading(a, held["kpi"], at=timezone.now(), value=Decimal(1)),
        "delete_reading": lambda: kpis.delete_reading(a, Kpi.objects.get(name="x").readings.first()),
        "delete_kpi": lambda: kpis.delete_kpi(a, held["kpi"]),
        "add_cost_entry": lambda: keep(
            "entry",
            cost_entries.add_cost_entry(a, poc, name="x", category="people", amount=Decimal(1), start_on=today),
        ),
        "change_cost_entry": lambda: cost_entries.change_cost_entry(a, held["entry"], amount=Decimal(2)),
        "delete_cost_entry": lambda: cost_entries.delete_cost_entry(a, held["entry"]),
        "add_risk": lambda: keep("risk", risks.add_risk(a, plan, name="x", category="quality", likelihood=1, impact=1)),
        "change_risk": lambda: risks.change_risk(a, held["risk"], impact=2),
        "close_risk": lambda: risks.close_risk(a, held["risk"]),
        "reopen_risk": lambda: risks.reopen_risk(a, held["risk"]),
        "add_comment": lambda: keep("comment", comments.add_comment(a, plan, text="x", about=gate)),
        "change_comment": lambda: comments.change_comment(a, held["comment"], text="y"),
        "delete_comment": lambda: comments.delete_comment(a, held["comment"]),
        # One row for each report it publishes.
        "close_month": lambda: reports.close_month(d, (today.replace(day=1) - DAY).replace(day=1)),
        "ask_to_close": lambda: reports.ask_to_close(d, keep("draft", _draft(plan, today)).month),
        "give_words": lambda: report_words.give_words(
            a, held["draft"], text="x", next_actions={}, is_ready=False, version=0
        ),
        "publish_report": lambda: report_publishing.publish_report(a, held["draft"]),
        "publish_now": lambda: report_publishing.publish_now(d, _draft(None, today).pk),
        "revise_report": lambda: report_publishing.revise_report(a, _spent(held["draft"]), why="x"),
        "revise_now": lambda: report_publishing.revise_now(d, _spent(held["draft"]), why="x"),
        "make_report_link": lambda: keep(
            "link", report_links.make_report_link(a, _published(plan), label="The board")[0]
        ),
        "revoke_report_link": lambda: report_links.revoke_report_link(a, held["link"]),
        "subscribe_to_reports": lambda: report_subscriptions.subscribe_to_reports(a, Subject("roadmap", roadmap=plan)),
        "unsubscribe_from_reports": lambda: report_subscriptions.unsubscribe_from_reports(
            a, Subject("roadmap", roadmap=plan)
        ),
        # One row for each reader it adds.
        "add_report_subscribers": lambda: keep(
            "readers",
            report_subscriptions.add_report_subscribers(
                a, Subject("roadmap", roadmap=plan), readers=["ann@board.example"]
            ),
        ),
        "change_report_subscriber": lambda: report_subscriptions.change_report_subscriber(
            a, held["readers"].added[0], is_on=False
        ),
        "remove_report_subscriber": lambda: report_subscriptions.remove_report_subscriber(a, held["readers"].added[0]),
        "send_report_mails_again": lambda: report_mails.send_report_mails_again(
            a, _unsent(_published(plan), "failed").report
        ),
        "send_report_mail_again": lambda: report_mails.send_report_mail_again(a, _unsent(_published(plan), "unknown")),
        "post_update": lambda: updates.post_update(a, plan, status="on_track", sentence="x"),
        "change_gate": lambda: gates.change_gate(a, gate, due_on=today + DAY),
        "add_criterion": lambda: keep(
            "criterion", gates.add_criterion(a, gate, subject=poc.milestones.order_by("due_on").first())
        ),
        "remove_criterion": lambda: gates.remove_criterion(a, held["criterion"]),
        "decide_gate": lambda: gates.decide_gate(
            d, gate, outcome="hold", reason="x", new_due_on=today + DAY, values_of=kpi_values
        ),
        "undo_decision": lambda: undoing.undo_decision(
            d, held["stopped"], reason="x", new_due_on=today + DAY, values_of=kpi_values
        ),
        "choose_notices": lambda: notices.choose_notices(a, channels={"mention": ["slack"]}, zone="Asia/Seoul"),
        "set_address": lambda: notices.set_address(a, channel="slack", address="https://8.8.8.8/x"),
        "remove_address": lambda: notices.remove_address(a, channel="slack"),
        "send_test_notice": lambda: notices.send_test_notice(a, channel="mail"),
        "retry_delivery": lambda: notices.retry_delivery(a, _given_up(alice)),
    }, held


def _draft(plan, today):
    """A report of the plan, or of the portfolio, for a month long ago."""
    month = (today - 100 * DAY).replace(day=1)
    scope = "roadmap" if plan else "portfolio"
    return Report.objects.get_or_create(scope=scope, roadmap=plan, month=month, revision=1)[0]


def _spent(report):
    """The report, whose month has cost more by now."""
    CostEntry.objects.create(
        roadmap=report.roadmap, name="Late", category="people", amount=Decimal(1), currency="USD", start_on=report.month
    )
    return report


def _published(plan):
    return Report.objects.filter(roadmap=plan, state="published").latest("month")


def _unsent(report, state):
    return ReportMail.objects.create(report=report, recipient=f"{state}@board.example", language="en", state=state)


def _given_up(person):
    notice = Notice.objects.create(key="test", kind="add_comment")
    return Delivery.objects.create(
        notice=notice, kind="mention", person=person, channel="mail", title="x", state="failed", batch=uuid4()
    )


def test_each_action_writes_one_row(steps, alice, adam, asker, today):
    calls, held = steps
    assert set(calls) == set(actions())
    later = roadmaps.make_roadmap(asker(adam), name="Planned", owner=adam, start_on=today + DAY)
    stopped = roadmaps.make_roadmap(asker(adam), name="Stopped", owner=later.owner, start_on=today)
    stopped.phases.update(owner=alice)
    held["stopped"] = stopped.phases.get(kind="poc").gate
    gates.decide_gate(asker(adam), held["stopped"], outcome="stop", reason="x", values_of=kpi_values)
    held["planned"] = later.phases.get(kind="poc")
    for name, call in calls.items():
        before = AuditEvent.objects.count()
        made = call()
        rows = len(made.published) if name == "close_month" else 1
        assert rows
        assert AuditEvent.objects.count() == before + rows, name
        assert AuditEvent.objects.order_by("-pk").first().actor is not None


def test_a_refused_action_writes_none(plan, poc, alice, asker, today):
    before = AuditEvent.objects.count()
    with pytest.raises(RuleViolation):
        milestones.add_milestone(asker(alice), poc, name=" ", due_on=today)
    with pytest.raises(RuleViolation):
        risks.add_risk(asker(alice), plan, name="x", category="quality", likelihood=9, impact=1)
    assert AuditEvent.objects.count() == before
