"""Allocation rules: the list in order, adding, changing, moving and removing, each with what it would move."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import can_allocate, can_see_rules, visible_workloads
from accounts.authentication import asker_of
from metrics import series as read_door
from metrics.actions.rule_preview import preview_change
from metrics.actions.rules import Change, adding, change_rules, changing, moving, removing
from metrics.allocating import Moved
from metrics.errors import RuleViolation
from metrics.figures import Scope, UsageRow
from metrics.models import AllocationRule
from metrics.rule_form import RuleForm, prefilled
from metrics.spoken import spoken
from metrics.windows import DAY, local_day
from web import wording
from web.htmx import done, is_partial, render

UNALLOCATED_DAYS = 28
UNALLOCATED_SHOWN = 10
PREVIEW_ROWS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in words. `series`: how many it places today or placed before."""

    rule: AllocationRule
    matches: str
    belongs_to: str
    series: int


@dataclass(frozen=True, slots=True)
class UnallocatedRow:
    """Usage of no roadmap, and the address that begins a rule for it."""

    row: UsageRow
    url: str

    @property
    def requests(self) -> int | Decimal | None:
        return self.row.sums.total("requests")


@login_required
@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """The rules in the order in which they are tried, and what no rule has placed."""
    if not can_see_rules(asker_of(request)):
        raise PermissionDenied(gettext("Allocation rules are shown to executives and admins."))
    context = {
        "rows": _rows(),
        "unallocated": _unallocated(),
        "may_change": can_allocate(asker_of(request)),
        "days": UNALLOCATED_DAYS,
    }
    return render(request, "metrics/rules.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def rule_new(request: HttpRequest) -> HttpResponse:
    """A new rule; its match may come with the address. POST with `do=preview` says what it would move."""
    _require_admin(request)
    form = _form(request, None, initial=prefilled(request.GET.dict()))
    return _edit(request, form, None)


@login_required
@require_http_methods(["GET", "POST"])
def rule_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a rule; as `rule_new`."""
    _require_admin(request)
    rule = _rule(pk)
    return _edit(request, _form(request, rule), rule)


@login_required
@require_POST
def rule_move(request: HttpRequest, pk: int) -> HttpResponse:
    """One place up or down. Where that moves something, it is shown and asked about first."""
    _require_admin(request)
    rule, is_up = _rule(pk), request.POST.get("direction") != "down"
    try:
        change = moving(rule, up=is_up)
    except RuleViolation as error:
        return done(request, reverse("rules"), spoken(error.message), tone="red")
    question = gettext("Move rule %(number)s up?") if is_up else gettext("Move rule %(number)s down?")
    question %= {"number": rule.position}
    return _asked(request, change, rule, question=question, direction="up" if is_up else "down")


@login_required
@require_POST
def rule_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a rule away. Where that moves something, it is shown and asked about first."""
    _require_admin(request)
    rule = _rule(pk)
    return _asked(
        request, removing(rule), rule, question=gettext("Remove rule %(number)s?") % {"number": rule.position}
    )


def in_words(rule: AllocationRule) -> str:
    """What a rule matches: 'label team is claims, model gpt-4o*'."""
    named = []
    if rule.label_name:
        label = {"name": rule.label_name, "value": rule.label_value or "*"}
        named.append(gettext("label %(name)s is %(value)s") % label)
    named += [
        word % {"value": value}
        for word, value in (
            (gettext("API key %(value)s"), rule.api_key),
            (gettext("project %(value)s"), rule.project),
            (gettext("model %(value)s"), rule.model),
            (gettext("provider %(value)s"), rule.provider),
            (gettext("backend %(value)s"), rule.backend.name if rule.backend else ""),
        )
        if value
    ]
    return ", ".join(named)


def _belongs_to(rule: AllocationRule) -> str:
    shares = list(rule.shares.all())
    if not shares:
        return gettext("stays unallocated")
    if len(shares) == 1 and shares[0].share_ratio == 1:
        return str(shares[0].workload.name)
    parts = [f"{one.workload.name} {wording.percent(one.share_ratio)}" for one in shares]
    left = 1 - sum(one.share_ratio for one in shares)
    return ", ".join([*parts, *([gettext("unallocated %(share)s") % {"share": wording.percent(left)}] if left else [])])


def _rows() -> list[RuleRow]:
    found = (
        AllocationRule.objects.select_related("backend")
        .prefetch_related("shares__workload")
        .annotate(placed=Count("allocations__series", distinct=True))
    )
    return [RuleRow(rule, in_words(rule), _belongs_to(rule), rule.placed) for rule in found]


def _unallocated() -> list[UnallocatedRow]:
    """What was nobody's in the last weeks, the dearest first."""
    today = local_day(timezone.now(), settings.REPORTING_ZONE)
    scope = Scope(today - UNALLOCATED_DAYS * DAY, today + DAY, None, include_demo=False)
    rows = read_door.usage(scope, by=("workload", "backend", "model", "kind"))
    left = [row for row in rows if row.key["workload"] is None and row.key["kind"] != "idle"]
    left.sort(key=lambda row: (-(row.sums.spend or 0), -(row.sums.total("requests") or 0)))
    return [
        UnallocatedRow(row, f"{reverse('rule_new')}?{_query(row)}")
        for row in left[:UNALLOCATED_SHOWN]
        if row.sums.spend or row.sums.total("requests") or row.sums.total("input_tokens")
    ]


def _query(row: UsageRow) -> str:
    named = {"backend": row.key["backend_slug"], "model": row.key["model"]}
    return urlencode({name: value for name, value in named.items() if value})


def _form(request: HttpRequest, rule: AllocationRule | None, **more: Any) -> RuleForm:
    return RuleForm(request.POST or None, workloads=visible_workloads(asker_of(request)), rule=rule, **more)


def _edit(request: HttpRequest, form: RuleForm, rule: AllocationRule | None) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "rule": rule}
    if request.method == "GET":
        return render(request, "metrics/rule_form.html", context)
    is_preview = request.POST.get("do") == "preview"
    if form.is_valid():
        try:
            change = adding(form.values) if rule is None else changing(rule, form.values)
            if not is_preview:
                _, moved = change_rules(asker_of(request), change)
                return done(
                    request, reverse("rules"), gettext("The rule is saved. %(moved)s") % {"moved": _said(moved)}
                )
            context |= _previewed(request, change)
        except RuleViolation as error:
            form.add_violation(error)
    context["is_part"] = is_partial(request)
    return render(request, "metrics/rule_form.html", context, part="result", status=422 if form.errors else 200)


