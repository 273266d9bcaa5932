"""A manager's walk in a real browser, from a template to the next phase, three times: with JavaScript, without it, and
by the keyboard alone. The gate is decided by somebody else than the phase's owner, who finds it in My week.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pypdfium2 as pdfium
import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from roadmap.models import GateDecision, Kpi, Milestone, Phase, Roadmap
from roadmap.queries.gate_state import is_intact
from tests.browser.walkers import KeyboardWalker, Walker
from web import wording

DAY = timedelta(days=1)
NAME = "Credit memos"
MOVED = "Data cleaned and released by its owner and by data protection"
SUCCESSORS = (
    "Prompts and guardrails set up",
    "First users work with it in parallel to today's process",
    "Evaluation against cases decided by people",
)
CRITERIA = (
    "Owner of the use case named",
    "Data sources, their owners and their quality written down",
    "Quality score",
    "Cost per 1,000 requests",
    "p95 of the last four weeks",
    "Prompts and guardrails set up",
    "Entered in the model inventory, with a model owner and a tier",
    "Second line (risk, compliance) has seen use case and controls",
)
REASON = "Good enough to go on; the figures follow within a month."


@pytest.fixture(params=["JavaScript", "no JavaScript", "keyboard alone"])
def walker_of(request, page_as):
    """`walker_of(person)`: somebody in the way of this run."""

    def make(person) -> Walker:
        page = page_as(person, has_script=request.param != "no JavaScript", wants_errors=True)
        return (KeyboardWalker if request.param == "keyboard alone" else Walker)(page)

    return make


def due() -> dict[str, date]:
    """Due dates of the PoC by name."""
    return dict(Milestone.objects.filter(phase__kind="poc").values_list("name", "due_on"))


def test_a_manager_walks_from_a_template_to_the_next_phase(walker_of, alice, erin):
    today = timezone.localdate()
    manager = walker_of(alice)
    makes_a_roadmap(manager, today)
    shifts_a_milestone(manager)
    asks_for_p95(manager)
    prepares_the_gate(manager, today)
    keeper = walker_of(erin)
    decides(keeper, today)
    prints_the_evidence(keeper)
    sees_the_next_phase(manager)
    holds_what_a_manager_expects(alice, erin, today)


def makes_a_roadmap(manager: Walker, today: date) -> None:
    manager.open("/")
    manager.press("link", "New roadmap")
    manager.press("link", "Finance and risk: Any use case")
    manager.sees("Template: Finance and risk")
    manager.write("Name", NAME)
    manager.day("Starts on", today - 30 * DAY)
    manager.write("Budget of the PoC", "90000")
    manager.submit("Make the roadmap")
    manager.sees(f"'{NAME}' is there, with its plan.")


def shifts_a_milestone(manager: Walker) -> None:
    before = due()
    manager.press("link", f"Move {MOVED}, {wording.day(before[MOVED])}")
    manager.sees(f"Move '{MOVED}'")
    manager.day("Due", before[MOVED] + 10 * DAY)
    manager.submit("Save")
    manager.sees("the new date moves 3 milestones that wait for this one")
    assert due() == before
    manager.submit("Save")
    manager.sees(f"'{MOVED}' saved, and 3 milestones moved along.")
    after = due()
    assert {name for name in after if after[name] != before[name]} == {MOVED, *SUCCESSORS}


def asks_for_p95(manager: Walker) -> None:
    manager.press("link", "Open PoC")
    manager.press("link", "Add a KPI")
    manager.write("Name", "p95 of the last four weeks")
    manager.choose("Computed from", "p95 latency, s")
    manager.write("Target", "2.5")
    manager.write("Minimum sample", "200")
    manager.submit("Add")
    manager.sees("'p95 of the last four weeks' added.")


def prepares_the_gate(manager: Walker, today: date) -> None:
    for name in (CRITERIA[6], CRITERIA[5]):
        manager.press("button", f"Done: {name}")
        manager.sees(f"'{name}' is done.")
    for name in (CRITERIA[0], CRITERIA[1], CRITERIA[7]):
        manager.press("button", f"Done: {name}")
        manager.sees(f"'{name}' ticked.")
    manager.press("link", "Open the gate")
    manager.sees("5 of 8 criteria are met.")
    manager.press("link", "Add a criterion")
    manager.choose("Asks for", "p95 of the last four weeks")
    manager.choose("A KPI is", "Measured on its minimum sample")
    manager.submit("Add")
    manager.sees("The gate asks for 'p95 of the last four weeks' now.")
    manager.press("button", "Remove p95 latency")
    manager.sees("The gate no longer asks for 'p95 latency'.")
    manager.press("link", "Change date or gatekeeper")
    manager.day("Due", today + 7 * DAY)
    manager.choose("Gatekeeper", "Erin Executive")
    manager.submit("Save")
    manager.sees("Gate saved.")
    assert not manager.reads("Signed as"), "the phase's owner must not be offered the decision"


def decides(keeper: Walker, today: date) -> None:
    keeper.open("/me/")
    keeper.press("link", "Decide the PoC gate")
    keeper.sees("5 of 8 criteria are met.")
    keeper.pick("Conditional go")
    keeper.write("Reason", REASON)
    keeper.write("Condition 1", "p95 on 200 requests")
    keeper.submit("Decide")
    # What was typed is kept, what is missing is said beside its field, and the first such field has the caret.
    keeper.sees("Give a date.")
    keeper.sees("Name an owner.")
    assert keeper.field("Reason").input_value() == REASON
    assert keeper.page.evaluate("document.activeElement.name") == "condition_1_owner"
    keeper.choose("Owner", "Alice Manager")
    keeper.day("Due", today + 30 * DAY)
    keeper.submit("Decide")
    keeper.sees("Decided: conditional go. The evidence is frozen.")


def prints_the_evidence(keeper: Walker) -> None:
    """The gate's page as a PDF, read back: what an auditor gets, and nothing that can be pressed."""
    paper = pdfium.PdfDocument(keeper.page.pdf(prefer_css_page_size=True))
    printed = " ".join(" ".join(sheet.get_textpage().get_text_bounded() for sheet in paper).split())
    decision = GateDecision.objects.get()
    wanted = (decision.evidence_sha256, "Evidence matches its hash", REASON, "p95 on 200 requests", "Erin Executive")
    for words in (*wanted, *CRITERIA, f"printed by {decision.decided_by_name}", wording.day(decision.decided_on)):
        assert "".join(words.split()) in "".join(printed.split()), words
    for surplus in ("Take this decision back", "Skip to the page", "Sign out", "Add a comment"):
        assert surplus not in printed, surplus


