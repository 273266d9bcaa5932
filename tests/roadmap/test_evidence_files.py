"""Files as evidence of milestones: kept, listed, downloaded, removed; and what is refused."""

from __future__ import annotations

import base64
import io
import zipfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import escape
from openpyxl import Workbook

from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions.evidence import add_evidence, remove_evidence
from roadmap.actions.gates import add_criterion, decide_gate, remove_criterion
from roadmap.actions.milestones import add_milestone, delete_milestone
from roadmap.models import EvidenceContent, EvidenceFile
from roadmap.queries.kpi_values import kpi_values
from roadmap.rules import evidence as rules
from roadmap.rules.evidence import MOST_BYTES, clean_name, kind_of
from roadmap.rules.gates import sha256_of

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def office(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name in names:
            package.writestr(name, "<x/>")
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    Workbook().save(file)
    return file.getvalue()


GOOD = {
    "report.pdf": PDF,
    "Screen.PNG": b"\x89PNG\r\n\x1a\n....",
    "photo.jpeg": b"\xff\xd8\xff\xe0....",
    "figures.csv": "Größe;Wert\n1;2\n".encode(),
    "excel.csv": "a,b\n".encode("utf-16"),
    "latin.txt": "Größe".encode("latin-1"),
    "notes.md": b"# Notes\r\n\tx\x0c",
    "book.xlsx": workbook(),
    "sign-off.docx": office("[Content_Types].xml", "_rels/.rels", "word/document.xml"),
    # As LibreOffice orders them.
    "slides.pptx": office("_rels/.rels", "ppt/presentation.xml", "[Content_Types].xml"),
}
BAD = {
    "empty": ("report.pdf", b"", "empty_file"),
    "program": ("setup.exe", b"MZ\x90\x00", "wrong_kind"),
    "page": ("index.html", b"<html>", "wrong_kind"),
    "drawing": ("x.svg", b"<svg/>", "wrong_kind"),
    "archive": ("x.zip", office("a"), "wrong_kind"),
    "no_ending": ("report", PDF, "no_name"),
    "macros": ("x.xlsm", workbook(), "wrong_kind"),
    "page_as_pdf": ("x.pdf", b"<html><script>", "not_what_it_says"),
    "program_as_text": ("x.txt", b"MZ\x90\x00\x03", "not_what_it_says"),
    "program_as_csv": ("x.csv", b"\x7fELF\x02\x01", "not_what_it_says"),
    "broken_utf16": ("x.txt", b"\xff\xfea", "not_what_it_says"),
    "zip_as_docx": ("x.docx", office("a.txt"), "not_what_it_says"),
    "xlsx_as_docx": ("x.docx", workbook(), "not_what_it_says"),
    "png_as_jpg": ("x.jpg", b"\x89PNG\r\n\x1a\n", "not_what_it_says"),
    "too_large": ("x.pdf", PDF + bytes(MOST_BYTES), "too_large"),
}


@pytest.fixture
def pilot(poc, alice, asker, today):
    return add_milestone(asker(alice), poc, name="Pilot", due_on=today + timedelta(days=9))


def upload(client, pilot, name: str, data: bytes):
    file = SimpleUploadedFile(name, data)
    return client.post(reverse("milestone_file_new", args=[pilot.pk]), {"file": file})


@pytest.mark.parametrize("name", GOOD)
def test_a_kind_is_told_by_name_and_first_bytes(name):
    ending = name.rpartition(".")[2].lower().replace("jpeg", "jpg")
    assert kind_of(name, GOOD[name]) == ending


@pytest.mark.parametrize("case", BAD)
def test_another_is_refused_in_words(case):
    name, data, code = BAD[case]
    with pytest.raises(RuleViolation) as refused:
        kind_of(clean_name(name), data)
    assert refused.value.code == code
    assert refused.value.field == "file"
    assert refused.value.message.endswith(".")


def test_a_bomb_is_never_opened(pilot, alice, asker, monkeypatch):
    """A gibibyte of zeros in a megabyte, as a workbook: kept as it is. Nothing here unpacks."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        package.writestr("[Content_Types].xml", "<x/>")
        package.writestr("xl/workbook.xml", bytes(64 * 1024 * 1024))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    added = add_evidence(asker(alice), pilot, name="bomb.xlsx", data=file.getvalue())
    assert added.size == len(file.getvalue()) < 1024 * 1024


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("C:\\Users\\me\\Report 1.PDF", "Report 1.PDF"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("Prüfbericht 検査 ✓.pdf", "Prüfbericht 検査 ✓.pdf"),
        ("u\u0308.pdf", "ü.pdf"),
        ("invoice\u202efdp.exe.txt", "invoicefdp.exe.txt"),
        ("a\r\nSet-Cookie: x\x00.pdf", "aSet-Cookie: x.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ('a"; filename="b.pdf', 'a"; filename="b.pdf'),
    ],
    ids=range(9),
)
def test_a_name_is_cleaned(given, kept):
    assert clean_name(given) == kept


@pytest.mark.parametrize("name", ["", "pdf", ".pdf", " . .pdf", "\u202e.pdf", "a/", "..\\"], ids=range(7))
def test_a_name_with_nothing_in_it_is_refused(name):
    with pytest.raises(RuleViolation, match="Give the file a name"):
        clean_name(name)


def test_it_is_kept_downloaded_and_removed_on_the_page(pilot, bob, vera, sign_in):
    client = sign_in(bob)
    assert upload(client, pilot, "Prüfbericht.pdf", PDF).status_code == 303
    file = EvidenceFile.objects.get()
    page = sign_in(vera).get(reverse("milestone_files", args=[pilot.pk])).content.decode()
    assert "Prüfbericht.pdf" in page
    assert "Add a file" not in page
    assert "Bob Builder" in page
    answer = client.get(f"/evidence/{file.pk}/")
    assert answer.content == PDF
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''Pr%C3%BCfbericht.pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "private" in answer.headers["Cache-Control"]
    phase = sign_in(vera).get(pilot.phase.get_absolute_url()).content.decode()
    assert f'href="/milestones/{pilot.pk}/files/">1 file' in phase
    client = sign_in(bob)
    assert client.post(f"/evidence/{file.pk}/remove/").status_code == 303
    assert client.get(f"/evidence/{file.pk}/").status_code == 404
    assert not EvidenceContent.objects.exists()
    told = AuditEvent.objects.filter(action__endswith="_evidence").order_by("pk")
    assert [(row.action, row.subject_name) for row in told] == [
        ("add_evidence", "Prüfbericht.pdf"),
        ("remove_evidence", "Prüfbericht.pdf"),
    ]
    assert told[0].after == {"milestone": "Pilot", "size": str(len(PDF)), "sha256": file.sha256}


def test_a_quote_in_a_name_stays_in_the_name(pilot, bob, alice, asker, sign_in):
    added = add_evidence(asker(alice), pilot, name='a"; filename="b.txt', data=b"x")
    answer = sign_in(bob).get(f"/evidence/{added.pk}/")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a\\"; filename=\\"b.txt"'


@pytest.mark.parametrize("case", ["empty", "program", "page_as_pdf", "too_large"])
def test_the_form_says_what_is_wrong_and_keeps_nothing(pilot, bob, sign_in, case):
    name, data, code = BAD[case]
    answer = upload(sign_in(bob), pilot, name, data)
    assert answer.status_code == 422
    said = answer.context["form"].errors.as_data()["file"][0]
    assert said.code == code
    assert escape(said.message) in answer.content.decode()
    assert not EvidenceFile.objects.exists()


def test_a_form_without_a_file_is_said(pilot, bob, sign_in):
    client = sign_in(bob)
    assert client.post(reverse("milestone_file_new", args=[pilot.pk])).status_code == 422
    assert client.post(reverse("milestone_file_new", args=[pilot.pk]), {"file": "no file"}).status_code == 422


def test_a_viewer_adds_and_removes_none(pilot, vera, oscar, alice, asker, sign_in):
    added = add_evidence(asker(alice), pilot, name="a.txt", data=b"a")
    for person, status in ((vera, 403), (oscar, 404)):
        client = sign_in(person)
        assert upload(client, pilot, "b.txt", b"b").status_code == status
        assert client.post(f"/evidence/{added.pk}/remove/").status_code == status
    assert EvidenceFile.objects.count() == 1


def test_the_same_bytes_are_kept_once_and_the_sum_is_bounded(pilot, alice, asker, monkeypatch):
    a = asker(alice)
    add_evidence(a, pilot, name="a.txt", data=b"x" * 60)
    with pytest.raises(RuleViolation, match="here already, as 'a.txt'"):
        add_evidence(a, pilot, name="b.txt", data=b"x" * 60)
    monkeypatch.setattr("roadmap.actions.evidence.MOST_BYTES_A_MILESTONE", 100)
    with pytest.raises(RuleViolation, match="together"):
        add_evidence(a, pilot, name="c.txt", data=b"y" * 41)
    add_evidence(a, pilot, name="c.txt", data=b"y" * 40)
    assert (rules.MOST_BYTES, rules.MOST_BYTES_A_MILESTONE) == (10 * 1024**2, 50 * 1024**2)


def test_the_list_never_loads_the_bytes(pilot, alice, asker, sign_in, django_assert_max_num_queries):
    for number in range(5):
        add_evidence(asker(alice), pilot, name=f"{number}.txt", data=b"x" * (number + 1))
    client = sign_in(alice)
    with django_assert_max_num_queries(11) as asked:
        client.get(reverse("milestone_files", args=[pilot.pk]))
    assert not any("evidencecontent" in query["sql"] for query in asked.captured_queries)


def test_a_file_is_sent_and_read_over_rest(pilot, bob, api):
    client, address = api(bob, scopes=["manage"]), f"/api/v1/milestones/{pilot.pk}/files"
    made = client.post(address, {"file": SimpleUploadedFile("a.pdf", PDF)}, format="multipart")
    assert made.status_code == 201, made.content
    body = {"name": "b.txt", "content": base64.b64encode(b"signed").decode()}
    assert client.post(address, body, format="json").status_code == 201
    again = client.post(address, body, format="json")
    assert (again.status_code, again.json()["type"]) == (409, "urn:phaseline:conflict_same_file")
    rows = client.get(address).json()["results"]
    assert [(row["name"], row["kind"], row["added_by"]) for row in rows] == [
        ("a.pdf", "pdf", "bob"),
        ("b.txt", "txt", "bob"),
    ]
    assert client.get(made["Location"]).json() == rows[0]
    content = client.get(rows[0]["content"])
    assert (content.content, content.headers["Content-Security-Policy"]) == (PDF, "default-src 'none'; sandbox")
    assert client.delete(made["Location"]).status_code == 204
    assert EvidenceFile.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "a.txt", "content": "not base64!"}, "no_base64"),
        ({"name": "a.txt", "content": ""}, "empty_file"),
        ({"name": "a.exe", "content": "TVo="}, "wrong_kind"),
        ({"name": "a.pdf", "content": "TVo="}, "not_what_it_says"),
        ({"name": "\u202e.txt", "content": "eA=="}, "no_name"),
        ({"name": "a.txt"}, "invalid"),
        ({"name": "a.txt", "content": "eA==", "x": 1}, "invalid"),
    ],
    ids=range(7),
)
def test_rest_says_what_is_wrong(pilot, bob, api, body, code):
    answer = api(bob, scopes=["manage"]).post(f"/api/v1/milestones/{pilot.pk}/files", body, format="json")
    assert answer.status_code == 422, answer.content
    assert answer.json()["type"] == f"urn:phaseline:{code}"
    assert not EvidenceFile.objects.exists()


def test_too_large_a_request_is_refused_before_it_is_read(pilot, bob, sign_in):
    """By its declared length: tests/web/test_uploads_bounded.py."""
    answer = sign_in(bob).generic(
        "POST",
        reverse("milestone_file_new", args=[pilot.pk]),
        b"",
        CONTENT_TYPE="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(18 * 1024 * 1024),
    )
    assert answer.status_code == 413
    assert "Send a smaller file." in answer.content.decode()


def test_a_decision_keeps_name_and_hash_and_the_file(plan, poc, gate, pilot, alice, adam, asker, sign_in, today):
    a, d = asker(alice), asker(adam)
    added = add_evidence(a, pilot, name="sign-off.pdf", data=PDF)
    free = add_evidence(a, pilot, name="later.txt", data=b"x")
    remove_evidence(a, free)
    criterion = add_criterion(a, gate, subject=pilot)
    decided = decide_gate(
        d, gate, outcome="hold", reason="x", new_due_on=today + timedelta(days=9), values_of=kpi_values
    )
    row = next(row for row in decided.evidence["criteria"] if row["name"] == "Pilot")
    assert row["files"] == [{"name": "sign-off.pdf", "kind": "pdf", "size": len(PDF), "sha256": added.sha256}]
    assert sha256_of(decided.evidence) == decided.evidence_sha256
    assert "sign-off.pdf" in sign_in(adam).get(gate.get_absolute_url()).content.decode()
    with pytest.raises(RuleViolation, match="A decision rests on this file"):
        remove_evidence(a, added)
    remove_criterion(a, criterion)
    with pytest.raises(RuleViolation, match="A decision rests on files"):
        delete_milestone(a, pilot)
    assert EvidenceContent.objects.filter(file=added).exists()


def test_a_milestone_goes_with_its_files(pilot, alice, asker):
    add_evidence(asker(alice), pilot, name="a.txt", data=b"x")
    delete_milestone(asker(alice), pilot)
    assert not EvidenceContent.objects.exists()