def _asked(request: HttpRequest, change: Change, rule: AllocationRule, **context: Any) -> HttpResponse:
    """Make the change where it moves nothing or was confirmed, else show what it would move."""
    try:
        if not request.POST.get("confirmed"):
            shown = _previewed(request, change)
            if shown["preview"].series:
                context |= {**shown, "rule": rule, "matches": in_words(rule), "url": request.path}
                return render(request, "metrics/rule_confirm.html", context)
        _, moved = change_rules(asker_of(request), change)
    except RuleViolation as error:
        return done(request, reverse("rules"), spoken(error.message), tone="red")
    return done(request, reverse("rules"), gettext("Done. %(moved)s") % {"moved": _said(moved)})


def _previewed(request: HttpRequest, change: Change) -> dict[str, Any]:
    preview = preview_change(asker_of(request), change)
    left = len(preview.rows) - PREVIEW_ROWS_SHOWN
    return {"preview": preview, "rows": preview.rows[:PREVIEW_ROWS_SHOWN], "rows_left": max(left, 0)}


def _said(moved: Moved) -> str:
    count = len(moved.series_ids)
    if not count:
        return gettext("Nothing moved.")
    return ngettext("%(count)s series moved.", "%(count)s series moved.", count) % {"count": wording.count(count)}


def _rule(pk: int) -> AllocationRule:
    rules = AllocationRule.objects.select_related("backend").prefetch_related("shares__workload")
    return get_object_or_404(rules, pk=pk)


def _require_admin(request: HttpRequest) -> None:
    if not can_allocate(asker_of(request)):
        raise PermissionDenied(gettext("Only admins change allocation rules."))
