"""The document of a portfolio's or programme's month: made of the roadmaps' own documents, and of the ledger's year.

What a roadmap's document says is taken from it, so that the two cannot differ; the fiscal year, the plan and what no
roadmap's document holds are from the ledger at the same moment. Codes and parameters, no sentence of ours. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from roadmap.reports.section import Json, text_of
from roadmap.reports.sections.steering import OPEN
from roadmap.rules.fiscal_year import Held, Outlook, Share, Spent, YearFacts, held_against

SCHEMA_VERSION = 2
MOST_MOVERS = 3
# The key of what people entered, among the providers.
BY_HAND = "by_hand"
_ZERO = Decimal(0)
_CENT = Decimal("0.01")


def portfolio_payload(
    documents: Sequence[Json],
    *,
    year: YearFacts,
    month: date,
    dated_on: date,
    revision: int,
    zone: str,
    currency: str,
    is_demo: bool,
    programme: str = "",
    missing: Sequence[str] = (),
    moved: Sequence[Json] = (),
) -> Json:
    """`documents`: the roadmaps' payloads of the month, in the order of the table; `year`: as of the month's end.

    With `programme` (its name) it is the programme's. `missing`: the names of roadmaps that have no report of this
    month though they should. Amounts are decimal text in `currency`; unknown is null.
    """
    held, parts = _month(documents, year)
    sections = {
        "headline": _headline(documents, year, held),
        "year": _year(year),
        "providers": {"rows": _providers(year)},
        "roadmap_spend": {"rows": parts},
        "movers": _movers(documents),
        "decisions": {"items": _decisions(documents)},
        "roadmaps": {"rows": [_row(document) for document in documents]},
        "notes": _notes(documents, year, held, month, missing),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": "programme" if programme else "portfolio",
        "month": month.isoformat(),
        "dated_on": dated_on.isoformat(),
        "revision": revision,
        "zone": zone,
        "currency": currency,
        "is_demo": is_demo,
        **({"programme": {"name": programme}} if programme else {}),
        "sections": [{"name": name, "value": value} for name, value in sections.items() if value is not None],
        "moved": list(moved),
    }


def value_of(payload: Json, name: str) -> Json | None:
    """A section's value, None where the section was left out."""
    return next((section["value"] for section in payload["sections"] if section["name"] == name), None)


# --- Money


def _spent_of(money: Json) -> Spent:
    def number(name: str) -> Decimal | None:
        return None if money.get(name) is None else Decimal(money[name])

    entered = number("entered")
    return Spent(
        billed=number("billed"),
        estimated=number("estimated"),
        # A month in which nothing is known at all has no entries either.
        entered=entered if entered or money.get("total") is not None else None,
        not_priced_requests=number("not_priced_requests") or _ZERO,
        not_priced_tokens=number("not_priced_tokens") or _ZERO,
    )


def _month(documents: Sequence[Json], year: YearFacts) -> tuple[Held, list[Json]]:
    """The month's spend: of each roadmap as its document says, of what has none as the ledger does."""
    own = {document["roadmap"]["slug"]: document for document in documents}
    lines = {line.slug: line for line in year.by_roadmap if line.slug}
    spents: dict[int | None, Spent] = {}
    plans: dict[int | None, Decimal | None] = {}
    rows: list[Json] = []
    for number, (slug, document) in enumerate(own.items()):
        money = value_of(document, "money") or {}
        line = lines.get(slug)
        spents[number] = _spent_of(money)
        plans[number] = line.month.plan if line else None
        rows.append(
            {
                "slug": slug,
                "name": document["roadmap"]["name"],
                "kind": "roadmap",
                "spend": text_of(spents[number].total),
                "before": money.get("total_before"),
                "to_date": text_of(line.to_date.spent.total) if line else None,
                "plan_to_date": text_of(line.to_date.plan) if line else None,
                **_share(line.to_date.share if line else Share()),
                "plan_of_year": text_of(line.plan_of_year) if line else None,
            }
        )
    others = [line for line in year.by_roadmap if line.slug not in own or not line.slug]
    for number, line in enumerate(others, start=len(own)):
        spents[number] = line.month.spent
        plans[number] = line.month.plan
        rows.append(
            {
                "slug": line.slug,
                "name": line.name,
                "kind": "unallocated" if line.is_unallocated else "other",
                "spend": text_of(line.month.spent.total),
                "before": None,
                "to_date": text_of(line.to_date.spent.total),
                "plan_to_date": text_of(line.to_date.plan),
                **_share(line.to_date.share),
                "plan_of_year": text_of(line.plan_of_year),
            }
        )
    rows.sort(key=lambda row: (row["kind"] == "unallocated", -Decimal(row["spend"] or 0), row["name"].lower()))
    return held_against(spents, plans), rows


