"""The pages of billing files: who may, the way from upload to counted, and what every state says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.access import Asker
from metrics.actions import imports as actions
from metrics.models import Backend, BillingImport, BillingSource
from metrics.usage import FeedKind
from tests.metrics.billing_files import DAY, billed, bring, csv_of, focus_row, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]

PLAIN = (
    b"Day;Modell;Kosten;Tokens in\n05.10.2026;gpt-4o;1,25;1.000\n"
    b"06.10.2026;gpt-4o;2,50;2.000\n31.02.2026;gpt-4o;1,00;5\n"
)


@pytest.fixture
def plain(adam) -> BillingImport:
    return actions.upload(Asker(user=adam), pieces=[PLAIN], name="costs.csv").one


@pytest.fixture
def read(adam) -> BillingImport:
    rows = [
        focus_row(BilledCost="1"),
        focus_row(BilledCost="50", ServiceName="Compute", ServiceCategory="Compute", ConsumedUnit="Hours"),
        focus_row(BilledCost="NaN", ServiceName='=cmd|"x"!A1'),
    ]
    return run(actions.upload(Asker(user=adam), pieces=[csv_of(rows)], name="<b>bill.csv").one)


def _addresses(one: BillingImport) -> list[tuple[str, str]]:
    return [
        ("get", reverse("imports")),
        ("get", reverse("import_new")),
        ("post", reverse("import_new")),
        ("get", reverse("import", args=[one.uuid])),
        ("post", reverse("import_mapping", args=[one.uuid])),
        ("post", reverse("import_confirm", args=[one.uuid])),
        ("post", reverse("import_discard", args=[one.uuid])),
        ("post", reverse("import_take_back", args=[one.uuid])),
        ("get", reverse("bill_pays_for", args=[one.source.backend.slug])),
        ("post", reverse("bill_pays_for", args=[one.source.backend.slug])),
    ]


def test_who_may_see_and_do_what(client, sign_in, read, vera, oscar, alice, bob, erin):
    for method, url in _addresses(read):
        assert getattr(client, method)(url).status_code == 302, url
    for person, expected in ((vera, 404), (oscar, 403), (bob, 403), (alice, 403)):
        sign_in(person)
        for method, url in _addresses(read):
            assert getattr(client, method)(url).status_code == expected, (person, url)
    sign_in(erin)
    for method, url in _addresses(read):
        is_reading = url in (reverse("imports"), reverse("import", args=[read.uuid]))
        assert getattr(client, method)(url).status_code == (200 if is_reading else 403), url
    read.refresh_from_db()
    assert read.state == "ready"


def test_the_way_of_a_focus_file(client, sign_in, adam, django_capture_on_commit_callbacks):
    sign_in(adam)
    assert "A billing file" in client.get(reverse("backend_choose")).content.decode()
    file = SimpleUploadedFile("october.csv", csv_of([focus_row(BilledCost="4.20"), focus_row(BilledCost="oops")]))
    answer = client.post(reverse("import_new"), {"file": file}, follow=True)
    one = BillingImport.objects.get()
    page = answer.content.decode()
    assert "Being read" in page
    assert "FOCUS 1.2" in page
    assert "CSV with commas, UTF-8" in page
    run(one)
    page = client.get(reverse("import", args=[one.uuid])).content.decode()
    assert "Read, to be confirmed" in page
    assert "4.20 USD" in page
    assert "&#x27;oops&#x27; is not an amount" in page
    assert billed() is None
    client.post(reverse("import_confirm", args=[one.uuid]), {"mode": "replace", "cost": "billed"})
    one = run(one)
    assert one.state == "done"
    assert billed() == Decimal("4.20")
    page = client.get(reverse("import", args=[one.uuid])).content.decode()
    assert "Imported" in page
    assert str(one.receipt.uuid) in page
    # Once more: nothing, and which has it.
    file = SimpleUploadedFile("copy.csv", csv_of([focus_row(BilledCost="4.20"), focus_row(BilledCost="oops")]))
    page = client.post(reverse("import_new"), {"file": file}, follow=True).content.decode()
    assert "was imported already, as october.csv" in page
    client.post(reverse("import_take_back", args=[one.uuid]))
    assert billed() is None
    assert "Taken back" in client.get(reverse("imports")).content.decode()


def test_a_plain_file_is_mapped_previewed_and_remembered(client, sign_in, adam, plain):
    sign_in(adam)
    url = reverse("import", args=[plain.uuid])
    page = client.get(url).content.decode()
    # Guessed from the names and the first rows.
    assert '<option value="Kosten" selected>' in page
    assert '<option value="dmy" selected>' in page
    form = {
        "time": "Day", "amount": "Kosten", "model": "Modell", "input_tokens": "Tokens in", "currency_code": "EUR",
        "provider_name": "openai", "date_order": "dmy", "decimal_mark": ",",
    }  # fmt: skip
    shown = client.post(reverse("import_mapping", args=[plain.uuid]), {**form, "do": "preview"}).content.decode()
    assert "1.25 EUR" in shown
    assert "1,000 in" in shown
    assert "is not a day such as" in shown
    plain.refresh_from_db()
    assert plain.state == "mapping"
    client.post(reverse("import_mapping", args=[plain.uuid]), form)
    one = run(plain)
    assert (one.state, one.rows_accepted, one.rows_rejected) == ("ready", 2, 1)
    client.post(reverse("import_confirm", args=[one.uuid]), {"mode": "replace"})
    run(one)
    assert billed("EUR") == Decimal("3.75")
    # The next of the same source begins with what was said.
    again = actions.upload(
        Asker(user=adam), pieces=[PLAIN + b"07.10.2026;x;9;9\n"], name="c2.csv", source=one.source
    ).one
    page = client.get(reverse("import", args=[again.uuid])).content.decode()
    assert '<option value="EUR" selected>' in page
    client.post(reverse("import_mapping", args=[again.uuid]), form)
    page = run(again) and client.get(reverse("import", args=[again.uuid])).content.decode()
    assert "It replaces" in page
    client.post(reverse("import_confirm", args=[again.uuid]), {"mode": "replace"})
    run(again)
    assert billed("EUR") == Decimal("12.75")


def test_a_mapping_without_what_is_needed_says_what(client, sign_in, adam, plain):
    sign_in(adam)
    answer = client.post(
        reverse("import_mapping", args=[plain.uuid]),
        {"time": "Day", "amount": "Kosten", "date_order": "dmy", "decimal_mark": ","},
    )
    assert answer.status_code == 422
    assert "Say the currency" in answer.content.decode()


def test_services_are_ticked_and_names_are_text(client, sign_in, adam, read):
    sign_in(adam)
    page = client.get(reverse("import", args=[read.uuid])).content.decode()
    assert "&lt;b&gt;bill.csv" in page
    assert "<b>bill" not in page
    answer = client.post(reverse("import_confirm", args=[read.uuid]), {"mode": "replace", "cost": "billed"})
    assert answer.status_code == 422
    assert "Tick at least one service" in answer.content.decode()
    client.post(
        reverse("import_confirm", args=[read.uuid]),
        {"mode": "replace", "cost": "billed", "services": ["API", "Compute"]},
    )
    run(read)
    assert billed() == Decimal("51")
    # The next file of the account begins with these ticks.
    source = BillingSource.objects.get(pk=read.source_id)
    assert source.services == {"chosen": ["API", "Compute"], "refused": []}


def test_discarding_leaves_nothing(client, sign_in, adam, read):
    sign_in(adam)
    client.post(reverse("import_discard", args=[read.uuid]))
    assert not BillingImport.objects.exists()
    assert not Backend.objects.exists()


def test_a_file_that_cannot_be_read_is_said_at_the_form(client, sign_in, adam):
    sign_in(adam)
    for data, words in (
        (b"", "empty"),
        (b"PK\x03\x04xxxx", "ZIP archive or an Excel workbook"),
        (b"PAR1" + b"x" * 40, "cut short"),
        ("Tag;Größe\n".encode("latin-1"), "not UTF-8"),
    ):
        answer = client.post(reverse("import_new"), {"file": SimpleUploadedFile("x.csv", data)})
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert not BillingImport.objects.exists()


def test_a_bill_of_what_counts_already_is_asked_about(client, sign_in, adam):
    Backend.objects.create(slug="openai", name="OpenAI", connector="openai", provider="openai")
    one = bring(adam, csv_of([focus_row()]))
    sign_in(adam)
    for url in (reverse("imports"), reverse("backends")):
        page = client.get(url).content.decode()
        assert "pay for OpenAI?" in page, url
    url = reverse("bill_pays_for", args=[one.source.backend.slug])
    assert client.post(url, {}).status_code == 422
    client.post(url, {"pays_for": "none"})
    assert "pay for OpenAI?" not in client.get(reverse("backends")).content.decode()


def test_the_list_asks_as_often_for_many_as_for_few(client, sign_in, adam, django_assert_max_num_queries):
    sign_in(adam)
    bring(adam, csv_of([focus_row()]))
    client.get(reverse("imports"))
    with django_assert_max_num_queries(12):
        client.get(reverse("imports"))
    for number in range(4):
        bring(adam, csv_of([focus_row(day=DAY - timedelta(days=40 + number), BillingAccountId=f"org-{number + 5}")]))
    with django_assert_max_num_queries(12):
        client.get(reverse("imports"))


def test_a_receipt_can_be_taken_back_from_send_data_too(client, sign_in, adam):
    one = bring(adam, csv_of([focus_row()]))
    assert one.receipt.kind == FeedKind.IMPORT
    sign_in(adam)
    client.post(reverse("take_back", args=[one.receipt.uuid]))
    one.refresh_from_db()
    assert one.state == "taken_back"
    assert billed() is None
