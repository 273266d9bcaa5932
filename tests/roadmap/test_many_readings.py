"""Readings in bulk: over REST as CSV and one object a line, and on the KPI's page, looked at first."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import AuditEvent
from roadmap.actions.kpis import add_kpi
from roadmap.models import Reading

pytestmark = pytest.mark.django_db
DOCS = (Path(__file__).parents[2] / "docs" / "push.md").read_text()
CSV, LINES = "text/csv", "application/x-ndjson"


@pytest.fixture
def kpi(poc, alice, asker):
    return add_kpi(asker(alice), poc, name="Hours saved", unit="h", direction="higher", combine="sum")


@pytest.fixture
def send(api, bob, kpi):
    client = api(bob, scopes=["push"])

    def _send(text, kind=CSV, to=kpi):
        body = text if isinstance(text, bytes) else text.encode()
        return client.post(f"/api/v1/kpis/{to.pk}/readings", body, content_type=kind)

    return _send


def held(kpi) -> list[tuple[str, Decimal, int | None, str]]:
    rows = kpi.readings.order_by("at").values_list("at", "value", "sample_count", "note")
    return [(f"{at:%Y-%m-%d}", value, sample, note) for at, value, sample, note in rows]


@pytest.mark.parametrize("name", ["readings.csv", "readings.ndjson"])
def test_what_the_docs_print_is_taken_and_the_same_again_changes_nothing(send, kpi, name):
    section = DOCS.split("## Readings of a KPI")[1]
    printed = re.search(rf"cat > {re.escape(name)} <<'END'\n(.*?)    END\n", section, re.S)[1]
    body = "".join(line.removeprefix("    ") + "\n" for line in printed.splitlines())
    kind = re.search(rf"Content-Type: (\S+)' \\\n +--data-binary @{re.escape(name)}", section)[1]
    assert send(body, kind).json() == {"added": 2, "replaced": 0, "unchanged": 0}
    assert held(kpi) == [("2026-11-20", 118, 40, "first week"), ("2026-11-21", Decimal("124.5"), 42, "")]
    events = AuditEvent.objects.count()
    recorded_at = kpi.readings.latest("at").recorded_at
    assert send(body, kind).json() == {"added": 0, "replaced": 0, "unchanged": 2}
    assert AuditEvent.objects.count() == events
    assert kpi.readings.latest("at").recorded_at == recorded_at


def test_another_value_replaces_and_an_empty_cell_leaves_what_is_held(send, kpi):
    send("day,value,samples,note\n2026-11-20,118,40,first\n2026-11-21,1,,\n")
    assert send("day,value\n2026-11-20,119\n2026-11-21,1\n").json() == {"added": 0, "replaced": 1, "unchanged": 1}
    assert held(kpi)[0] == ("2026-11-20", 119, 40, "first")
    send("day,value,note\n2026-11-20,119,-\n")
    assert held(kpi)[0] == ("2026-11-20", 119, 40, "")


def test_rows_may_name_other_kpis_of_the_phase(send, kpi, poc, alice, asker):
    other = add_kpi(asker(alice), poc, name="Tickets", direction="higher", combine="sum")
    answer = send(f"kpi,day,value\nhours_saved,2026-11-20,1\n{other.pk},2026-11-20,2\ntickets,2026-11-21,3\n")
    assert answer.json() == {"added": 3, "replaced": 0, "unchanged": 0}
    assert (kpi.readings.count(), other.readings.count()) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,value\n2026-11-20,many\n", "'many' is not a number"),
        ("day,value\nsoon,1\n", "'soon' is not a day"),
        ("day,value\n2026-11-20,\n", "Give a number"),
        ("day,value\n,1\n", "Give a day"),
        ("day,value\n2126-11-20,1\n", "of now or of the past"),
        ("day,value\n2026-11-20,1\n2026-11-20,2\n", "Line 2 has the same time"),
        ("day,value,samples\n2026-11-20,1,-4\n", "from 0 to 10^12"),
        ("day,value,samples\n2026-11-20,1,1.5\n", "whole number"),
        ("day,value,note\n2026-11-20,1," + "x" * 301 + "\n", "300"),
        ("day,value\n2026-11-20,1.1234567\n", "6"),
        ("day,value,kpi\n2026-11-20,1,other\n", "This phase has no KPI 'other'"),
        ("day,amount owed\n2026-11-20,1\n", "The column 'amount owed' is not read"),
        ("day\n2026-11-20\n", "'Value' is missing"),
        ("day;value\n2026-11-20;1,5;2\n", "cells"),
        ("", "empty"),
        ("day,value\n", "no reading"),
        ("day,value\n" + "2026-11-20,1\n" * 10_001, "At most 10,000"),
        (b"%PDF-1.7", "PDF"),
        ("day,value\n03/04/2026,1\n", "Write days as 2026-12-31"),
    ],
    ids=[
        *("number", "day", "no value", "no day", "future", "twice", "negative", "half", "note", "places", "kpi"),
        *("column", "missing", "cells", "empty", "no rows", "rows", "pdf", "two days"),
    ],
)
def test_csv_that_cannot_be_recorded_says_why_and_records_nothing(send, kpi, text, said):
    answer = send(text)
    assert answer.status_code == 422, answer.content
    assert said in answer.content.decode()
    assert not Reading.objects.filter(kpi=kpi).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "A line is an object"),
        ('{"day": "2026-11-20", "value": NaN}', "neither a text nor a number"),
        ('{"day": "2026-11-20", "value": true}', "neither a text nor a number"),
        ('{"day": "2026-11-20", "value": "1,5"}', "not a number"),
        ('{"day": "2026-11-20", "value": 1e400000000000}', "30 digits"),
        ('{"day": "2026-11-20", "value": 1, "sample_count": 1e400000000000}', "whole number from 0"),
        ("\n", "no reading"),
        ("", "no reading"),
        ('{"day": "2026-11-20", "value": 1, "colour": "red"}', "Known are"),
        ('{"day": "2026-11-20", "value": 1, "note": "a\\u0000b"}', "neither"),
        ("[" * 100_000, "not JSON"),
        (b'{"note": "\xff"}', "Line 1 is not UTF-8"),
    ],
    ids=["cut", "list", "NaN", "bool", "comma", "huge", "sample", "blank", "empty", "field", "nul", "deep", "utf-8"],
)
def test_lines_that_cannot_be_recorded_say_why(send, kpi, text, said):
    answer = send(text, LINES)
    assert answer.status_code == 422, answer.content
    assert said in answer.content.decode()
    assert not Reading.objects.filter(kpi=kpi).exists()


def test_a_bad_line_is_named_and_nothing_of_the_others_is_recorded(send, kpi):
    answer = send('{"day": "2026-11-20", "value": 1}\n\n{"day": "2026-11-21", "value": "x"}\n', LINES)
    assert answer.json()["errors"] == [
        {"pointer": "#/lines/3/value", "code": "not_a_number", "detail": "'x' is not a number such as 1234.5."}
    ]
    assert not kpi.readings.exists()


def test_another_content_type_is_refused(send):
    assert send("day,value\n", "text/plain").status_code == 415


def test_a_computed_kpi_takes_none(send, poc, alice, asker):
    computed = add_kpi(asker(alice), poc, name="Spend now", measure="spend")
    answer = send("day,value\n2026-11-20,1\n", to=computed)
    assert answer.status_code == 422
    assert "computed from usage" in answer.content.decode()


def test_the_page_shows_what_it_would_do_and_records_the_rest(sign_in, bob, send, kpi):
    send("day,value\n2026-11-20,118\n2026-11-19,1\n")
    client = sign_in(bob)
    url = reverse("readings_many", args=[kpi.pk])
    assert "Record many" in client.get(reverse("kpi", args=[kpi.pk])).text
    text = "Tag;Wert\n"
    assert "is not read" in client.post(url, {"text": text + "20.11.2026;1\n"}).text
    rows = "Day;Value;Note\n20.11.2026;119,5;Müller\n19.11.2026;1;\n18.11.2026;x;\n17.11.2026;2;\n"
    answer = client.post(url, {"file": SimpleUploadedFile("readings.csv", rows.encode("cp1252"))})
    page = answer.text
    for words in (
        "Nothing is recorded yet",
        "Replaces",
        "118",
        "Here already",
        "Line 4",
        "&#x27;x&#x27; is not a number",
    ):
        assert words in page, words
    assert kpi.readings.count() == 2
    canonical = re.search(r'name="text" value="([^"]*)"', page)[1]
    answer = client.post(url, {"text": canonical, "do": "record"}, follow=True)
    assert "1 reading recorded, 1 replaced, 1 here already." in answer.text
    assert held(kpi)[0][:2] == ("2026-11-17", 2)
    assert held(kpi)[2] == ("2026-11-20", Decimal("119.5"), None, "Müller")
    again = client.post(url, {"text": canonical, "do": "record"}, follow=True)
    assert "Nothing changed: 3 readings here already." in again.text
    assert client.post(url, {"text": " "}).status_code == 422


def test_days_are_of_the_reporting_zone(send, kpi, settings):
    from zoneinfo import ZoneInfo

    settings.REPORTING_ZONE = ZoneInfo("Europe/Berlin")
    send("day,value\n2026-11-20,1\n")
    assert kpi.readings.get().at == datetime(2026, 11, 19, 23, tzinfo=UTC)
