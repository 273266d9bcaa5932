"""Whatever reading a file of bills or of usage says is said in Dutch; what the file holds stays as it is."""

from __future__ import annotations

import pytest
from django.utils import translation

from metrics.kept_files import FILES
from metrics.spoken import spoken
from tests.said_in_dutch import SOMETHING, sentences_of

READERS = (
    "metrics/formats/usage_table.py",
    "metrics/importer.py",
    "metrics/importing.py",
    "metrics/imports/__init__.py",
    "metrics/imports/cells.py",
    "metrics/imports/csv_table.py",
    "metrics/imports/focus_layout.py",
    "metrics/imports/mapped_layout.py",
    "metrics/imports/parquet_table.py",
    "metrics/uploads.py",
    "metrics/usage_files.py",
    "metrics/usage_file_steps.py",
)
CALLS = {"RowRejected": 1, "Unreadable": 1, "RuleViolation": 1, "BrokenRow": 0, "_Refused": 1}
SAID = sorted({text for file in READERS for text in sentences_of(file, CALLS)})


def test_the_sentences_are_found():
    assert len(SAID) > 45


@pytest.mark.parametrize("text", SAID)
def test_what_reading_a_file_says_is_said_in_dutch(text):
    # What is said by another sentence, or has a line of its own, stands in a part.
    filled = (
        text.removesuffix(f" {SOMETHING}")
        .replace(f"{SOMETHING}It has", "It has")
        .replace(f"{SOMETHING} leave it out", "Rename it to the field that it holds, or leave it out")
        .replace(f"byte 0x{SOMETHING}{SOMETHING}", f"byte 0x{SOMETHING} in line {SOMETHING}")
    )
    with translation.override("nl"):
        said = spoken(filled)
    assert said != filled
    # No part of it is left in English.
    assert not {" the ", " not ", " file "} & {f" {word} " for word in said.replace(".", " ").split()}, said


@pytest.mark.parametrize("template", FILES)
def test_english_is_as_it_was(template):
    with translation.override("en-gb"):
        assert spoken(template) == template


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("Currency is empty.", "Currency is leeg."),
        ("Amount: '1,234' is not a number such as 1,234.56.", "Amount: '1,234' is geen getal zoals 1,234.56."),
        (
            "None of its 1,200 rows can count. Row 3: Requests is empty.",
            "Geen van de 1.200 rijen kan tellen. Rij 3: Requests is leeg.",
        ),
        (
            "Lines 3 to 5 are one row. It has 2 cells, the header 4: is a quotation mark or separator lost?",
            "Regels 3 t/m 5 zijn één rij. Er zijn 2 cellen en in de kop 4: is er een aanhalingsteken of "
            "scheidingsteken verloren gegaan?",
        ),
        ("This is Parquet. Save it as 'CSV UTF-8', with a header of field names and one record a row.",
         "Dit is Parquet. Sla het op als 'CSV UTF-8', met een kop van veldnamen en één record per rij."),
    ],
)  # fmt: skip
def test_names_and_cells_stay_as_the_file_has_them(kept, said):
    with translation.override("nl"):
        assert spoken(kept) == said
