"""A CSV of usage from the Send data page: looked at first, counted in steps, once, and taken back as a whole."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Sum
from django.urls import reverse

from accounts.access import Asker
from metrics import usage_file_pieces, usage_file_steps, usage_files
from metrics.actions import usage_files as actions
from metrics.errors import RuleViolation
from metrics.format import Unreadable
from metrics.models import Backend, Receipt, Series, UsageFile, UsageFilePiece, UsageHour
from metrics.tasks import advance_usage_file, resume_usage_files
from metrics.usage_file_steps import advance, discard_forgotten

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = "2026-11-20T10:00:00Z"
HEADER = "timestamp,provider,model,requests,input_tokens,cost,currency\n"
GOOD = HEADER + f"{AT},openai,gpt-x,10,500,0.25,USD\n{AT},openai,gpt-y,5,100,,\n"


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch):
    monkeypatch.setattr("metrics.sources.now", lambda: NOW)


@pytest.fixture
def send(alice, claims):
    """`send(text, workload=..., by=...)`: the file, as far as it is read at once."""

    def _send(text, *, by=alice, workload=claims, name="usage.csv", read=True, **more):
        body = text if isinstance(text, bytes) else text.encode()
        sent = actions.send_file(Asker(user=by), pieces=[body], name=name, workload=workload, **more)
        if read:
            advance(sent.one.pk)
        sent.one.refresh_from_db()
        return sent.one

    return _send


@pytest.fixture
def count(alice):
    def _count(one, by=alice):
        actions.confirm_file(Asker(user=by), one)
        advance(one.pk)
        one.refresh_from_db()
        return one

    return _count


def requests() -> int:
    return UsageHour.objects.aggregate(sum=Sum("requests"))["sum"] or 0


def post(client, text, **fields):
    body = text if isinstance(text, bytes) else text.encode()
    return client.post(
        reverse("usage_file_new"), {"file": SimpleUploadedFile("usage.csv", body), **fields}, follow=True
    )


def test_the_way_of_a_small_file(sign_in, alice, claims):
    client = sign_in(alice)
    assert "Send a CSV file" in client.get("/send/").text
    answer = post(client, GOOD + f"{AT},openai,gpt-x,many,1,,\n", workload=claims.slug)
    page = answer.text
    one = UsageFile.objects.get()
    assert answer.redirect_chain == [(reverse("usage_file", args=[one.uuid]), 303)]
    for words in ("Read, to be confirmed", "Count 2 rows", "Nothing of it counts yet", "Pushed: openai", "gpt-x"):
        assert words in page, words
    assert "requests: takes a whole number" in page
    assert "CSV with commas, UTF-8" in page
    assert not UsageHour.objects.exists()
    assert not Backend.objects.exists()
    page = client.post(reverse("usage_file_confirm", args=[one.uuid]), follow=True).text
    assert "2 records counted" in page
    assert "1 receipt" in page
    receipt = Receipt.objects.get()
    assert str(receipt.uuid) in page
    assert (receipt.user, receipt.token, receipt.workload, receipt.accepted) == (alice, None, claims, 2)
    assert UsageHour.objects.get(series__model="gpt-x").estimated_cost == Decimal("0.25")
    assert not UsageFilePiece.objects.filter(kind="file").exists()
    assert one.name in client.get("/send/").text


def test_a_cell_that_the_database_cannot_keep_is_told_by_its_line(sign_in, alice, claims, count):
    client = sign_in(alice)
    page = post(client, GOOD + f"{AT},openai,gpt-x,5\0,1,,\n{AT},openai,gpt\0x,5,1,,\n", workload=claims.slug).text
    assert "Count 2 rows" in page
    assert "requests: takes a whole number from 1 to 10^12; got &#x27;5\N{REPLACEMENT CHARACTER}" in page
    one = count(UsageFile.objects.get())
    assert (one.accepted, one.rejected_count) == (2, 2)
    rejected = b"".join(client.get(reverse("usage_file_rejected", args=[one.uuid])))
    assert rejected.count(b"gpt") == 2


def test_the_same_file_again_counts_nothing_twice(sign_in, alice, claims, other, bob, send, count):
    count(send(GOOD))
    page = post(sign_in(alice), GOOD, workload=claims.slug).text
    assert "This file is counted already, as usage.csv: nothing was added" in page
    assert requests() == 15
    # A colleague is told, and learns no more than who and when.
    answer = post(sign_in(bob), GOOD, workload=claims.slug)
    assert answer.status_code == 422
    assert "Alice Manager sent this file on" in answer.text
    assert UsageFile.objects.count() == 1


def test_a_file_that_names_its_roadmaps_counts_once_whatever_was_chosen(adam, claims, other, send, count):
    rows = GOOD.replace(HEADER, HEADER.replace("timestamp", "roadmap,timestamp")).replace(f"\n{AT}", f"\nclaims,{AT}")
    one = count(send(rows, by=adam), by=adam)
    assert one.accepted == 2
    assert actions.send_file(Asker(user=adam), pieces=[rows.encode()], name="b.csv", workload=other).is_repeat
    # One that does not is another file for another roadmap.
    assert send(GOOD, by=adam, workload=other) != send(GOOD, by=adam, workload=claims)


def test_what_was_pushed_with_a_token_is_not_counted_as_a_file(api, alice, claims, send, monkeypatch):
    monkeypatch.setattr("metrics.actions.usage.timezone.now", lambda: NOW)
    client = api(alice, scopes=["push"], workload=claims)
    assert client.post("/api/v1/usage", GOOD, content_type="text/csv").status_code == 201
    with pytest.raises(RuleViolation, match="was pushed with the token"):
        send(GOOD, read=False)


def test_many_rows_are_counted_in_steps_each_with_its_receipt(send, count, monkeypatch, alice):
    monkeypatch.setattr(usage_file_steps, "STEP_ROWS", 3)
    rows = "".join(f"{AT},openai,gpt-x,{10**n},5,,\n" for n in range(7))
    one = send(HEADER + rows, read=False)
    # A worker whose time is over after each step, and one that comes twice.
    seen = [advance(one.pk, seconds=0).rows_read for _ in range(3)]
    assert seen == [3, 6, 7]
    one.refresh_from_db()
    assert (one.state, one.accepted, one.sums["lines"][0][4]["requests"]) == ("ready", 7, 1_111_111)
    actions.confirm_file(Asker(user=alice), one)
    assert advance(one.pk, seconds=0).state == "posting"
    assert requests() == 111
    resume_usage_files()
    while (after := advance(one.pk, seconds=0)) is not None and after.state == "posting":
        pass
    one.refresh_from_db()
    assert (one.state, len(one.receipts), one.accepted) == ("done", 3, 7)
    assert requests() == 1_111_111
    assert advance(one.pk) is None


def test_a_step_that_was_done_is_not_done_again(send, alice, monkeypatch):
    monkeypatch.setattr(usage_file_steps, "STEP_ROWS", 1)
    one = send(GOOD)
    actions.confirm_file(Asker(user=alice), one)
    advance(one.pk, seconds=0)
    late = UsageFile.objects.get(pk=one.pk)
    late.rows_posted = 0
    with usage_file_pieces.kept(one) as path:
        bounds = usage_files.limits_of_file(usage_file_steps.limits_at(NOW))
        with usage_files.opened(path, bounds, too_large="") as table:
            assert usage_file_steps._walk(late, table, usage_file_steps.limits_at(NOW), 0) is None
    assert requests() == 10


def test_rejected_rows_are_told_by_line_and_column_and_come_back_put_right(sign_in, alice, send, count):
    text = (
        "Timestamp;Model;Input Tokens;units\r\n\r\n"
        f"{AT};m;5;0,5\r\n2026-11-20 10:00;m;5;\r\n{AT};m;1,234;\r\n{AT};m\r\n=1+1;m;;\r\n"
    )
    one = count(send(text))
    assert [(row["line"], row["column"], row["code"]) for row in one.rejected] == [
        (4, "Timestamp", "timestamp_without_offset"),
        (5, "Input Tokens", "wrong_type"),
        (6, "", "malformed"),
        (7, "Timestamp", "bad_timestamp"),
    ]
    client = sign_in(alice)
    answer = client.get(reverse("usage_file_rejected", args=[one.uuid]))
    listed = b"".join(answer.streaming_content).decode()
    assert answer["Content-Disposition"].startswith('attachment; filename="rejected-')
    assert listed.splitlines()[0].endswith("rejected_line,rejected_column,rejected_why")
    assert "'=1+1" in listed
    right = listed.replace("2026-11-20 10:00,", f"{AT},").replace('"1,234"', "1234")
    again = count(send(right))
    assert (again.accepted, again.rejected_count) == (2, 2)
    assert UsageHour.objects.aggregate(sum=Sum("input_tokens"))["sum"] == 5 + 5 + 1234


@pytest.mark.parametrize(
    ("encode", "said"),
    [
        (lambda text: b"\xef\xbb\xbf" + text.encode(), "commas, UTF-8"),
        (lambda text: text.encode("utf-16"), "commas, UTF-16"),
        (lambda text: text.encode("utf-16-le"), "commas, UTF-16"),
        (lambda text: text.encode("cp1252"), "commas, Windows-1252"),
        (lambda text: text.replace(",", ";").replace("0.25", "0,25").encode("cp1252"), "semicolons, Windows-1252"),
        (lambda text: gzip.compress(text.encode()), "commas, UTF-8, gzip"),
    ],
    ids=["BOM", "UTF-16", "no mark", "western", "decimal comma", "gzip"],
)
def test_however_a_spreadsheet_saves_it(send, count, encode, said):
    one = count(send(encode(f"timestamp,model,cost,currency,labels.team\n{AT},m,0.25,USD,Müller Grün\n")))
    assert one.container == f"CSV with {said}"
    assert Series.objects.get().labels == {"team": "Müller Grün"}
    assert UsageHour.objects.get().estimated_cost == Decimal("0.25")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "submitted file is empty"),
        (b"timestamp,model\n", "no row below the header"),
        (f"{AT},m\n".encode(), "Put a header above it"),
        (b"timestamp model\n", "There is one column"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "This is no text"),
        (b"timestamp,model,labels.team\n2026-11-20T10:00:00Z,m,M\x94ller\n", "byte 0x94 in line 2 stands for other"),
        (f'timestamp,model\n{AT},m\n{AT},"m\n{AT},m\n'.encode(), "line 3 is never closed"),
        (b"timestamp,model,prompt_tokens\n", "Is it &#x27;input_tokens&#x27;?"),
        (b"PK\x03\x04 a workbook", "Excel workbook"),
        (b"timestamp,model\nx,m\n2026-11-20 10:00,m\n", "None of its 2 rows can count"),
        (gzip.compress(b"timestamp,model\n" + b"x" * 5_000_000), "4 MiB unpacked"),
        (b"timestamp,model\n" + b"x,m\n" * 1_001, "at most 1,000 rows"),
        (b"timestamp,model\n" + b"x" * 1_100_000, "at most 1,000 rows and 1 MiB"),
    ],
    ids=[
        *("empty", "no rows", "no header", "one column", "binary", "ambiguous", "open quote", "alias", "workbook"),
        *("zone", "bomb", "rows", "large"),
    ],
)
def test_what_cannot_be_counted_says_what_to_do(sign_in, alice, claims, settings, body, said):
    settings.USAGE_FILE_MAX_BYTES, settings.USAGE_FILE_MAX_ROWS = 2**20, 1_000
    settings.USAGE_FILE_MAX_UNPACKED_BYTES = 4 * 2**20
    answer = post(sign_in(alice), body, workload=claims.slug)
    assert said in answer.text
    assert not UsageHour.objects.exists()
    assert not UsageFile.objects.filter(state__in=UsageFile.LIVE).exists()
    assert not UsageFilePiece.objects.filter(kind="file").exists()


def test_200_mib_are_refused_before_they_are_read(sign_in, alice):
    client = sign_in(alice)
    kind = "multipart/form-data; boundary=x"
    environ = {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": str(200 * 2**20), "CONTENT_TYPE": kind}
    answer = client.generic("POST", "/send/file/", b"", kind, **environ)
    assert answer.status_code == 413
    assert "larger than 65 MiB" in answer.text
    assert "USAGE_FILE_MAX_MIB" in answer.text


def test_times_without_a_zone_are_of_the_one_that_was_chosen(send, count, settings):
    text = "timestamp,model\n20.11.2026 10:00,m\n2026-10-25 02:30,m\n"
    one = count(send(text, zone="Europe/Berlin"))
    assert one.accepted == 1
    assert "clocks change" in one.rejected[0]["detail"]
    assert UsageHour.objects.get().hour == datetime(2026, 11, 20, 10, tzinfo=ZoneInfo("Europe/Berlin"))


def test_the_backend_that_was_chosen_gets_rows_that_name_none(send, count):
    Backend.objects.create(slug="edge", name="Edge", connector="push", provider="unknown")
    Backend.objects.create(slug="far", name="Far", connector="push", provider="unknown")
    count(send(f"timestamp,model,backend\n{AT},a,\n{AT},b,far\n", backend="edge"))
    assert dict(Series.objects.values_list("model", "backend__slug")) == {"a": "edge", "b": "far"}


def test_a_file_is_taken_back_as_a_whole_and_may_come_again(sign_in, alice, claims, send, count, monkeypatch):
    monkeypatch.setattr(usage_file_steps, "STEP_ROWS", 1)
    one = count(send(GOOD))
    assert len(one.receipts) == 2
    client = sign_in(alice)
    page = client.post(reverse("usage_file_take_back", args=[one.uuid]), follow=True).text
    assert "It was taken back" in page
    assert not UsageHour.objects.filter(requests__gt=0).exists()
    assert set(Receipt.objects.filter(kind="reversal").values_list("user", flat=True)) == {alice.pk}
    assert "further by now" in client.post(reverse("usage_file_take_back", args=[one.uuid]), follow=True).text
    assert count(send(GOOD)).pk != one.pk
    assert requests() == 15


def test_receipts_that_are_taken_back_one_by_one_free_the_file(sign_in, alice, send, count, monkeypatch):
    monkeypatch.setattr(usage_file_steps, "STEP_ROWS", 1)
    one = count(send(GOOD))
    client = sign_in(alice)
    for receipt in Receipt.objects.filter(kind="push"):
        one.refresh_from_db()
        assert one.state == "done"
        client.post(reverse("take_back", args=[receipt.uuid]))
    one.refresh_from_db()
    assert one.state == "taken_back"


def test_ids_that_counted_before_are_repeats(send, count):
    count(send(f"timestamp,model,id\n{AT},m,a\n"))
    one = count(send(f"timestamp,model,id\n{AT},m,a\n{AT},m,b\n"))
    assert (one.accepted, one.duplicates) == (1, 1)
    assert requests() == 2


def test_who_lost_the_role_meanwhile_counts_nothing(send, alice, claims):
    one = send(GOOD)
    actions.confirm_file(Asker(user=alice), one)
    alice.memberships.all().delete()
    advance(one.pk)
    one.refresh_from_db()
    assert (one.state, one.rejected[0]["code"]) == ("failed", "unknown_roadmap")
    assert not UsageHour.objects.exists()


def test_labels_make_so_many_series_a_day(send, count, monkeypatch):
    monkeypatch.setattr("metrics.new_series.NEW_SERIES_A_DAY", 3)
    rows = "".join(f"{AT},m,team {n}\n" for n in range(5))
    one = count(send("timestamp,model,labels.team\n" + rows))
    assert Series.objects.exclude(labels={}).count() == 3
    assert next(iter(one.warnings)).startswith("More than 3 new series")
    count(send(f"timestamp,model,labels.team\n{AT},m,another\n"))
    assert Series.objects.exclude(labels={}).count() == 3
    assert requests() == 6


def test_a_file_that_nobody_confirms_is_dropped(send):
    one = send(GOOD)
    discard_forgotten(datetime.now(UTC) + timedelta(days=15))
    one.refresh_from_db()
    assert (one.state, UsageFilePiece.objects.count()) == ("discarded", 0)


def test_a_file_whose_pieces_are_gone_says_so(send):
    one = send(GOOD, read=False)
    UsageFilePiece.objects.all().delete()
    advance_usage_file(one.pk)
    one.refresh_from_db()
    assert (one.state, "Choose it again" in one.problem) == ("failed", True)


def test_the_template_counts_as_it_is(sign_in, alice, claims):
    client = sign_in(alice)
    answer = client.get(reverse("usage_template"))
    assert answer["Content-Disposition"] == 'attachment; filename="usage-template.csv"'
    assert "Count 2 rows" in post(client, answer.content, workload=claims.slug).text


def test_a_header_that_cannot_be_read_is_no_file(alice, claims):
    with pytest.raises(Unreadable, match="one column"):
        actions.send_file(Asker(user=alice), pieces=[b"abc\n"], name="x", workload=claims)
    assert not UsageFile.objects.exists()


def _addresses(one: UsageFile) -> list[tuple[str, str]]:
    return [
        ("get", reverse("usage_template")),
        ("get", reverse("usage_file_new")),
        ("get", reverse("usage_file", args=[one.uuid])),
        ("get", reverse("usage_file_rejected", args=[one.uuid])),
        ("post", reverse("usage_file_confirm", args=[one.uuid])),
        ("post", reverse("usage_file_discard", args=[one.uuid])),
        ("post", reverse("usage_file_take_back", args=[one.uuid])),
    ]


def test_who_may_see_and_do_what(client, sign_in, send, vera, oscar, bob, erin, claims):
    one = send(GOOD)
    for method, url in _addresses(one):
        assert getattr(client, method)(url).status_code == 302, url
    general = (reverse("usage_template"), reverse("usage_file_new"))
    for person, expected in ((vera, 403), (oscar, 404), (bob, 404), (erin, None)):
        sign_in(person)
        for method, url in _addresses(one):
            status = 200 if url in general and person != vera else expected
            status = status or (200 if method == "get" else 403)
            assert getattr(client, method)(url).status_code == status, (person, url)
    # Readers send nothing, and nobody sends for a roadmap of others.
    assert post(sign_in(erin), GOOD, workload=claims.slug).status_code == 422
    assert post(sign_in(oscar), GOOD, workload=claims.slug).status_code == 422
    one.refresh_from_db()
    assert one.state == "ready"
