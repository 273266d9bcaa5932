"""Percentiles as a source states them, on the phase page and in its REST twin: named as the source's, never merged."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from metrics import identity, ledger
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, Receipt
from metrics.percentiles import PostedPercentile, post_percentiles
from metrics.stated import StatedLatency, StatedValue
from metrics.usage import FeedKind, SeriesKey
from metrics.windows import Window
from roadmap.charts.stated import StatedData, grain_of, name_of, stated_chart

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_remembered_ids():
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def bedrock(db) -> Backend:
    return Backend.objects.create(slug="bedrock", name="Amazon Bedrock", connector="push_only", provider="aws.bedrock")


@pytest.fixture
def state(poc, bedrock):
    """`state({hours back: value in ms}, model=..., percent=...)` for the present backend; returns the last hour."""
    last = timezone.now().replace(minute=0, second=0, microsecond=0) - HOUR

    def _state(values: dict[int, str], *, model="model-a", percent="95", measure="duration") -> datetime:
        wanted = identity.SeriesIdentity(SeriesKey(provider="aws.bedrock", model=model), bedrock.pk)
        series_id = identity.series_ids([wanted])[wanted]
        Allocation.objects.get_or_create(
            series_id=series_id,
            workload=poc.roadmap.workload,
            defaults={"share_ratio": D(1), "valid_from_on": date(2026, 1, 1)},
        )
        ledger.post(
            Receipt(kind=FeedKind.USAGE, backend=bedrock),
            ledger.feed(FeedKind.USAGE, bedrock),
            [PostedCell(series_id, last, {"requests": 1})],
        )
        rows = [
            PostedPercentile(series_id, last - back * HOUR, last - (back - 1) * HOUR, measure, D(percent), D(value))
            for back, value in values.items()
        ]
        post_percentiles(
            receipt=Receipt(kind=FeedKind.USAGE, backend=bedrock),
            feed=ledger.feed(FeedKind.PERCENTILE, bedrock),
            # Each call a window of its own, so that one does not withdraw the other's.
            window=Window(min(row.start for row in rows), max(row.end for row in rows)),
            stated=rows,
            as_of=timezone.now(),
        )
        return last

    return _state


def test_the_page_shows_them_as_the_sources_own(alice, poc, state, sign_in):
    state({0: "1250", 30: "4100"})
    text = sign_in(alice).get(poc.get_absolute_url()).content.decode()
    assert "p95 as stated by Amazon Bedrock" in text
    assert "Percentiles as the sources state them" in text
    assert "1.25\u00a0s" in text
    assert "p95 4.10\u00a0s" in text
    assert "never merged or averaged" in text


def test_the_api_has_each_value_with_its_period(alice, poc, state, api):
    last = state({0: "1250", 1: "900"})
    document = api(alice, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard?from={last.date() - DAY}").json()
    (found,) = document["stated_percentiles"]
    assert (found["stated_by"], found["backend"], found["model"]) == ("Amazon Bedrock", "bedrock", "model-a")
    assert (found["measure"], found["percent"], found["periods"]) == ("duration", "95", 2)
    assert found["latest"] == {
        "start": last.isoformat().replace("+00:00", "Z"),
        "end": (last + HOUR).isoformat().replace("+00:00", "Z"),
        "value_ms": "1250",
        "count": None,
    }
    assert [value["value_ms"] for value in found["values"]] == ["900", "1250"]
    assert {item["value"] for item in document["figures"] if item["name"] == "duration_p95"} == {None}


def test_the_filters_narrow_them(alice, poc, state, api):
    state({0: "1250"}, model="model-a")
    state({2: "900"}, model="model-b")
    client = api(alice, scopes=["read"])

    def models(query: str) -> list[str]:
        answer = client.get(f"/api/v1/phases/{poc.pk}/dashboard{query}")
        return [one["model"] for one in answer.json()["stated_percentiles"]]

    assert models("") == ["model-a", "model-b"]
    assert models("?model=model-b") == ["model-b"]
    assert models("?backend=bedrock") == ["model-a", "model-b"]


def test_nobody_else_sees_them(oscar, poc, state, api, sign_in):
    state({0: "1250"})
    assert api(oscar, scopes=["read"]).get(f"/api/v1/phases/{poc.pk}/dashboard").status_code == 404
    assert sign_in(oscar).get(poc.get_absolute_url()).status_code == 404


def test_they_cost_one_query_where_there_are_any_and_none_elsewhere(alice, poc, bedrock, state, sign_in):
    client = sign_in(alice)

    def queries() -> int:
        client.get(poc.get_absolute_url())
        with CaptureQueriesContext(connection) as found:
            client.get(poc.get_absolute_url())
        return sum("statedpercentile" in query["sql"] for query in found)

    assert queries() == 0
    state({0: "1250"})
    assert queries() == 1
    for number in range(8):
        state({number * 2 + 2: "900"}, model=f"m{number}")
    assert queries() == 1


# --- The drawing


def one(*values: tuple[datetime, str], percent="95", measure="duration", **more) -> StatedLatency:
    held = [(start.date(), StatedValue(start, start + HOUR, D(value), None)) for start, value in values]
    fields = {
        "series_id": 1,
        "backend_name": "Amazon Bedrock",
        "backend_slug": "bedrock",
        "model": "model-a",
        "operation": "chat",
        "service_tier": "standard",
        "labels": {},
    }
    return StatedLatency(
        **{**fields, **more},
        measure=measure,
        percent=D(percent),
        latest=held[-1][1],
        worst=max((value for _, value in held), key=lambda value: value.value_ms),
        periods=len(held),
        values=held,
    )


def chart(*stated: StatedLatency, days: int = 3):
    start_on = NOON.date() - DAY * (days - 1)
    return stated_chart(
        StatedData(start_on, NOON.date() + DAY, grain_of(start_on, NOON.date() + DAY), UTC, list(stated))
    )


def drawn(found) -> list[list[float]]:
    return [
        [value["v"] for value in layer["data"]["values"]]
        for layer in found.spec["layer"]
        if layer["mark"]["type"] == "line"
    ]


def test_without_any_there_is_no_chart():
    assert chart() is None


def test_each_point_is_one_that_was_stated():
    found = chart(one((NOON - HOUR, "1200"), (NOON, "3000")))
    assert drawn(found) == [[1.2, 3.0]]
    assert found.subtitle == "Duration in seconds, each point as stated; never merged or averaged"
    json.dumps(found.spec)


def test_over_weeks_it_says_that_a_point_is_the_worst_hour():
    found = chart(one((NOON - DAY, "1200"), (NOON, "300")), days=60)
    assert "each point the worst hour of the day, as stated" in found.subtitle


def test_the_table_has_the_latest_of_every_percentile_and_the_worst_with_its_hour():
    found = chart(
        one((NOON - HOUR, "4000"), (NOON, "1200")),
        one((NOON, "500"), percent="50"),
        one((NOON - HOUR, "9000"), percent="99"),
        one((NOON, "200"), measure="time_to_first_token"),
    )
    rows = [[cell.replace("\u00a0", " ") for cell in row] for row in found.table.rows]
    assert [head.label for head in found.table.heads][4:7] == ["p50", "p95", "p99"]
    # p99 was not stated of the latest hour, so it is a dash there and not an older value.
    assert rows[0][2:] == [
        "Duration",
        "20 Nov 2026, 12:00",
        "500 ms",
        "1.20 s",
        "–",
        "p95 4.00 s, 20 Nov 2026, 11:00",
        "2",
    ]
    assert rows[1][2] == "Time to first token"


def test_of_many_series_the_worst_are_drawn_and_all_are_in_the_table():
    many = [one((NOON, str(100 * n)), series_id=n, model=f"m{n}") for n in range(1, 10)]
    found = chart(*many)
    assert [line[-1] for line in drawn(found)] == [900, 800, 700, 600, 500, 400]
    assert [(mark.letter, mark.text) for mark in found.marks][:2] == [("A", "m9"), ("B", "m8")]
    assert len(found.table.rows) == 9


def test_several_sources_are_not_given_one_name():
    found = chart(one((NOON, "100")), one((NOON, "200"), series_id=2, backend_name="Langfuse"))
    assert found.title == "p95 as stated by the sources"
    assert {row[1] for row in found.table.rows} == {"Amazon Bedrock", "Langfuse"}


def test_without_p95_the_highest_there_is_is_drawn_under_its_own_name():
    assert chart(one((NOON, "100"), percent="90"), one((NOON, "50"), percent="50")).title.startswith("p90 as stated")


def test_a_series_is_named_by_what_tells_it_apart():
    found = one((NOON, "1"), labels={"region": "eu-west-1"}, service_tier="flex", operation="embeddings")
    assert name_of(found) == "model-a, embeddings, flex, eu-west-1"
