"""The pages of an import: choose, look, say what columns are, import, what became of it. No JavaScript is needed."""

from __future__ import annotations

import html
import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from accounts.models import AuditEvent
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.milestones import add_milestone
from roadmap.imports.run import KINDS
from roadmap.imports.uploads import MAX_WAITING, forget_old
from roadmap.models import CostEntry, Milestone, PlanImport
from roadmap.tasks import forget_plan_imports
from tests.roadmap.imports.files import csv_of, xlsx

MILESTONES = [
    ["Roadmap", "Phase", "Outside key", "Milestone", "Due on"],
    ["contact-centre", "PoC", "A", "Data <released>", "2027-02-01"],
    ["contact-centre", "PoC", "B", "Pilot", "soon"],
]


def upload(client, content, name="plan.csv"):
    answer = client.post(reverse("plan_imports"), {"file": SimpleUploadedFile(name, content)})
    return answer.url if answer.status_code == 303 else answer


def words(answer) -> str:
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(html.unescape(text).split()).replace(" .", ".")


@pytest.fixture
def browse(sign_in, plan, alice):
    return sign_in(alice)


def test_a_file_is_looked_at_and_imported(browse, plan):
    assert "Import a plan" in words(browse.get(reverse("plan_imports")))
    url = upload(browse, csv_of(MILESTONES), "milestones.csv")
    page = browse.get(url)
    told = words(page)
    assert "This would happen. Nothing is changed yet, and refused rows are left out." in told
    assert "'soon' is not a day such as 2026-12-31 or 31.12.2026." in told
    assert "Data &lt;released&gt;" in page.content.decode()
    assert "In Phaseline and in no row:" in told
    assert not Milestone.objects.filter(outside_key="A").exists()
    answer = browse.post(url, {"do": "import", "digest": page.context["result"]["digest"]})
    assert (answer.status_code, answer.url) == (303, url)
    assert Milestone.objects.get(outside_key="A").name == "Data <released>"
    done = words(browse.get(url))
    assert "1 added, 1 refused." in done
    assert "'soon' is not a day" in done
    row = PlanImport.objects.get()
    assert (row.content, row.result["counts"]["added"]) == (None, 1)
    event = AuditEvent.objects.get(action="import_plan")
    assert (event.subject_name, event.after["rows"]) == ("milestones.csv", "1 added, 1 refused")
    # A form sent twice imports once.
    assert browse.post(url, {"do": "import", "digest": "x"}).status_code == 200
    assert AuditEvent.objects.filter(action="import_plan").count() == 1


def test_unknown_columns_are_said_and_mapped(browse, plan):
    given = [
        ["Roadmap", "Bezeichnung", "Kategorie", "Betrag", "Datum"],
        [plan.slug, "Schulung für Prüfer", "training", "1.234,50", "02.11.2026"],
    ]
    url = upload(browse, csv_of(given, delimiter=";", encoding="cp1252"), "Kosten.csv")
    told = words(browse.get(url))
    assert "Say what the file holds: Roadmaps, Milestones, KPIs, Readings, Cost entries." in told
    assert browse.post(url, {"do": "read", "kind": "cost_entries"}).status_code == 303
    told = words(browse.get(url))
    assert "Columns that are not read, as their names are not known: 'Bezeichnung', 'Kategorie'" in told
    assert "It was read as Windows-1252 (Western Europe): look whether 'Prüfer', 'für' is right" in told
    fields = ("roadmap", "name", "category", "amount", "start_on")
    said = {f"cost_entries-{place}": field for place, field in enumerate(fields)}
    assert browse.post(url, {"do": "read", "kind": "cost_entries", **said}).status_code == 303
    page = browse.get(url)
    assert page.context["result"]["words"] == "1 added"
    browse.post(url, {"do": "import", "digest": page.context["result"]["digest"]})
    entry = CostEntry.objects.get()
    assert (entry.name, str(entry.amount)) == ("Schulung für Prüfer", "1234.50")


def test_what_can_be_read_in_two_ways_is_asked(browse, plan):
    rows = [MILESTONES[0], ["contact-centre", "PoC", "A", "x", "03/04/2027"]]
    url = upload(browse, csv_of(rows))
    told = words(browse.get(url))
    assert "'03/04/2027' can be read with the day or with the month first. Say which." in told
    columns = {
        f"milestones-{place}": field for place, field in enumerate(("roadmap", "phase", "key", "name", "due_on"))
    }
    browse.post(url, {"do": "read", "date_order": "mdy", **columns})
    page = browse.get(url)
    assert page.context["result"]["words"] == "1 added"
    assert "Days are read as 12/31/2026, month first." in words(page)
    answer = browse.post(url, {"do": "read", "date_order": "ymd", **columns})
    assert answer.status_code == 422
    answer = browse.post(url, {"do": "read", **columns, "milestones-0": "name"})
    assert answer.status_code == 422
    assert "Milestone is chosen for 'Roadmap' already." in words(answer)