def sees_the_next_phase(manager: Walker) -> None:
    manager.open(f"/roadmaps/{Roadmap.objects.get(workload__name=NAME).slug}/")
    manager.press("link", "Open Scale-up")
    manager.sees("p95 on 200 requests")
    manager.sees("condition of the gate before")
    manager.sees(f"Scale-up starts on {wording.day(timezone.localdate() + DAY)}.")
    manager.sees("≤ 2.50")


def holds_what_a_manager_expects(alice, erin, today: date) -> None:
    """What the database holds after the walk."""
    found = Roadmap.objects.get(workload__name=NAME)
    phases = {phase.kind: phase for phase in found.phases.all()}
    assert (phases["poc"].state, phases["scale_up"].state) == (Phase.State.CLOSED, Phase.State.ACTIVE)
    assert (phases["poc"].ended_on, phases["scale_up"].started_on) == (today, today + DAY)
    assert phases["poc"].budget_amount == 90000
    for item in Milestone.objects.filter(name__in=[MOVED, *SUCCESSORS], phase=phases["poc"]):
        assert item.due_on - item.baseline_due_on == 10 * DAY, item.name
    condition = Milestone.objects.get(is_condition=True)
    assert (condition.phase, condition.owner, condition.due_on) == (phases["scale_up"], alice, today + 30 * DAY)
    p95 = Kpi.objects.get(phase=phases["poc"], name="p95 of the last four weeks")
    assert (p95.measure, p95.target, p95.minimum_sample, p95.window_days) == ("duration_p95", Decimal("2.5"), 200, 28)
    carried = Kpi.objects.get(phase=phases["scale_up"], carried_from=p95)
    assert (carried.target, carried.measure) == (Decimal("2.5"), "duration_p95")
    decision = GateDecision.objects.get()
    assert (decision.decided_by, decision.outcome, decision.reason) == (erin, "conditional", REASON)
    assert {item["name"] for item in decision.evidence["criteria"]} == set(CRITERIA)
    assert is_intact(decision)
    assert AuditEvent.objects.filter(action="decide_gate").count() == 1
    assert AuditEvent.objects.filter(action="make_roadmap").count() == 1


