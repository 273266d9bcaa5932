"""The news of a report: the subject of its mail, out of the frozen payload, in each language."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from roadmap.reports.documents.v2.news import news_of

DECISIONS = {"items": [{"say": "x"}, {"say": "y"}]}
HELD = {
    "key": "to_date", "value": "412000", "plan": "400000", "plan_coverage": "1", "spend_with_plan": "412000"
}  # fmt: skip


def payload(scope: str, headline: dict[str, Any], *, decisions: Any = DECISIONS, revision: int = 1, **sections: Any):
    values = {"headline": headline, "decisions": decisions, **sections}
    return {
        "scope": scope,
        "month": "2026-10-01",
        "currency": "EUR",
        "revision": revision,
        "sections": [{"name": name, "value": value} for name, value in values.items()],
    }


def portfolio(held: dict[str, Any] | None = None, *, plan: str | None = "500000", **counts: int) -> dict[str, Any]:
    told = {"off_track": 1, "at_risk": 3, "on_track": 8, "roadmaps": 12} | counts
    return {**told, "figures": [{"key": "month", "value": "1"}, HELD | (held or {})], "plan_of_year": plan}


def roadmap(status: str = "off_track", spend: str | None = "29466.35") -> dict[str, Any]:
    return {"status": status, "figures": [{"key": "spend", "value": spend}]}


def course(budget: str | None) -> dict[str, Any]:
    return {"unit": "EUR", "budget": budget, "points": [{"spent": "0"}, {"spent": "207928.5"}]}


@pytest.fixture
def dutch():
    with translation.override("nl"):
        yield


def said(made: dict[str, Any], title: str = "Letters, October 2026") -> str:
    return " ".join(news_of(made, title).split())


def test_the_portfolio():
    assert said(payload("portfolio", portfolio())) == (
        "AI report October 2026: 412 k of 500 k EUR, 1 of 12 off track, 2 decisions"
    )


@pytest.mark.usefixtures("dutch")
def test_the_portfolio_in_dutch():
    made = payload("portfolio", portfolio({"value": "412400"}), decisions={"items": [{}]}, revision=2)
    assert said(made) == (
        "AI-rapport oktober 2026 (revisie 2): 412,4 k van 500 k EUR, 1 van 12 niet op schema, 1 besluit"
    )


@pytest.mark.parametrize(
    ("headline", "news"),
    [
        (portfolio(plan=None), "412 k EUR, 1 of 12 off track"),
        (portfolio(plan="0"), "412 k EUR, 1 of 12 off track"),
        (portfolio({"plan_coverage": "0.75", "spend_with_plan": "309000"}), "412 k EUR (309 k of 500 k EUR planned), "
         "1 of 12 off track"),
        (portfolio({"value": None, "plan_coverage": None, "spend_with_plan": None}), "1 of 12 off track"),
        (portfolio({"value": "0", "plan_coverage": None}, off_track=0), "0 of 500 k EUR, 3 of 12 at risk"),
        (portfolio(off_track=0, at_risk=0, on_track=0), "412 k of 500 k EUR, no update"),
    ],
    ids=["no-plan", "plan-of-nothing", "part-planned", "unknown", "nothing-spent", "no-update"],
)  # fmt: skip
def test_what_is_not_known_or_planned_of_a_portfolio(headline, news):
    assert said(payload("portfolio", headline, decisions={"items": []})) == f"AI report October 2026: {news}"


def test_a_programme_has_its_name():
    made = payload("programme", portfolio(), decisions={"items": []})
    assert said(made, "Factory, October 2026").startswith(
        "AI report Factory, October 2026: 412 k of 500 k EUR, 1 of 12"
    )


@pytest.mark.parametrize(
    ("headline", "sections", "news"),
    [
        (roadmap(), {"course": course("248000")}, "207.9 k of 248 k EUR, off track, 2 decisions"),
        (roadmap(), {"course": course(None)}, "29.5 k EUR, off track, 2 decisions"),
        (roadmap("", "0.0031"), {}, "0.0031 EUR, no update, 2 decisions"),
        (roadmap(spend=None), {}, "off track, 2 decisions"),
    ],
    ids=["budget", "no-budget", "no-course", "no-spend"],
)
def test_a_roadmap(headline, sections, news):
    made = payload("roadmap", headline, revision=1, **sections)
    assert said(made) == f"AI report Letters, October 2026: {news}"


@pytest.mark.usefixtures("dutch")
def test_a_roadmap_in_dutch():
    made = payload("roadmap", roadmap(), course=course("248000"), revision=3)
    assert said(made, "Letters, oktober 2026") == (
        "AI-rapport Letters, oktober 2026 (revisie 3): 207,9 k van 248 k EUR, niet op schema, 2 besluiten"
    )