def test_a_plan_that_changed_meanwhile_is_looked_at_again(browse, plan, poc, alice, asker, today):
    url = upload(browse, csv_of(MILESTONES[:2]))
    seen = browse.get(url).context["result"]["digest"]
    add_milestone(asker(alice), poc, name="data <released>", due_on=today)
    answer = browse.post(url, {"do": "import", "digest": seen})
    assert answer.status_code == 409
    assert "The plan has changed since this was looked at" in words(answer)
    assert not Milestone.objects.filter(outside_key="A").exists()
    browse.post(url, {"do": "import", "digest": answer.context["result"]["digest"]})
    assert Milestone.objects.get(outside_key="A").name == "Data <released>"


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "empty.csv", "empty"),
        (b"%PDF-1.7 x", "plan.pdf", "This is a PDF."),
        (b"PK\x03\x04broken", "plan.xlsx", "The workbook is damaged."),
        (b"a\n" * 3 * 1024 * 1024, "large.csv", "The file is larger than 5 MiB."),
    ],
)
def test_what_is_no_spreadsheet_is_refused_at_once(browse, content, name, sentence):
    answer = upload(browse, content, name)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert not PlanImport.objects.exists()


def test_others_do_not_find_it(browse, sign_in, adam, oscar):
    url = upload(browse, csv_of(MILESTONES))
    for person in (oscar, adam):
        sign_in(person)
        for method in (browse.get, browse.post):
            assert method(url).status_code == 404
        assert browse.post(f"{url}discard/").status_code == 404
    assert PlanImport.objects.exists()


@pytest.mark.parametrize(
    ("person", "status"), [("vera", 403), ("erin", 403), ("bob", 200), ("adam", 200), ("oscar", 200)]
)
def test_who_may_import(plan, person, status, request, sign_in):
    client = sign_in(request.getfixturevalue(person))
    assert client.get(reverse("plan_imports")).status_code == status
    assert client.get(reverse("plan_template")).status_code == status
    answer = client.post(reverse("plan_imports"), {"file": SimpleUploadedFile("m.csv", csv_of(MILESTONES))})
    assert answer.status_code == (303 if status == 200 else 403)
    if person == "oscar":
        told = words(client.get(answer.url))
        assert "There is no roadmap 'contact-centre'." in told
        assert "Contact centre" not in told


def test_a_file_is_discarded_or_forgotten(browse, alice):
    url = upload(browse, csv_of(MILESTONES))
    assert browse.post(f"{url}discard/").status_code == 303
    assert browse.get(url).status_code == 404
    for _ in range(MAX_WAITING + 2):
        upload(browse, csv_of(MILESTONES))
    assert PlanImport.objects.count() == MAX_WAITING
    PlanImport.objects.update(created_at=timezone.now() - timedelta(days=1, minutes=1))
    forget_plan_imports()
    assert not PlanImport.objects.exists()
    forget_old()


def test_the_empty_workbook_has_every_column_and_imports_as_nothing(browse):
    answer = browse.get(reverse("plan_template"))
    book = load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == [*(kind.title for kind in KINDS), "About"]
    for kind in KINDS:
        assert [cell.value for cell in book[kind.title][1]] == [column.label for column in kind.importer.columns]
    url = upload(browse, answer.content, "phaseline-plan.xlsx")
    page = browse.get(url)
    assert page.context["result"]["words"] == "nothing"
    assert page.context["unknown"] == []
    assert "Nothing would change." in words(page)


def test_a_workbook_of_several_kinds_is_told_by_sheet(browse, plan):
    sheets = {
        "Roadmaps": [
            ["Key", "Name", "Starts on"],
            ["contact-centre", "Contact centre", "2020-01-01"],
            ["new-one", "New"],
        ],
        "KPIs": [["Roadmap", "KPI"], ["new-one", "x"]],
    }
    told = words(browse.get(upload(browse, xlsx(sheets), "plan.xlsx")))
    assert "The column 'Phase' is missing." in told
    assert "Asked for and not changed by an import: 1 row" in told


@pytest.mark.parametrize(("person", "links"), [("vera", 0), ("bob", 2), ("alice", 3)])
def test_a_phase_leads_there_who_may(plan, poc, bob, today, asker, person, links, request, sign_in):
    add_cost_entry(asker(bob), poc, name="x", category="other", amount=Decimal(1), start_on=today)
    page = sign_in(request.getfixturevalue(person)).get(poc.get_absolute_url()).content.decode()
    assert page.count('href="/plan-imports/"') == links
