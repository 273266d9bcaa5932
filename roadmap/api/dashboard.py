"""`GET /api/v1/phases/<id>/dashboard` and `GET /api/v1/portfolio`: every figure of the pages, with what it rests on.

Amounts and figures are decimal strings; null is unknown, and `reason` then says why. Windows are half-open local days.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from metrics.figures import SourceFreshness
from roadmap.api.stated import StatedPercentileSerializer, stated_percentile
from roadmap.kpi import KpiValue
from roadmap.models import Kpi, Phase
from roadmap.queries.dashboard_filters import parse_filters
from roadmap.queries.phase_dashboard import PhaseDashboard, phase_dashboard
from roadmap.queries.phase_money import PhaseMoney
from roadmap.queries.phase_tiles import Figure
from roadmap.queries.portfolio import Portfolio, parse_portfolio_filters, portfolio
from web.pieces import Chart

DAY = timedelta(days=1)


class WindowSerializer(serializers.Serializer[Any]):
    """Local days of the reporting zone, the end excluded."""

    start_on = serializers.DateField()
    end_before = serializers.DateField()


class FigureSerializer(serializers.Serializer[Any]):
    """One figure. `low` and `high` are set where only an interval is known; `value` is then its upper end."""

    name = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    direction = serializers.ChoiceField(["higher", "lower"])
    value = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    low = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    high = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    before = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    change = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    baseline = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True, required=False)
    target = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    window = WindowSerializer(allow_null=True)
    basis = serializers.CharField(allow_blank=True)
    coverage = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    coverage_of = serializers.CharField(allow_blank=True)
    sample = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    status = serializers.CharField(required=False)


class FreshnessSerializer(serializers.Serializer[Any]):
    """How far a source's data goes."""

    backend = serializers.CharField()
    name = serializers.CharField()
    measured_at = serializers.CharField()
    data_until = serializers.DateTimeField(allow_null=True)
    last_push_at = serializers.DateTimeField(allow_null=True)
    is_latency_behind = serializers.BooleanField(help_text="Percentiles lack its last large pushes for some seconds.")
    problem = serializers.CharField(allow_blank=True)


class ForecastSerializer(serializers.Serializer[Any]):
    """Where the money goes; `total` null: too little data, `low` null: no band yet."""

    end_on = serializers.DateField()
    run_rate_per_day = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    days_used = serializers.ListField(child=serializers.DateField())
    total = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    low = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    high = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    with_growth = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    budget_passed_on = serializers.DateField(allow_null=True)


class MoneySerializer(serializers.Serializer[Any]):
    """The phase's money to date, in the reporting currency."""

    currency = serializers.CharField()
    window = WindowSerializer()
    spent = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    billed = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    estimated = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    entered_by_hand = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    budget = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    no_rate = serializers.ListField(child=serializers.CharField())
    forecast = ForecastSerializer(allow_null=True)


class ChartSerializer(serializers.Serializer[Any]):
    """A chart's table, in the words of the page."""

    id = serializers.CharField()
    title = serializers.CharField()
    subtitle = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class DashboardSerializer(serializers.Serializer[Any]):
    """A phase's dashboard."""

    roadmap = serializers.CharField()
    phase = serializers.CharField()
    state = serializers.CharField()
    is_demo = serializers.BooleanField()
    zone = serializers.CharField()
    computed_at = serializers.DateTimeField()
    window = WindowSerializer(allow_null=True)
    sentence = serializers.CharField()
    status = serializers.CharField(allow_null=True)
    figures = FigureSerializer(many=True)
    kpis = FigureSerializer(many=True)
    money = MoneySerializer(allow_null=True)
    not_priced_tokens = serializers.IntegerField()
    not_priced_requests = serializers.IntegerField()
    charts = ChartSerializer(many=True)
    stated_percentiles = StatedPercentileSerializer(many=True)
    freshness = FreshnessSerializer(many=True)


class PhaseDashboardView(APIView):
    """The figures of a phase's page."""

    @extend_schema(
        tags=["dashboards"],
        summary="A phase's dashboard",
        operation_id="phase_dashboard",
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATE, description="First local day; default: the phase's first."),
            OpenApiParameter("to", OpenApiTypes.DATE, description="Last local day, included."),
            OpenApiParameter("backend", OpenApiTypes.STR, description="A backend's slug."),
            OpenApiParameter("model", OpenApiTypes.STR),
        ],
        responses=DashboardSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        try:
            dashboard = phase_dashboard(asker_of(request), phase_id=pk, filters=parse_filters(request.query_params))
        except Phase.DoesNotExist as error:
            raise NotFound from error
        if dashboard.filters.problems:
            raise ValidationError({problem.field: [problem.message] for problem in dashboard.filters.problems})
        return Response(document_of(dashboard))


