"""Importing a plan from a spreadsheet: added once, changed from then on, nothing doubled."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from metrics.errors import RuleViolation
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone
from roadmap.imports.cells import Choices
from roadmap.imports.run import KINDS, run_import
from roadmap.models import CostEntry, Kpi, Milestone, Phase, Reading, Roadmap
from tests.roadmap.imports.files import csv_of, xlsx

D = Decimal
MILESTONES = ("Roadmap", "Phase", "Outside key", "Milestone", "Due on", "State", "Waits for")


@pytest.fixture
def run(alice, asker):
    """`run(rows or sheets, person=alice, kind=..., dry_run=False)`: the result."""

    def _run(given, person=None, *, dry_run=False, name="", expected="", **said):
        content = given if isinstance(given, bytes) else xlsx(given) if isinstance(given, dict) else csv_of(given)
        return run_import(
            asker(person or alice), content, Choices(**said), dry_run=dry_run, name=name, expected=expected
        )

    return _run


def counts(result):
    return {name: number for name, number in result.counts.items() if number}


def problems(result):
    return [
        (row.line, problem.column, problem.message)
        for sheet in result.sheets
        for row in sheet.rows
        for problem in row.problems
    ]


def changes(result):
    return {
        (row.name, change.column): (change.before, change.after)
        for sheet in result.sheets
        for row in sheet.rows
        for change in row.changes
        if row.outcome == "changed"
    }


def portfolio(*, later: int = 0) -> dict:
    """12 roadmaps with 40 milestones each, of three phases, each milestone waiting for the one before."""
    roadmaps = [["Key", "Name", "Starts on", "Programme"]]
    milestones = [list(MILESTONES)]
    for number in range(12):
        roadmaps.append([f"RM_{number:02}", f"Use case {number}", date(2027, 1, 4), "Service"])
        for step in range(40):
            phase = ("PoC", "Scale-up", "Optimise")[step * 3 // 40]
            due = date(2027, 1, 11) + timedelta(days=14 * step + (later if step % 10 == 0 else 0))
            before = f"M{number}-{step - 1}" if step else None
            milestones.append([f"RM_{number:02}", phase, f"M{number}-{step}", f"Step {step}", due, "open", before])
    return {"Roadmaps": roadmaps, "Milestones": milestones}


def test_twelve_roadmaps_with_forty_milestones_are_imported_once_and_changed_after(run, adam):
    first = run(portfolio(), adam)
    assert counts(first) == {"added": 12 + 480}
    assert (Roadmap.objects.count(), Phase.objects.count(), Milestone.objects.count()) == (12, 36, 480)
    assert Milestone.objects.exclude(depends_on=None).count() == 12 * 39
    assert AuditEvent.objects.filter(action="add_milestone").count() == 480
    again = portfolio(later=3)
    again["Milestones"][1][3] = "Kick-off"
    second = run(again, adam)
    assert counts(second) == {"changed": 48, "unchanged": 12 + 432}
    assert (Roadmap.objects.count(), Milestone.objects.count()) == (12, 480)
    assert changes(second)["Kick-off", "Milestone"] == ("Step 0", "Kick-off")
    assert AuditEvent.objects.filter(action="change_milestone").count() == 48
    moved = Milestone.objects.get(outside_key="M3-10")
    assert (moved.due_on - moved.baseline_due_on).days == 3
    before = AuditEvent.objects.count()
    assert counts(run(again, adam)) == {"unchanged": 492}
    assert AuditEvent.objects.count() == before


def test_a_preview_is_the_import_taken_back(run, adam):
    given = {name: rows[:6] for name, rows in portfolio().items()}
    seen = run(given, adam, dry_run=True)
    assert counts(seen) == {"added": 10}
    assert not Roadmap.objects.exists()
    assert not AuditEvent.objects.filter(action="make_roadmap").exists()
    done = run(given, adam, expected=seen.digest)
    assert done == seen
    assert Milestone.objects.count() == 5


def test_a_plan_of_one_roadmap_with_everything(run, plan, poc, alice, bob):
    sheets = {
        "About": [["Made by us"]],
        "Pivot": [["Sum", "Sum"], [1, 2]],
        "Roadmaps": [
            ["Key", "Summary", "PoC budget", "Contributors"],
            ["contact-centre", "Answers calls", 5000, "vera; bob"],
        ],
        "Milestones": [
            [*MILESTONES, "Owner"],
            ["contact-centre", "PoC", "CC-1", "Data released", date(2027, 2, 1), "", "", "bob"],
        ],
        "KPIs": [
            ["Roadmap", "Phase", "Key", "KPI", "Better is", "Formula", "Combine", "Target", "Computed from", "Window"],
            ["Contact centre", "PoC", "per_call", "Per call", "lower", "money / calls", None, 2, None, "phase"],
            ["Contact centre", "PoC", "calls", "Calls", "higher", None, "sum", 400, None, 7],
            ["Contact centre", "PoC", "money", "Money", None, None, None, None, "Spend", None],
        ],
        "Readings": [
            ["Roadmap", "Phase", "KPI", "At", "Value", "Note"],
            ["contact-centre", "PoC", "calls", date(2026, 11, 2), 118.5, "first"],
            ["contact-centre", "PoC", "Calls", "2026-11-03 10:00", 120, None],
        ],
        "Cost entries": [
            ["Roadmap", "Outside key", "Cost entry", "Category", "Amount", "From", "Until"],
            ["contact-centre", "INV-1", "Licences", "Licences", 99.9, date(2026, 11, 2), date(2026, 11, 30)],
        ],
    }  # fmt: skip
    result = run(sheets)
    assert problems(result) == []
    assert counts(result) == {"added": 7, "changed": 1}
    assert result.left_out == ["About", "Pivot"]
    assert changes(result) == {
        ("Contact centre", "Summary"): ("", "Answers calls"),
        ("Contact centre", "PoC budget"): ("", "5000"),
        ("Contact centre", "Vera Viewer"): ("Viewer", "Contributor"),
    }
    milestone = Milestone.objects.get(outside_key="CC-1")
    assert (milestone.owner, milestone.due_on) == (bob, date(2027, 2, 1))
    kpi = poc.kpis.get(key="calls")
    assert (kpi.target, kpi.combine, kpi.window_days, kpi.source) == (400, "sum", 7, "read")
    assert poc.kpis.get(key="per_call").window_days is None
    assert sorted(kpi.readings.values_list("value", "note")) == [(D("118.5"), "first"), (D(120), "")]
    entry = CostEntry.objects.get()
    assert (entry.amount, entry.currency, entry.phase, entry.end_on) == (D("99.90"), "USD", poc, date(2026, 11, 30))
    assert counts(run(sheets)) == {"unchanged": 8}
    # Everything else of the roadmap is told, and stays.
    told = {sheet.kind: sheet for sheet in result.sheets}
    assert told["milestones"].missing_count == Milestone.objects.count() - 1
    assert told["cost_entries"].missing_count == 0
    sheets["Readings"][1][4] = 119
    sheets["Cost entries"][1][4] = 100
    assert changes(run(sheets)) == {
        ("Calls, 2026-11-02T00:00:00+00:00", "Value"): ("118.5", "119"),
        ("Licences", "Amount"): ("99.9", "100"),
    }
    assert (Reading.objects.count(), CostEntry.objects.count()) == (2, 1)


class TestMilestones:
    def test_states_go_through_tick_drop_and_reopen(self, run, plan, today):
        header = ["Roadmap", "Phase", "Key", "Name", "Due", "Status", "Done on", "Reason"]
        rows = [
            [plan.slug, "PoC", "A", "One", "2027-01-01", "done", "2026-11-01", ""],
            [plan.slug, "PoC", "B", "Two", "2027-01-01", "Dropped", "", "No budget"],
            [plan.slug, "PoC", "C", "Three", "2027-01-01", "", "", ""],
        ]
        assert counts(run([header, *rows])) == {"added": 3}
        actions = AuditEvent.objects.filter(subject_name__in=["One", "Two", "Three"]).order_by("pk")
        assert list(actions.values_list("action", flat=True)) == [
            "add_milestone", "tick_milestone", "add_milestone", "drop_milestone", "add_milestone"
        ]  # fmt: skip
        assert counts(run([header, *rows])) == {"unchanged": 3}
        rows[0][5:7] = ["open", ""]
        rows[1][5:] = ["open", "", ""]
        rows[2][5:] = ["done", "", ""]
        result = run([header, *rows])
        assert changes(result)["Two", "State"] == ("Dropped", "Open")
        assert changes(result)["Three", "Done on"] == ("", today.isoformat())

    def test_one_entered_by_hand_takes_the_key(self, run, plan, poc, alice, asker, today):
        held = add_milestone(asker(alice), poc, name="By hand", due_on=today)
        row = [plan.slug, "poc", "CC-9", "by hand", "2027-03-01", "", ""]
        assert changes(run([MILESTONES, row]))["by hand", "Outside key"] == ("", "CC-9")
        held.refresh_from_db()
        assert (held.outside_key, held.due_on) == ("CC-9", date(2027, 3, 1))

    def test_it_names_what_is_wrong_with_a_row_and_takes_the_others(self, run, plan, poc):
        given = [
            MILESTONES,
            [plan.slug, "PoC", "A", "Fine", "2027-01-01", "", ""],
            [plan.slug, "PoC", "A", "Again", "2027-01-01", "", ""],
            ["nowhere", "PoC", "B", "x", "2027-01-01", "", ""],
            [plan.slug, "Phase 9", "C", "x", "2027-01-01", "", ""],
            [plan.slug, "PoC", "D", "x", "soon", "later", ""],
            [plan.slug, "PoC", "E", "x", "", "", ""],
            [plan.slug, "PoC", "F", "x", "2027-01-01", "dropped", ""],
            [plan.slug, "PoC", "G", "x", "2027-01-01", "", "nothing"],
            [plan.slug, "Scale-up", "A", "x", "2027-01-01", "", ""],
            [plan.slug, "PoC", "R1", "Ring 1", "2027-01-01", "", "R2"],
            [plan.slug, "PoC", "R2", "Ring 2", "2027-01-01", "", "Ring 1"],
            [plan.slug, "PoC", "H", "x", "1850-01-01", "", ""],
            [plan.slug, "PoC", "I", "x" * 300, "2027-01-01", "", ""],
        ]
        before = AuditEvent.objects.count()
        result = run(given)
        assert counts(result) == {"added": 1, "refused": 12}
        assert AuditEvent.objects.count() == before + 1
        told = problems(result)
        assert [line for line, *_ in told] == [3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 14]
        assert told[0][2] == "The milestone 'Fine' stands in line 2 already."
        assert told[1][1:] == ("Roadmap", "There is no roadmap 'nowhere'. Write its key, or give it a row.")
        assert told[2][1:] == ("Phase", "'Phase 9' is no phase. Write PoC, Scale-up or Optimise.")
        assert told[3][1:] == ("Due on", "'soon' is not a day such as 2026-12-31 or 31.12.2026.")
        assert told[4][1:] == ("State", "'later' is none of: Open, Done, Dropped.")
        assert told[5][1:] == ("Due on", "Due on is empty.")
        assert told[6][1:] == ("Reason", "Give a reason for dropping it.")
        assert told[7][1:] == ("Waits for", f"There is no milestone 'nothing' in {plan.name}.")
        assert "A is 'Fine' in PoC, and a milestone keeps its phase" in told[8][2]
        assert told[9][2].startswith("That would be a ring: 'Ring")
        assert told[11][1:] == ("Due on", "Give a date between 2000 and 2099.")

    def test_order_does_not_matter_for_what_waits(self, run, plan):
        rows = [
            [plan.slug, "PoC", "Z", "Last", "2027-03-01", "", "Y; Middle too"],
            [plan.slug, "PoC", "Y", "Middle", "2027-02-01", "", "X"],
            [plan.slug, "PoC", "W", "Middle too", "2027-02-01", "", ""],
            [plan.slug, "PoC", "X", "First", "2027-01-01", "", ""],
        ]
        assert counts(run([MILESTONES, *rows])) == {"added": 4}
        last = Milestone.objects.get(outside_key="Z")
        assert set(last.depends_on.values_list("outside_key", flat=True)) == {"Y", "W"}
        rows[0][6] = "X, W"
        assert changes(run([MILESTONES, *rows]))["Last", "Waits for"] == ("W, Y", "W, X")
        rows[0][6] = "-"
        assert changes(run([MILESTONES, *rows]))["Last", "Waits for"] == ("W, X", "")


class TestRights:
    ROW = ("contact-centre", "PoC", "A", "x", "2027-01-01", "", "")

    def test_an_outsider_finds_no_roadmap(self, run, plan, oscar):
        result = run([MILESTONES, self.ROW], oscar)
        assert problems(result)[0][2] == "There is no roadmap 'contact-centre'. Write its key, or give it a row."

    @pytest.mark.parametrize("person", ["vera", "bob"])
    def test_only_managers_change_milestones(self, run, plan, person, request):
        result = run([MILESTONES, self.ROW], request.getfixturevalue(person))
        assert problems(result) == [(2, "", "Only a manager of this roadmap may do that.")]

    def test_contributors_bring_readings_and_costs(self, run, plan, poc, bob, alice, asker):
        add_kpi(asker(alice), poc, name="Calls", direction="higher")
        given = [["Roadmap", "Phase", "KPI", "At", "Value"], [plan.slug, "PoC", "Calls", "2026-11-02", "5"]]
        assert counts(run(given, bob)) == {"added": 1}
        given = [["Roadmap", "Cost entry", "Category", "Amount", "From"], [plan.slug, "x", "people", "5", "2026-11-02"]]
        assert counts(run(given, bob)) == {"added": 1}

    def test_roadmaps_are_made_by_who_may_and_for_oneself(self, run, plan, bob, alice):
        given = [["Key", "Name", "Owner"], ["mine", "Mine", ""], ["his", "His", "bob"]]
        assert {message for *_, message in problems(run(given, bob))} == {
            "Only an admin, or who already manages a roadmap, may make another.",
        }
        result = run(given, alice)
        assert counts(result) == {"added": 1, "refused": 1}
        assert Membership.objects.get(workload__slug="mine").user == alice

    def test_owners_belong_to_the_roadmap(self, run, plan, oscar):
        header = [*MILESTONES, "Owner"]
        told = problems(run([header, [*self.ROW, "oscar"]]))
        assert told[0][1] == "Owner"
        assert told[0][2].startswith("'oscar' does not belong to Contact centre.")
        said = {"milestones": {"Owner": ""}}
        assert counts(run([header, [*self.ROW, "oscar"]], columns=said)) == {"added": 1}


class TestRoadmaps:
    def test_a_key_is_an_address_and_stays(self, run, plan, adam):
        given = [["Key", "Name", "Starts on", "PoC months", "Template"], ["CC 2", "Second", "2027-01-04", 2, ""]]
        assert counts(run(given, adam)) == {"added": 1}
        made = Roadmap.objects.get(workload__slug="cc-2")
        assert made.phases.get(kind="poc").planned_end_on == date(2027, 3, 3)
        assert not Kpi.objects.filter(phase__roadmap=made).exists()
        given[1][1:3] = ["Second centre", "2027-02-01"]
        result = run(given, adam)
        assert changes(result) == {("Second centre", "Name"): ("Second", "Second centre")}
        assert list(result.sheets[0].rows[0].notes) == [
            "Its start stays 2027-01-04: dates are changed under Settings and people."
        ]

    def test_the_same_name_under_another_key_is_asked(self, run, plan):
        told = problems(run([["Key", "Name"], ["other-key", "contact centre"]]))
        assert told == [
            (2, "Key", "The roadmap 'Contact centre' has the key contact-centre. Write that key, or another name.")
        ]
        assert counts(run([["Name", "Summary"], ["contact centre", "x"]])) == {"changed": 1}

    def test_a_template_fills_it(self, run, adam):
        assert counts(run([["Name", "Template"], ["Papers", "finance_document_kyc"]], adam)) == {"added": 1}
        assert Kpi.objects.filter(phase__roadmap__workload__slug="papers").exists()
        told = problems(run([["Name", "Template"], ["Papers 2", "nothing"]], adam))
        assert told[0][1] == "Template"


class TestFiles:
    def test_another_encoding_with_decimal_commas(self, run, plan, poc, bob):
        given = [
            ["Roadmap", "Bezeichnung", "Kategorie", "Betrag", "Datum", "Bis"],
            [plan.slug, "Schulung für Prüfer", "training", "1.234,50", "02.11.2026", "30.11.2026"],
        ]
        content = csv_of(given, delimiter=";", encoding="cp1252")
        said = {
            "Bezeichnung": "name",
            "Kategorie": "category",
            "Betrag": "amount",
            "Datum": "start_on",
            "Bis": "end_on",
        }
        unknown = run(content, bob, kind="cost_entries", dry_run=True)
        assert [use.header for use in unknown.sheets[0].unknown] == [
            "Bezeichnung",
            "Kategorie",
            "Betrag",
            "Datum",
            "Bis",
        ]
        result = run(content, bob, kind="cost_entries", columns={"cost_entries": said})
        assert counts(result) == {"added": 1}
        assert "It was read as Windows-1252" in result.notes[0]
        assert result.notes[1] == "Numbers are read with a decimal comma: 1.234,56."
        entry = CostEntry.objects.get()
        assert (entry.name, entry.amount, entry.start_on) == ("Schulung für Prüfer", D("1234.50"), date(2026, 11, 2))

    def test_commas_that_lose_their_quotation_marks_lose_nothing(self, run, plan):
        content = f"Roadmap,Cost entry,Category,Amount,From\n{plan.slug},x,people,12,50,2026-11-02\n".encode()
        assert problems(run(content))[0][2].startswith("It has 6 cells, the header 5.")

    @pytest.mark.parametrize(
        ("given", "said", "code"),
        [
            ([["Name", "What"], ["x", "y"]], {}, "unknown_kind"),
            ([["Name"], ["x"]], {"kind": "gates"}, "unknown_kind"),
            ({"One": [["Name"]], "Two": [["Name"]]}, {}, "no_sheet"),
            ({"Milestones": [["A", "a"]], "About": [["x"]]}, {}, "repeated_column"),
            ({"Milestones": [["Name"]], "Tasks": [["Name"]]}, {}, "sheet_twice"),
            (
                [["Key", "Name"], ["x", "y"]],
                {"kind": "roadmaps", "columns": {"roadmaps": {"No": "name"}}},
                "unknown_column",
            ),
            (
                [["Key", "Name"], ["x", "y"]],
                {"kind": "roadmaps", "columns": {"roadmaps": {"Key": "nix"}}},
                "unknown_field",
            ),
            (
                [["Key", "Name"], ["x", "y"]],
                {"kind": "roadmaps", "columns": {"roadmaps": {"Key": "name", "Name": "name"}}},
                "mapped_twice",
            ),
        ],
    )
    def test_a_file_that_says_too_little_is_asked(self, run, alice, given, said, code):
        with pytest.raises(RuleViolation) as refused:
            run(given, **said)
        assert refused.value.code == code

    def test_a_sheet_without_its_columns_is_refused_whole(self, run, plan):
        result = run({"Readings": [["Roadmap", "Value"], [plan.slug, 1], [plan.slug, 2]]})
        assert result.sheets[0].problem.message.startswith("These columns are missing: Phase, KPI, At.")
        assert counts(result) == {"refused": 2}

    @pytest.mark.parametrize(
        ("header", "kind"),
        [
            (["Key", "Name", "Starts on"], "roadmaps"),
            (["Roadmap", "Phase", "Milestone", "Due date"], "milestones"),
            (["Roadmap", "Phase", "KPI", "Better is", "Target"], "kpis"),
            (["Roadmap", "Phase", "KPI", "At", "Value"], "readings"),
            (["Roadmap", "What for", "Category", "Amount", "From"], "cost_entries"),
        ],
    )
    def test_a_csv_says_what_it_holds(self, run, alice, header, kind):
        assert run([header, ["x"] * len(header)], dry_run=True).sheets[0].kind == kind

    def test_a_change_since_the_preview_stops_the_import(self, run, plan, poc, alice, asker, today):
        given = [MILESTONES, [plan.slug, "PoC", "A", "x", "2027-01-01", "", ""]]
        seen = run(given, dry_run=True)
        add_milestone(asker(alice), poc, name="x", due_on=today)
        with pytest.raises(RuleViolation, match="has changed since"):
            run(given, expected=seen.digest)
        assert not Milestone.objects.filter(outside_key="A").exists()


class TestReadings:
    HEADER = ("Roadmap", "Phase", "KPI", "At", "Value", "Note")

    @pytest.fixture
    def calls(self, plan, poc, alice, asker):
        return add_kpi(asker(alice), poc, name="Calls", direction="higher")

    def test_wrong_ones_are_told_one_by_one(self, run, plan, calls):
        spend = Kpi.objects.filter(phase=calls.phase, source="computed").first()
        tomorrow = (timezone.localdate() + timedelta(days=2)).isoformat()
        rows = [
            [plan.slug, "PoC", "Calls", "2026-11-02", "5", ""],
            [plan.slug, "PoC", "Calls", "2026-11-02", "6", ""],
            [plan.slug, "PoC", "Calls", tomorrow, "5", ""],
            [plan.slug, "PoC", "Calls", "2026-11-03", "x", ""],
            [plan.slug, "PoC", "Calls", "2026-11-04", "1.23456789", ""],
            [plan.slug, "PoC", "Answers", "2026-11-04", "1", ""],
            [plan.slug, "PoC", spend.name, "2026-11-04", "1", ""],
            [plan.slug, "", "Calls", "2026-11-04", "1", ""],
        ]
        result = run([self.HEADER, *rows])
        assert counts(result) == {"added": 1, "refused": 7}
        assert [(line, column) for line, column, _ in problems(result)] == [
            (3, ""), (4, "At"), (5, "Value"), (6, "Value"), (7, "KPI"), (8, "KPI"), (9, "Phase")
        ]  # fmt: skip

    def test_a_note_stays_where_the_file_has_none(self, run, plan, calls, alice, asker):
        record_reading(
            asker(alice), calls, at=timezone.make_aware(timezone.datetime(2026, 11, 2)), value=D(5), note="kept"
        )
        assert counts(run([self.HEADER[:5], [plan.slug, "PoC", "calls", "2026-11-02", "6"]])) == {"changed": 1}
        assert calls.readings.get().note == "kept"

    def test_many_go_in_a_few_actions(self, run, plan, calls):
        start = date(2020, 1, 1)
        rows = [[plan.slug, "PoC", "Calls", (start + timedelta(days=n)).isoformat(), n, ""] for n in range(500)]
        assert counts(run([self.HEADER, *rows])) == {"added": 500}
        assert AuditEvent.objects.filter(action="record_readings").count() == 1


def test_the_command_previews_and_imports(plan, alice, tmp_path, capsys):
    file = tmp_path / "milestones.csv"
    file.write_bytes(csv_of([MILESTONES, [plan.slug, "PoC", "A", "x", "2027-01-01", "", ""], ["no", "PoC", *"ABCDE"]]))
    with pytest.raises(CommandError, match="Not every row"):
        call_command("import_plan", file, "--as", "alice")
    told = capsys.readouterr().out
    assert "Milestones, line 3, Due on: 'C' is not a day" in told
    assert told.endswith("Would be: 1 added, 1 refused.\n")
    assert not Milestone.objects.filter(outside_key="A").exists()
    file.write_bytes(csv_of([MILESTONES, [plan.slug, "PoC", "A", "x", "2027-01-01", "", ""]]))
    call_command("import_plan", file, "--as", "alice", "--confirm")
    assert capsys.readouterr().out.endswith("Imported: 1 added.\n")
    assert Milestone.objects.get(outside_key="A").name == "x"
    with pytest.raises(CommandError, match="Nobody who may sign in"):
        call_command("import_plan", file, "--as", "nobody")


def test_the_documentation_names_every_column():
    page = (settings.BASE_DIR / "docs" / "plan-import.md").read_text()
    for kind in KINDS:
        assert f"| {kind.title} |" in page
        for column in kind.importer.columns:
            assert column.label.removeprefix("PoC ").removeprefix("Scale-up ").removeprefix("Optimise ") in page