def test_a_use_case_that_began_a_year_ago_is_entered_in_one_form(page_as, alice):
    """By keyboard alone, with the mistake that everybody makes first."""
    today = timezone.localdate()
    manager = KeyboardWalker(page_as(alice, wants_errors=True))
    manager.open("/")
    manager.press("link", "New roadmap")
    manager.press("link", "It has begun already")
    manager.sees("say where it stands today")
    manager.press("link", "Finance and risk: Document summary and KYC")
    manager.sees("Template: Document summary and KYC")
    manager.write("Name", "KYC file review")
    manager.choose("Phase it is in today", "Scale-up")
    manager.day("This phase started on", today - 180 * DAY)
    manager.write("Spent until now", "120000")
    manager.write("Budget of scale-up", "200000")
    manager.submit("Make the roadmap")
    manager.sees("PoC lies before: give the day it started.")
    assert manager.page.evaluate("document.activeElement.name") == "poc_start_on"
    assert manager.field("Spent until now").input_value() == "120000"
    manager.day("PoC started on", today - 365 * DAY)
    manager.day("PoC ended on", today - 181 * DAY)
    manager.choose("Outcome of its gate", "Go")
    manager.write("Decided by", "Ilse de Boer")
    manager.submit("Make the roadmap")
    manager.sees("'KYC file review' is there, with its plan.")
    manager.press("link", "Open Scale-up")
    manager.sees("Opening balance")
    manager.sees("120,000.00")
    manager.sees("Scale-up active")
    found = Roadmap.objects.get(workload__name="KYC file review")
    phase, poc = found.phases.get(kind="scale_up"), found.phases.get(kind="poc")
    assert (phase.state, phase.started_on, phase.budget_amount) == (Phase.State.ACTIVE, today - 180 * DAY, 200000)
    assert (poc.state, poc.ended_on) == (Phase.State.CLOSED, today - 181 * DAY)
    entry = found.cost_entries.get()
    assert (entry.amount, entry.start_on, entry.end_on) == (120000, today - 365 * DAY, today - DAY)
    assert (found.state, AuditEvent.objects.filter(action="make_roadmap").count()) == (Roadmap.State.ACTIVE, 1)
    # What was decided before says that nobody measured it here.
    manager.open(f"/roadmaps/{found.slug}/poc/")
    manager.sees("recorded later, no measured evidence")
    manager.sees("Ilse de Boer")


def test_what_is_pressed_twice_is_done_once(page_as, alice, adam):
    manager = page_as(alice, wants_errors=True)
    manager.goto("/roadmaps/new/")
    manager.fill("[name=name]", NAME)
    manager.get_by_role("button", name="Make the roadmap").dblclick()
    manager.wait_for_url("**/roadmaps/credit-memos/")
    assert Roadmap.objects.filter(workload__name__startswith=NAME).count() == 1
    poc = Roadmap.objects.get(workload__name=NAME).phases.get(kind="poc")
    manager.goto(poc.get_absolute_url())
    manager.get_by_role("link", name="Add a milestone").click()
    manager.fill("#milestones [name=name]", "Pilot signed")
    manager.fill("#milestones [name=due_on]", str(timezone.localdate() + DAY))
    manager.locator("#milestones form button[data-kind=main]").dblclick()
    Walker(manager).sees("'Pilot signed' added.")
    manager.wait_for_load_state("networkidle")
    assert Milestone.objects.filter(name="Pilot signed").count() == 1
    # A second window on the same gate is told, and changes nothing.
    keeper, other = page_as(adam, wants_errors=True), page_as(adam, wants_errors=True)
    for page in (keeper, other):
        page.goto(poc.gate.get_absolute_url())
        page.check("input[value=stop]")
        page.fill("[name=reason]", "No longer needed.")
    keeper.get_by_role("button", name="Decide").dblclick()
    Walker(keeper).sees("Decided: stop. The evidence is frozen.")
    other.get_by_role("button", name="Decide").click()
    Walker(other).sees("decided already")
    assert GateDecision.objects.count() == 1
