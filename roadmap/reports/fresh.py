"""The payload that a report would have now: of a draft that is opened, of one that is published, of a revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from metrics.windows import Window
from roadmap.models import Report, ReportWords, Roadmap
from roadmap.queries.fiscal_year import year_of_portfolio
from roadmap.queries.month import month_facts
from roadmap.queries.report_parts import parts_of, published_before
from roadmap.reports.portfolio import portfolio_payload
from roadmap.reports.section import Json
from roadmap.reports.snapshot import roadmap_payload
from roadmap.rules.report_life import Source, gaps_of
from roadmap.rules.reports import next_month


@dataclass(frozen=True, slots=True)
class Fresh:
    """A payload, what keeps its figures from being complete, and the roadmaps that it names."""

    payload: Json
    gaps: list[dict[str, str | None]]
    covers: Sequence[Roadmap]


def fresh(report: Report, *, dated_on: date, words: ReportWords | None = None, is_final: bool = False) -> Fresh:
    """What the report says now. Of a programme or the portfolio: what the reports of its roadmaps say.

    `is_final`: only published ones are taken, and the others named as missing; else drafts are taken for those.
    """
    if report.roadmap is not None:
        return _of_roadmap(report, report.roadmap, dated_on=dated_on, words=words)
    return _of_many(report, dated_on=dated_on, is_final=is_final)


def words_json(words: ReportWords | None) -> Json | None:
    """The words as a payload holds them."""
    if words is None or not (words.text or words.next_actions):
        return None
    changed_on = words.changed_at.astimezone(settings.REPORTING_ZONE).date() if words.changed_at else None
    return {
        "author": words.changed_by_name,
        "on": changed_on.isoformat() if changed_on else None,
        "text": words.text,
        "next_actions": dict(words.next_actions),
    }


def _of_roadmap(report: Report, roadmap: Roadmap, *, dated_on: date, words: ReportWords | None) -> Fresh:
    facts = month_facts(roadmap, report.month)
    earlier = published_before(report)
    payload = roadmap_payload(
        facts,
        dated_on=dated_on,
        revision=report.revision,
        before=earlier.payload if earlier else None,
        words=words_json(words),
    )
    ends_at = Window.of_days(report.month, next_month(report.month), settings.REPORTING_ZONE).end
    # A push tells nothing of what was not pushed: only what is read has an end.
    read = [Source(one.name, one.data_until) for one in facts.freshness if one.reports is not None]
    return Fresh(payload, gaps_of(read, ends_at, settings.REPORTING_ZONE), [roadmap])


def _of_many(report: Report, *, dated_on: date, is_final: bool) -> Fresh:
    parts = parts_of(report)
    known = [part for part in parts if part.is_published or (part.payload and not is_final)]
    # Named in the report: who reads the total must know what is not in it.
    missing = [part.roadmap for part in parts if part.roadmap is not None and part not in known]
    payload = portfolio_payload(
        [part.payload for part in known],
        year=year_of_portfolio(report.month, is_demo=report.is_demo, programme=report.programme),
        month=report.month,
        dated_on=dated_on,
        revision=report.revision,
        zone=settings.TIME_ZONE,
        currency=settings.REPORTING_CURRENCY,
        is_demo=report.is_demo,
        programme=report.programme.name if report.programme else "",
        missing=[roadmap.name for roadmap in missing],
    )
    gaps: list[dict[str, str | None]] = [
        {"roadmap": part.roadmap.name, "until": None}
        for part in parts
        if part.roadmap is not None and part.state == Report.State.DRAFT
    ]
    return Fresh(payload, gaps, [part.roadmap for part in known if part.roadmap is not None])