def _headline(documents: Sequence[Json], year: YearFacts, held: Held) -> Json:
    """How many stand how, and spend of the month, year to date and forecast, each against its plan."""
    statuses = [(value_of(document, "headline") or {}).get("status") or "" for document in documents]
    counts = {code: statuses.count(code) for code in ("on_track", "at_risk", "off_track")}
    outlook = year.outlook
    return {
        "roadmaps": len(documents),
        **counts,
        "no_update": len(statuses) - sum(counts.values()),
        "until": year.until.isoformat(),
        "figures": [
            {"key": "month", **_held(held)},
            {"key": "to_date", **_held(year.to_date)},
            *([] if outlook is None else [{"key": "forecast", **_forecast(outlook, year.plan_of_year)}]),
        ],
        "year": year.year.name,
        "year_start_on": year.year.start_on.isoformat(),
        "year_end_on": year.year.end_on.isoformat(),
        "plan_of_year": text_of(year.plan_of_year),
    }


def _forecast(outlook: Outlook, plan: Decimal | None) -> Json:
    return {
        "value": text_of(outlook.total),
        "low": text_of(outlook.low),
        "high": text_of(outlook.high),
        "days_used": outlook.days_used,
        "plan": text_of(plan),
        **_share(outlook.share),
    }


def _held(held: Held) -> Json:
    spent = held.spent
    return {
        "value": text_of(spent.total),
        "billed": text_of(spent.billed),
        "estimated": text_of(spent.estimated),
        "entered": text_of(spent.entered),
        "not_priced_requests": text_of(spent.not_priced_requests),
        "not_priced_tokens": text_of(spent.not_priced_tokens),
        "plan": text_of(held.plan),
        **_share(held.share),
    }


def _share(share: Share) -> Json:
    """The share of plan, how much of the spend has a plan, and how much that is."""
    return {
        "share_of_plan": text_of(share.value),
        "plan_coverage": text_of(share.coverage),
        "spend_with_plan": text_of(share.spent),
    }


def _year(year: YearFacts) -> Json:
    return {
        "rows": [
            {
                "key": line.month.strftime("%Y-%m"),
                "month": line.month.isoformat(),
                "spend": text_of(line.held.spent.total),
                "plan": text_of(line.held.plan),
                **_share(line.held.share),
                "forecast": text_of(line.forecast),
            }
            for line in year.months
        ]
    }


def _providers(year: YearFacts) -> list[Json]:
    return [
        {
            "key": line.provider or BY_HAND,
            "provider": line.provider,
            "spend": text_of(line.month),
            "to_date": text_of(line.to_date),
        }
        for line in year.by_provider
    ]


# --- What moved, decisions, rows


def _movers(documents: Sequence[Json]) -> Json | None:
    """The three largest parts of any roadmap's change; each document holds its own three largest."""
    found = []
    totals = {"before": _ZERO, "value": _ZERO, "amount": _ZERO}
    for document in documents:
        value = value_of(document, "movers")
        if value is None:
            continue
        for name in totals:
            totals[name] += Decimal(value[name])
        found += [
            {
                "key": f"{document['roadmap']['slug']}:{row['cause']}",
                "slug": document["roadmap"]["slug"],
                "name": document["roadmap"]["name"],
                "cause": row["cause"],
                "amount": row["amount"],
                "one_off": row["one_off"],
                "continuing": row["continuing"],
                "drivers": row["drivers"],
                "next_action": row.get("next_action"),
            }
            for row in value["rows"]
        ]
    if not found:
        return None
    found.sort(key=lambda row: (-abs(Decimal(row["amount"])), row["key"]))
    shown = found[:MOST_MOVERS]
    rest = totals["amount"] - sum((Decimal(row["amount"]) for row in shown), _ZERO)
    return {**{name: text_of(amount) for name, amount in totals.items()}, "rows": shown, "rest": text_of(rest)}


