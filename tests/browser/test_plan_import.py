"""A plan from a spreadsheet in a browser: looked at, corrected, imported; with JavaScript and without."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from accounts.access import Asker
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Milestone
from tests.roadmap.imports.files import csv_of, xlsx

DAY = timedelta(days=1)
START = date(2027, 1, 4)


@pytest.fixture
def files(adam, tmp_path):
    """A workbook and a CSV of the German kind on disk, and a roadmap that they are about."""
    make_roadmap(Asker(adam), name="Contact centre", owner=adam, start_on=date(2026, 10, 1), currency="EUR")
    book = {
        "Roadmaps": [["Key", "Name", "Starts on"], ["claims", "Claims assistant", date(2027, 1, 4)]],
        "Milestones": [
            ["Roadmap", "Phase", "Outside key", "Milestone", "Due on", "State", "Sprint"],
            *(
                [
                    "contact-centre",
                    "PoC",
                    f"CC-{n}",
                    f"Step {n} of the pilot",
                    START + 7 * n * DAY,
                    "Open",
                    n,
                ]
                for n in range(8)
            ),
            ["claims", "PoC", "CL-1", "Data released", date(2027, 2, 1), "Open", 1],
            ["claims", "Pilot phase", "CL-2", "Evaluation", date(2027, 3, 1), "Open", 2],
            ["claims", "PoC", "CL-3", "Sign-off by the works council", None, "Somewhen", 2],
        ],
    }
    (tmp_path / "plan.xlsx").write_bytes(xlsx(book))
    for row in book["Milestones"][2:5]:
        row[4] += 3 * DAY
    (tmp_path / "plan-2.xlsx").write_bytes(xlsx(book))
    costs = [
        ["Roadmap", "Bezeichnung", "Kategorie", "Betrag", "Datum"],
        ["contact-centre", "Schulung für Prüfer", "Training", "1.234,50", "02.11.2026"],
        ["contact-centre", "Lizenzen", "Licences", "300,00", "03.11.2026"],
    ]
    (tmp_path / "Kosten.csv").write_bytes(csv_of(costs, delimiter=";", encoding="cp1252"))
    return tmp_path


def test_a_workbook_is_looked_at_imported_and_imported_again(files, page, picture, accessible):
    page.goto("/plan-imports/")
    picture(page, "plan-imports")
    accessible(page)
    page.get_by_label("Spreadsheet").set_input_files(files / "plan.xlsx")
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_text("This would happen.")).to_be_visible()
    picture(page, "plan-import-preview")
    accessible(page)
    page.get_by_role("button", name="Import the other 10 rows").click()
    expect(page.get_by_text("10 added, 2 refused").first).to_be_visible()
    picture(page, "plan-import-done")
    accessible(page)
    page.goto("/plan-imports/")
    page.get_by_label("Spreadsheet").set_input_files(files / "plan-2.xlsx")
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_role("cell", name="2027-01-14", exact=True)).to_be_visible()
    picture(page, "plan-import-again")
    page.get_by_role("button", name="Import the other 3 rows").click()
    expect(page.get_by_text("3 changed, 7 unchanged, 2 refused").first).to_be_visible()
    assert Milestone.objects.filter(outside_key__startswith="CC-").count() == 8


def test_a_csv_of_another_kind_is_put_right_without_javascript(files, adam, browser, page_as, live_server, picture):
    cookies = page_as(adam).context.cookies()
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto("/plan-imports/")
    page.get_by_label("Spreadsheet").set_input_files(files / "Kosten.csv")
    page.get_by_role("button", name="Upload and look at it").click()
    page.get_by_label("It holds").select_option("cost_entries")
    page.get_by_role("button", name="Read it so").click()
    expect(page.get_by_text("read as Windows-1252")).to_be_visible()
    picture(page, "plan-import-columns")
    said = {"Bezeichnung": "name", "Kategorie": "category", "Betrag": "amount", "Datum": "start_on"}
    for column, meaning in said.items():
        page.get_by_label(column).select_option(meaning)
    page.get_by_role("button", name="Read it so").click()
    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_text("2 added.").first).to_be_visible()
    context.close()
