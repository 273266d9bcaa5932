"""Importing a plan for a browser that asks for Dutch: pages are Dutch, REST and what the file holds are as they are."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import translation

from metrics.spoken import spoken
from roadmap.actions.kpis import add_kpi
from roadmap.imports.kept import HELP, ROWS
from roadmap.imports.run import KINDS
from roadmap.imports.workbook import explained
from roadmap.models import Milestone
from tests.dutch import left_in_english, visible_text
from tests.said_in_dutch import sentences_of

READERS = [
    f"roadmap/imports/{name}.py"
    for name in (
        "cells",
        "columns",
        "cost_entries",
        "kpi_readings",
        "kpis",
        "lookup",
        "milestones",
        "readings",
        "roadmaps",
        "run",
    )
]
READERS.append("roadmap/imports/tables.py")
CALLS = {"RuleViolation": 1, "_unreadable": 1, "Problem": 2, "refused": 2}
SAID = sorted({text for file in READERS for text in sentences_of(file, CALLS)} - {"qx7 stands in line qx7 already."})
CSV = b"""Roadmap,Phase,Name,Due on,State,Waits for,Odd
Contact centre,poc,Good one,2026-12-01,,,
Contact centre,poc,Bad day,never,,,
Contact centre,nowhere,No phase,2026-12-01,,,
Nobody's,poc,No roadmap,2026-12-01,,,
Contact centre,poc,Waits,2026-12-01,,Something,
Contact centre,poc,Not a state,2026-12-01,maybe,,
"""


def test_the_sentences_are_found():
    assert len(SAID) > 60


@pytest.mark.parametrize("text", SAID)
def test_what_reading_a_plan_says_is_said_in_dutch(text):
    with translation.override("nl"):
        said = spoken(
            text.removesuffix(" qx7")
            .replace(".qx7", ". You left it out.")
            .replace("qx7 has more", "The file has more")
            .replace("qx7 has two", "The file has two")
        )
    words = set(said.replace(".", " ").replace(",", " ").split())
    assert not {"the", "not", "file", "There", "has", "Write", "Give"} & words, said


@pytest.mark.parametrize("template", [*ROWS, *HELP])
def test_english_is_as_it_was(template):
    with translation.override("en-gb"):
        assert spoken(template) == template


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_column_is_explained_in_dutch(kind):
    with translation.override("nl"):
        for column in kind.importer.columns:
            words = set(spoken(explained(column)).replace(".", " ").replace(",", " ").split())
            assert not {"the", "Needed", "number", "day", "where", "empty", "name"} & words, column.field


# What stands in the file: columns, sheets, and cells for an example.
OF_THE_FILE = " | ".join(
    [*(kind.title for kind in KINDS)]
    + [f"{column.label} | {column.example}" for kind in KINDS for column in kind.importer.columns]
)


def dutch_page(client, url, *, data=None, expected=200) -> str:
    """The page in Dutch; no English may be left but what the file holds, and what people named."""
    ask = client.get if data is None else client.post
    answer = ask(url, data, follow=True, headers={"accept-language": "nl"})
    assert answer.status_code == expected
    page = answer.content.decode()
    peoples = " | ".join(Milestone.objects.values_list("name", flat=True))
    assert [text for text in left_in_english(page) if text not in OF_THE_FILE + peoples] == []
    return page


@pytest.mark.django_db
def test_the_pages_are_dutch(client, sign_in, alice, plan, api):
    sign_in(alice)
    start = visible_text(dutch_page(client, reverse("plan_imports")))
    assert "Nodig. Sleutel of naam van de roadmap, zoals op het blad Roadmaps" in start
    file = SimpleUploadedFile("milestones.csv", CSV, "text/csv")
    shown = visible_text(dutch_page(client, reverse("plan_imports"), data={"file": file}))
    for text in (
        "'never' is geen dag zoals 2026-12-31 of 31.12.2026.",
        "'nowhere' is geen fase. Schrijf PoC, Opschaling of Optimaliseren.",
        "Er is geen roadmap 'Nobody's'. Schrijf de sleutel, of geef hem een rij.",
        f"Er is geen mijlpaal 'Something' in {plan.name}.",
        "'maybe' is geen van: ",
        "weglaten",
        "zoals aangegeven",
        # As the file has them.
        "Due on",
        "Waits for",
    ):
        assert text in shown, text


@pytest.mark.django_db
def test_what_cannot_be_read_is_said_in_dutch(client, sign_in, alice, plan):
    sign_in(alice)
    file = SimpleUploadedFile("x.pdf", b"%PDF-1.7 ...", "application/pdf")
    shown = dutch_page(client, reverse("plan_imports"), data={"file": file}, expected=422)
    assert "Dit is een PDF. Kies de spreadsheet waarvan hij is gemaakt, als .xlsx of .csv." in shown


@pytest.mark.django_db
def test_readings_in_bulk_are_refused_in_dutch(client, sign_in, alice, poc, asker):
    kpi = add_kpi(asker(alice), poc, name="Accuracy", unit="%", direction="higher")
    sign_in(alice)
    url = reverse("readings_many", args=[kpi.pk])
    shown = visible_text(dutch_page(client, url, data={"text": "at,value\nnever,1\n2026-11-02,many\n"}))
    assert "'never' is geen dag zoals 2026-12-31 of 31.12.2026." in shown
    assert "'many' is geen getal zoals 1,234.56." in shown
    shown = dutch_page(client, url, data={"text": "at,value,odd\n2026-11-02,1,2\n"}, expected=422)
    assert "De kolom &#x27;odd&#x27; wordt niet gelezen. Bekend zijn: kpi, at, value" in shown