def _decisions(documents: Sequence[Json]) -> list[Json]:
    """Each roadmap's decisions with who owns it; sentences of an earlier schema are in no other language, and left."""
    return [
        {
            "key": f"{document['roadmap']['slug']}:{item['say']}:{item.get('phase', '')}",
            "slug": document["roadmap"]["slug"],
            "name": document["roadmap"]["name"],
            "owner": document["roadmap"]["owner"],
            "decision": item,
        }
        for document in documents
        for item in (value_of(document, "decisions") or {"items": []})["items"]
        if isinstance(item, Mapping)
    ]


def _row(document: Json) -> Json:
    headline = value_of(document, "headline") or {}
    money, course = value_of(document, "money") or {}, value_of(document, "course")
    figures = {figure["key"]: figure for figure in headline.get("figures", []) if "key" in figure}
    gates = [gate for gate in (value_of(document, "delivery") or {"gates": []})["gates"] if gate["outcome"] in OPEN]
    phase = document["phase"] or {}
    return {
        "slug": document["roadmap"]["slug"],
        "name": document["roadmap"]["name"],
        "owner": document["roadmap"]["owner"],
        "programme": document["roadmap"]["programme"],
        "phase": phase.get("kind", ""),
        "status": headline.get("status") or "",
        "status_before": headline.get("status_before") or "",
        "spend": money.get("total"),
        "phase_spent": course["points"][-1]["spent"] if course else None,
        "budget": course["budget"] if course else _noted_budget(figures.get("forecast")),
        "forecast": _figure(figures.get("forecast")),
        "value": _figure(figures.get("value")),
        "unit_cost": _figure(figures.get("unit_cost")),
        "next_gate": gates[0] if gates and "say" not in gates[0] else None,
        "revision": document["revision"],
    }


def _noted_budget(forecast: Json | None) -> str | None:
    """The budget that stands under the forecast, of a phase in which nothing was spent yet."""
    notes = forecast["notes"] if forecast else []
    return next((note["budget"] for note in notes if isinstance(note, Mapping) and "budget" in note), None)


def _figure(figure: Json | None) -> Json | None:
    if figure is None:
        return None
    return {
        name: figure[name]
        for name in ("value", "unit", "kind", "measure", "name", "missing", "coverage", "low", "high")
    }


def _notes(documents: Sequence[Json], year: YearFacts, held: Held, month: date, missing: Sequence[str]) -> Json:
    """What a reader has to know about the figures; codes and amounts, each list empty where there is nothing."""
    restated = [
        {"key": one.month.strftime("%Y-%m"), "month": one.month.isoformat(), "published": text_of(one.published),
         "now": text_of(one.now)}
        for one in year.restated
    ]  # fmt: skip
    ledger, told = year.this_month.spent.total or _ZERO, held.spent.total or _ZERO
    if ledger.quantize(_CENT) != told.quantize(_CENT):
        restated.append(
            {
                "key": month.strftime("%Y-%m"),
                "month": month.isoformat(),
                "published": text_of(told),
                "now": text_of(ledger),
            }
        )
    return {
        "missing": list(missing),
        "without_plan": list(year.without_plan),
        "partial": [
            document["roadmap"]["name"]
            for document in documents
            if ((value_of(document, "money") or {}).get("freshness") or {}).get("state") == "partial"
        ],
        "earlier_schema": [
            document["roadmap"]["name"] for document in documents if document["schema_version"] < SCHEMA_VERSION
        ],
        "restated": restated,
        "no_rate": sorted(year.no_rate),
        "stale_rates": [{"currency": name, "on": on.isoformat()} for name, on in sorted(year.stale_rates.items())],
        "not_priced_requests": text_of(year.to_date.spent.not_priced_requests),
        "not_priced_tokens": text_of(year.to_date.spent.not_priced_tokens),
        "revisions": [
            {"name": document["roadmap"]["name"], "revision": document["revision"]}
            for document in documents
            if document["revision"] > 1
        ],
    }