class PortfolioView(APIView):
    """The figures of the portfolio page."""

    @extend_schema(
        tags=["dashboards"],
        summary="The portfolio",
        operation_id="portfolio",
        parameters=[
            OpenApiParameter(name, OpenApiTypes.STR)
            for name in ("programme", "unit", "owner", "phase", "status", "provider")
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        filters = parse_portfolio_filters(request.query_params)
        found = portfolio(asker_of(request), filters)
        if found.filters.problems:
            raise ValidationError({problem.field: [problem.message] for problem in found.filters.problems})
        return Response(portfolio_document(found))


def text_or_none(value: Decimal | None) -> str | None:
    """A decimal as text without an exponent; the same digits that the page's figure is rounded from."""
    return None if value is None else f"{value.normalize():f}"


def document_of(dashboard: PhaseDashboard) -> dict[str, Any]:
    """The dashboard as JSON has it."""
    rows = dashboard.rows
    return {
        "roadmap": rows.roadmap.slug,
        "phase": rows.phase.kind,
        "state": rows.phase.state,
        "is_demo": rows.roadmap.workload.is_demo,
        "zone": settings.REPORTING_TIME_ZONE,
        "computed_at": dashboard.now,
        "window": _window(*dashboard.window) if dashboard.window else None,
        "sentence": f"{dashboard.finding.text} {dashboard.rest}".strip(),
        "status": rows.update.status if rows.update else None,
        "figures": [_figure(figure) for figure in dashboard.figures],
        "kpis": [_kpi(kpi, dashboard.values[kpi.pk]) for kpi in rows.kpis if kpi.pk in dashboard.values],
        "money": _money(dashboard.money) if dashboard.money else None,
        "not_priced_tokens": dashboard.not_priced_tokens,
        "not_priced_requests": dashboard.not_priced_requests,
        "charts": [_chart(chart) for chart in dashboard.charts],
        "stated_percentiles": [stated_percentile(one) for one in dashboard.stated_percentiles],
        "freshness": [_freshness(item) for item in dashboard.freshness],
    }


def _window(start_on: Any, end_on: Any) -> dict[str, Any]:
    return {"start_on": start_on, "end_before": end_on}


def _value(value: KpiValue) -> dict[str, Any]:
    return {
        "unit": value.unit,
        "value": text_or_none(value.value),
        "low": text_or_none(value.low),
        "high": text_or_none(value.high),
        "window": _window(value.start_on, value.end_on) if value.start_on else None,
        "basis": value.basis,
        "coverage": text_or_none(value.coverage),
        "coverage_of": value.coverage_of,
        "sample": value.sample,
        "reason": value.reason,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": figure.title,
        "direction": figure.direction,
        **_value(figure.value),
        "before": text_or_none(figure.before.value) if figure.before else None,
        "change": text_or_none(figure.change),
        "target": text_or_none(figure.target),
    }


def _kpi(kpi: Kpi, value: KpiValue) -> dict[str, Any]:
    return {
        "name": kpi.measure or f"kpi-{kpi.pk}",
        "title": kpi.name,
        "direction": kpi.direction,
        **_value(value),
        "unit": kpi.unit or value.unit,
        "before": None,
        "change": None,
        "baseline": text_or_none(kpi.baseline),
        "target": text_or_none(kpi.target),
        "status": value.judgement.status.value,
    }


def _money(money: PhaseMoney) -> dict[str, Any]:
    plan = money.forecast
    rate = plan.run_rate if plan else None
    return {
        "currency": money.currency,
        "window": _window(money.start_on, money.end_on),
        "spent": text_or_none(money.spent),
        "billed": text_or_none(money.usage.billed),
        "estimated": text_or_none(money.usage.unsettled),
        "entered_by_hand": text_or_none(money.entered),
        "budget": text_or_none(money.budget),
        "no_rate": sorted(money.no_rate),
        "forecast": {
            "end_on": plan.end_on,
            "run_rate_per_day": text_or_none(rate.amount if rate else None),
            "days_used": list(rate.days) if rate else [],
            "total": text_or_none(plan.total),
            "low": text_or_none(plan.low),
            "high": text_or_none(plan.high),
            "with_growth": text_or_none(plan.growth_total),
            "budget_passed_on": money.passed_on or plan.passes_on,
        }
        if plan
        else None,
    }


def _chart(chart: Chart) -> dict[str, Any]:
    table = chart.table
    return {
        "id": chart.id,
        "title": chart.title,
        "subtitle": chart.subtitle,
        "columns": [head.label for head in table.heads] if table else [],
        "rows": [list(row) for row in table.rows] if table else [],
    }


def _freshness(item: SourceFreshness) -> dict[str, Any]:
    return {
        "backend": item.slug,
        "name": item.name,
        "measured_at": item.measured_at,
        "data_until": item.data_until,
        "last_push_at": item.last_push_at,
        "is_latency_behind": item.is_latency_behind,
        "problem": item.problem,
    }


def portfolio_document(found: Portfolio) -> Mapping[str, Any]:
    """The portfolio as JSON has it."""
    return {
        "currency": found.currency,
        "zone": settings.REPORTING_TIME_ZONE,
        "today": found.today,
        "sentence": f"{found.sentence} {found.rest}".strip(),
        "demo_is_in_totals": found.demo_is_in_totals,
        "totals": [
            {
                "name": total.name,
                "title": total.title,
                "value": text_or_none(total.value),
                "unit": total.unit,
                "note": total.note,
                "window": _window(total.start_on, total.end_on) if total.start_on else None,
            }
            for total in found.totals
        ],
        "decisions": [{"urgency": item.urgency, "what": item.what, "why": item.why} for item in found.decisions],
        "roadmaps": [
            {
                "slug": row.slug,
                "name": row.name,
                "owner": row.owner,
                "programme": row.programme,
                "business_unit": row.business_unit,
                "phase": row.phase_kind,
                "status": row.status,
                "sentence": row.sentence,
                "is_demo": row.is_demo,
                "spent": text_or_none(row.spent),
                "budget": text_or_none(row.budget),
                "forecast": text_or_none(row.forecast),
                "window": _window(row.start_on, row.end_on) if row.start_on else None,
                "next_milestone": row.milestone,
                "next_milestone_on": row.milestone_on,
                "next_gate_on": row.gate_on,
                "criteria_met": row.criteria_met,
                "criteria": row.criteria_total,
            }
            for row in found.rows
        ],
    }
