"""The tabs of the Spend page: what they say, to whom, and at how many queries."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.models import Backend, ExchangeRate, OwnPrice, RateCard
from metrics.usage import SeriesKind
from roadmap.queries.spend import spend_page
from roadmap.queries.spend_anomalies import spend_anomalies
from roadmap.queries.spend_moved import spend_moved
from roadmap.queries.spend_prices import spend_prices
from roadmap.queries.spend_reconcile import spend_reconcile
from roadmap.queries.spend_sources import spend_idle, spend_unallocated

D = Decimal
DAY = timedelta(days=1)
TABS = ("moved", "reconcile", "unallocated", "idle", "prices", "anomalies")
ADDRESSES = [f"/spend/{name}/" for name in TABS]


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def days(today, first, last):
    return {"from": (today - DAY * first).isoformat(), "to": (today - DAY * last).isoformat()}


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_tab_is_for_those_who_may_see_it(mixed, sign_in, address, alice, bob, vera, oscar, erin, adam):
    needs_all = address == "/spend/unallocated/"
    for person, sees in (
        (vera, False),
        (alice, not needs_all),
        (bob, not needs_all),
        (oscar, not needs_all),
        (erin, True),
        (adam, True),
    ):
        answer = sign_in(person).get(address)
        assert answer.status_code == (200 if sees else 404), person
        if sees and person in (alice, bob):
            assert "Secret" not in answer.content.decode()


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_empty_tab_says_the_next_step(sign_in, adam, address):
    assert "Nothing was spent yet" in sign_in(adam).get(address).content.decode()


@pytest.mark.parametrize("address", ADDRESSES)
def test_htmx_gets_the_part_and_the_filters_go_along(mixed, sign_in, erin, address):
    answer = sign_in(erin).get(f"{address}?model=m2", headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()
    whole = sign_in(erin).get(f"{address}?model=m2").content.decode()
    assert 'href="/spend/?model=m2"' in whole


@pytest.mark.parametrize("tab", TABS)
def test_queries_do_not_grow(plan, second, spend, erin, asker, today, sign_in, tab):
    spend(plan, 1, 40)
    spend(plan, 1, 2, billed="2")
    client = sign_in(erin)

    def asked():
        client.get(f"/spend/{tab}/")
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/spend/{tab}/").status_code == 200
        return len(queries)

    before = asked()
    for number in range(4):
        more = Backend.objects.create(slug=f"b{number}", name=f"B{number}", connector="push_only", provider="openai")
        RateCard.objects.create(
            backend=more, kind="rented", units=1, currency="EUR", rate_per_unit_hour=1, valid_from_on=today
        )
        OwnPrice.objects.create(
            backend=more, provider="openai", model="m", currency="EUR", input_per_million=1, output_per_million=1,
            valid_from_on=today,
        )  # fmt: skip
        for back in range(0, 90, 9):
            spend(second if number % 2 else None, 1, back, on=more, model=f"m{number}", team=f"t{number}", billed="1.5")
            spend(None, 1, back, on=more, kind=SeriesKind.IDLE)
    assert asked() <= before
    assert before <= 18


# --- What moved


def test_what_moved_adds_up_to_the_change_of_the_page(mixed, plan, spend, erin, asker, today):
    spend(plan, "12.34", 14, model="m1")
    spend(plan, "3.21", 15, model="m3")
    now, before = days(today, 9, 0), days(today, 19, 10)
    found = spend_moved(asker(erin), {**now, "before_from": before["from"], "before_to": before["to"]}).change
    assert found.now == spend_page(asker(erin), now).reading.parts.total.amount.quantize(D("0.01"))
    assert found.before == spend_page(asker(erin), before).reading.parts.total.amount.quantize(D("0.01")) == D("15.55")
    assert sum(part.amount for part in found.parts) == found.now - found.before
    parts = {part.cause: part.amount for part in found.parts}
    assert (parts["idle"], parts["cost_entries"], parts["other_charges"]) == (D("4.45"), D("100.00"), D("-2.50"))


def test_a_stronger_dollar_is_told_from_a_dearer_model(plan, spend, erin, asker, today, backend):
    from datetime import UTC, datetime

    from metrics import identity, ledger
    from metrics.ledger import PostedCell
    from metrics.models import Receipt
    from metrics.usage import FeedKind, SeriesKey

    wanted = identity.SeriesIdentity(
        SeriesKey(provider="openai", model="m1"), backend.pk, is_pushed=True, workload_id=plan.workload_id
    )
    series_id = identity.series_ids([wanted])[wanted]
    # 1.25 dollars for a euro, then 1.00: 10 USD are 8.00 EUR, then 10.00.
    for back, per_euro, amount in ((40, "1.25", "10"), (5, "1.00", "12")):
        day = today - DAY * back
        at = datetime(day.year, day.month, day.day, 0, tzinfo=UTC)
        ExchangeRate.objects.create(currency="USD", on=day, per_euro=D(per_euro))
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [
                # As pulls post them: counts and money apart, so that they stand in rows of different currencies.
                PostedCell(series_id, at, {"requests": 10, "input_tokens": 1000, "output_tokens": 0}),
                PostedCell(series_id, at, {"estimated_cost": D(amount)}, {}, "USD"),
            ],
        )
    before = days(today, 45, 36)
    found = spend_moved(
        asker(erin), {**days(today, 9, 0), "before_from": before["from"], "before_to": before["to"]}
    ).change
    parts = {part.cause: part.amount for part in found.parts if part.amount}
    assert (found.before, found.now) == (D("8.00"), D("12.00"))
    assert parts == {"exchange_rate": D("2.00"), "price": D("2.00")}


def test_a_bill_corrected_later_is_a_restatement_and_no_price(plan, spend, erin, asker, today, backend):
    from datetime import UTC, datetime

    from metrics import ledger
    from metrics.ledger import PostedCell
    from metrics.models import Receipt
    from metrics.usage import FeedKind
    from metrics.windows import Window

    spend(plan, 10, 50)
    series_id = spend(plan, 10, 20)
    day = today - DAY * 20
    at = datetime(day.year, day.month, day.day, 0, tzinfo=UTC)
    for number, billed in enumerate(("10.00", "13.00")):
        as_of = at + timedelta(days=5 + number)
        ledger.post_statement(
            receipt=Receipt(kind=FeedKind.STATEMENT, backend=backend, as_of=as_of),
            feed=ledger.feed(FeedKind.STATEMENT, backend),
            window=Window(at, at + DAY),
            cells=[PostedCell(series_id, at, {"billed_cost": D(billed)}, {}, "EUR")],
            as_of=as_of,
        )
    before = days(today, 55, 45)
    found = spend_moved(
        asker(erin), {**days(today, 25, 15), "before_from": before["from"], "before_to": before["to"]}
    ).change
    parts = {part.cause: (part.amount, part.one_off) for part in found.parts if part.amount}
    assert parts == {"restatements": (D("3.00"), D("3.00"))}


def test_the_last_month_is_compared_with_the_one_before(plan, spend, erin, asker, today):
    found = spend_moved(asker(erin), {})
    month = today.replace(day=1)
    assert found.now[1] == month
    assert found.before[1] == found.now[0]
    assert found.before[0].day == 1
    for first, last in (("soon", "2026-01-01"), ("2026-01-01", "9999-12-31")):
        wrong = spend_moved(asker(erin), {"before_from": first, "before_to": last})
        assert "to compare with" in wrong.tab.view.filters.problems[0].message


# --- Reconcile


def test_a_row_for_each_backend_and_month_with_its_gap(plan, spend, erin, asker, today):
    other = Backend.objects.create(slug="api-2", name="API 2", connector="push_only", provider="other")
    spend(plan, "10.00", 1, billed="9.00")
    spend(plan, "4.00", 2, model="m2")
    spend(None, None, 1, kind=SeriesKind.OTHER_CHARGES, billed="-1.50", charge="Credit")
    spend(plan, "7.00", 1, on=other)
    found = spend_reconcile(asker(erin), days(today, 5, 0))
    by_name = {}
    for row in texts(found.tables[0]):
        by_name.setdefault(row[0], []).append(row[1:])
    first = by_name["API 1"]
    if len(first) == 1:
        assert first[0] == ["7.50", "−1.50", "10.00", "−1.00", "4.00", "none imported"]
    assert by_name["API 2"][0] == ["no statement", "–", "–", "–", "7.00", "none imported"]
    assert list(found.tables[0].foot[1:6]) == ["7.50", "−1.50", "10.00", "−1.00", "11.00"]
    assert "1.00" in found.sentence
    assert "less was billed" in found.sentence


def test_bills_are_for_those_who_see_the_whole(plan, spend, alice, asker, today):
    spend(plan, "10.00", 1, billed="9.00")
    found = spend_reconcile(asker(alice), {})
    assert texts(found.tables[0])[0][-1] == "–"
    assert "bills are shown to those" in found.rest


# --- Unallocated


def test_what_is_unallocated_leads_to_a_rule(plan, spend, adam, erin, asker):
    spend(plan, 9)
    spend(None, 5, team="contact centre", model="m1")
    spend(None, 8, model="m2")
    spend(None, 2, kind=SeriesKind.IDLE)
    spend(None, None, model="nobody-knows")
    table = spend_unallocated(asker(adam), {}).tables[0]
    assert [row[2] for row in texts(table)] == ["8.00", "5.00", "2.00", "–"]
    assert table.foot[2] == "15.00"
    queries = [parse_qs(urlsplit(row[-1].url).query) for row in table.rows]
    assert queries[1] == {"backend": ["api-1"], "label": ["team"], "value": ["contact centre"]}
    assert queries[0] == {"backend": ["api-1"], "model": ["m2"]}
    assert table.rows[0][-1].text == "Make a rule"
    # Who may not allocate is led to the series.
    assert spend_unallocated(asker(erin), {}).tables[0].rows[0][-1].text == "See the series"


def test_all_allocated_is_said(plan, spend, adam, asker):
    spend(plan, 9)
    table = spend_unallocated(asker(adam), {}).tables[0]
    assert (table.rows, table.empty_is_good) == ([], True)


# --- Idle


def test_idle_capacity_with_its_cost_and_utilisation(plan, spend, erin, asker, today):
    gpu = Backend.objects.create(slug="gpu-1", name="GPU 1", connector="push_only", provider="vllm")
    spend(plan, "6.00", 1, on=gpu, sums={"gpu_busy_seconds": D(1800), "gpu_held_seconds": D(1800)})
    spend(None, "18.00", 1, on=gpu, kind=SeriesKind.IDLE, sums={"gpu_busy_seconds": D(0), "gpu_held_seconds": D(5400)})
    spend(plan, "3.00", 1)
    found = spend_idle(asker(erin), {})
    assert texts(found.tables[0]) == [["GPU 1", "18.00", "75%", "6.00", "1.5", "25%", "18.00"]]
    assert "18.00" in found.sentence
    assert "75%" in found.sentence


# --- Prices and rates


def test_prices_in_force_name_their_source(plan, spend, erin, asker, today):
    openai = Backend.objects.create(slug="oa", name="OpenAI", connector="push_only", provider="openai")
    spend(plan, 1, on=openai, model="gpt-4.1")
    spend(plan, 1, on=openai, model="in-house")
    spend(plan, 1, on=openai, model="nobody-knows")
    OwnPrice.objects.create(
        backend=openai, provider="openai", model="in-house", currency="EUR", input_per_million=D("0.5"),
        output_per_million=D("1.5"), valid_from_on=today - DAY,
    )  # fmt: skip
    from metrics.pricing import forget_prices

    forget_prices()
    ExchangeRate.objects.create(currency="USD", on=today, per_euro=D("1.25"))
    tables = {table.id: texts(table) for table in spend_prices(asker(erin), {}).tables}
    rows = {row[0]: row for row in tables["in-force"]}
    assert rows["gpt-4.1"][-1].startswith("genai-prices")
    assert rows["gpt-4.1"][6] == "USD"
    assert (rows["in-house"][2], rows["in-house"][5]) == ("0.50", "1.50")
    assert rows["in-house"][-1].startswith("own price openai in-house from")
    assert rows["nobody-knows"][-1] == "Not priced"
    assert tables["own"][0][0] == "in-house"
    assert tables["rates"] == [["USD", "1.25", f"{today.day}\u00a0{today:%b}\u00a0{today.year}", "ECB"]]
    forget_prices()


# --- Anomalies


def test_a_day_of_three_times_the_requests_is_found_with_its_driver(plan, spend, erin, asker, today):
    for back in range(2, 30):
        spend(plan, 10, back, sums={"requests": 1000})
    spend(plan, 30, 1, sums={"requests": 3000})
    spend(plan, 500, 0, sums={"requests": 9})
    found = spend_anomalies(asker(erin), {})
    rows = texts(found.tables[0])
    # Today is not over, so that it is not judged.
    assert len(rows) == 1
    assert rows[0][2:6] == ["Spend up", "30.00", "10.00", "7.50 to 12.50"]
    assert "requests 3.0 times the usual" in rows[0][-1]
    assert "1.4826" in found.method[0]


def test_a_dearer_request_is_found_though_spend_is_usual(plan, spend, erin, asker, today):
    for back in range(2, 30):
        spend(plan, 10, back, sums={"requests": 1000})
    spend(plan, 10, 1, sums={"requests": 400})
    rows = texts(spend_anomalies(asker(erin), {}).tables[0])
    assert [row[2] for row in rows] == ["Per 1,000 requests up"]
    assert rows[0][3:5] == ["25.00", "10.00"]


def test_an_imported_bill_stands_beside_what_was_billed(plan, spend, erin, adam, asker, today):
    from datetime import UTC, datetime

    from metrics.actions.imports import Choices
    from tests.metrics.billing_files import bring, csv_of, focus_row

    openai = Backend.objects.create(slug="oa", name="OpenAI", connector="push_only", provider="openai")
    other = Backend.objects.create(slug="quiet", name="Quiet", connector="push_only", provider="openai")
    day = today - DAY * 2
    spend(plan, "10.00", 2, on=openai, model="gpt-4o")
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    data = csv_of([focus_row(day=at, BilledCost="12.50", EffectiveCost="12.50", BillingCurrency="EUR")])
    bring(adam, data, choices=Choices(pays_for=[openai]))
    other_data = csv_of(
        [focus_row(day=at, BilledCost="3.00", BillingCurrency="EUR", BillingAccountId="org-2", SkuId="x")]
    )
    bring(adam, other_data, name="second.csv", source_name="Second", choices=Choices(pays_for=[other]))
    rows = {row[0].text: row for row in spend_reconcile(asker(erin), {}).tables[0].rows}
    assert [cell.text for cell in rows["OpenAI"][1:5]] == ["12.50", "–", "10.00", "+2.50"]
    assert rows["OpenAI"][-1].text == "12.50\u00a0EUR"
    assert "bill.csv" in rows["OpenAI"][-1].note
    assert rows["quiet"][-1].text == "3.00\u00a0EUR"
