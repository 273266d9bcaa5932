"""Send data: a token, something to paste, and what arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.access import Asker, can, can_see_backends, visible_workloads
from accounts.actions import issue_token, revoke_token
from accounts.authentication import asker_of
from accounts.errors import AccessViolation
from accounts.models import Role, Token, Workload
from metrics.actions.usage import can_reverse, reverse_receipt, visible_receipts
from metrics.actions.usage_files import visible_files
from metrics.api.usage import address_of
from metrics.errors import RuleViolation
from metrics.models import PushProblem, Receipt, UsageFile
from metrics.snippets import NO_TOKEN, Addresses, Snippet, snippets
from metrics.spoken import spoken
from metrics.usage_file_forms import UsageFileForm
from metrics.usage_file_page import files_of
from web.htmx import done, render

PAGE_SIZE = 25
SHOWN_FILES = 5
TEMPLATE = "metrics/send.html"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The last push that the page waits for: its receipt, and where its figures show."""

    receipt: Receipt
    see: str


@never_cache
@require_GET
def send_data(request: HttpRequest) -> HttpResponse:
    """The page; `?roadmap=` chooses what the token and the snippets are for."""
    return _page(request)


@never_cache
@require_POST
def make_push_token(request: HttpRequest) -> HttpResponse:
    """Makes a token and shows it in the answer to this request, and never again."""
    asker = sender_of(request)
    workload = chosen_workload(asker, request.POST.get("roadmap", ""))
    name = request.POST.get("name", "").replace("\0", "").strip()[:100] or (
        f"Push to {workload.name}"[:100] if workload else "Push"
    )
    try:
        token, text = issue_token(asker, name=name[:100], scopes=["push"], workload=workload)
    except AccessViolation as violation:
        raise PermissionDenied(violation.message) from violation
    return _page(request, workload=workload, made=token, text=text)


@never_cache
@require_GET
def received(request: HttpRequest) -> HttpResponse:
    """What has arrived since the page was opened: the part that asks again by itself; without htmx, the page."""
    if not getattr(request, "htmx", False):
        return _page(request)
    asker = sender_of(request)
    workload = chosen_workload(asker, request.GET.get("roadmap", ""))
    context = _arrival(asker, workload, request.GET.get("since", ""))
    return render(request, TEMPLATE, context, part="received")


@require_POST
def revoke_push_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends a token; somebody else's is not there."""
    asker = sender_of(request)
    token = _tokens(asker).filter(pk=pk).first()
    if token is None:
        raise Http404
    revoke_token(asker, token)
    return done(
        request, reverse("send_data"), gettext("'%(name)s' is revoked. What it pushed stays.") % {"name": token.name}
    )


@require_POST
def take_back(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Reverses a push or an import."""
    asker = asker_of(request)
    receipt = visible_receipts(asker).select_related("workload").filter(uuid=uuid).first()
    if receipt is None:
        raise Http404
    try:
        reverse_receipt(asker, receipt)
    except RuleViolation as violation:
        return done(request, reverse("send_data"), spoken(violation.message), tone="red")
    return done(
        request, reverse("send_data"), gettext("Taken back: its figures are gone, and a corrected push will count.")
    )


def _page(
    request: HttpRequest, *, workload: Workload | None = None, made: Token | None = None, text: str = ""
) -> HttpResponse:
    asker = sender_of(request)
    if made is None:
        workload = chosen_workload(asker, request.GET.get("roadmap", ""))
    now = timezone.now()
    page = Paginator(_receipts(asker), PAGE_SIZE).get_page(request.GET.get("page"))
    receipts = list(page.object_list)
    files = files_of(receipts)
    workloads = workloads_to_push_to(asker)
    context: dict[str, Any] = {
        "workloads": workloads,
        "chosen": workload,
        "made": made,
        "snippets": _snippets(request, workload, text, now),
        "tokens": _tokens(asker),
        "page": page,
        "rows": [(receipt, _is_reversible(asker, receipt), files.get(receipt.pk)) for receipt in receipts],
        "file_form": UsageFileForm(
            asker=asker, workloads=workloads, initial={"workload": workload.slug if workload else ""}
        ),
        "most_mib": settings.USAGE_FILE_MAX_BYTES // 2**20,
        "most_rows": settings.USAGE_FILE_MAX_ROWS,
        "files": visible_files(asker).filter(user=asker.user).exclude(state=UsageFile.State.DISCARDED)[:SHOWN_FILES],
        **_arrival(asker, workload, request.GET.get("since", "") or now.isoformat()),
    }
    return render(request, TEMPLATE, context)


def sender_of(request: HttpRequest) -> Asker:
    """Who asks, if they may send: contributors and managers of a roadmap, admins; executives read."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Sending data needs the role of a contributor or manager for a roadmap."))
    return asker


def workloads_to_push_to(asker: Asker) -> list[Workload]:
    """Those that the asker may push to; real ones before the demo's."""
    workloads = visible_workloads(asker).order_by("is_demo", "name", "pk")
    if asker.user.is_admin:
        return list(workloads)
    return list(workloads.filter(memberships__user=asker.user, memberships__role__in=[Role.MANAGER, Role.CONTRIBUTOR]))


def chosen_workload(asker: Asker, slug: str) -> Workload | None:
    """The roadmap in the address, else the first; None where the asker has none. Raises Http404."""
    if not slug:
        workloads = workloads_to_push_to(asker)
        return workloads[0] if workloads else None
    workload = None if "\0" in slug else visible_workloads(asker).filter(slug=slug).first()
    if workload is None:
        raise Http404
    if not can(asker, Role.CONTRIBUTOR, workload):
        raise PermissionDenied(gettext("Sending data to this roadmap needs the role of a contributor."))
    return workload


def _snippets(request: HttpRequest, workload: Workload | None, text: str, now: datetime) -> list[Snippet]:
    # A bound token needs no roadmap in the record.
    addresses = Addresses(
        usage=request.build_absolute_uri(reverse("api_usage")),
        litellm=request.build_absolute_uri(reverse("api_usage_litellm")),
        otlp=request.build_absolute_uri("/otlp"),
        prometheus=request.build_absolute_uri(reverse("api_prometheus_write")),
    )
    return snippets(addresses, token=text or NO_TOKEN, at=now.astimezone(UTC).replace(microsecond=0))


def _tokens(asker: Asker) -> Any:
    tokens = Token.objects.filter(scopes__contains=["push"]).select_related("workload", "owner")
    return tokens if asker.user.is_admin else tokens.filter(owner=asker.user)


def _receipts(asker: Asker) -> Any:
    return visible_receipts(asker).select_related("workload", "token", "user", "reverses", "reversed_by")


def _is_reversible(asker: Asker, receipt: Receipt) -> bool:
    return receipt.kind != "reversal" and not receipt.is_void and can_reverse(asker, receipt)


def _last_problem(asker: Asker, workload: Workload | None, last: Receipt | None) -> PushProblem | None:
    """Why the last push counted nothing, where that was after the last receipt."""
    problems = PushProblem.objects.filter(token__in=_tokens(asker)).select_related("token")
    if workload is not None:
        problems = problems.filter(Q(token__workload=workload) | Q(token__workload=None))
    if last is not None:
        problems = problems.filter(at__gt=last.created_at)
    return problems.order_by("-at").first()


def _arrival(asker: Asker, workload: Workload | None, since: str) -> dict[str, Any]:
    """The last push since the page was opened, or the last before it, and how to ask again."""
    receipts = _receipts(asker).filter(kind="push")
    if workload is not None:
        receipts = receipts.filter(workload=workload)
    last = receipts.first()
    arrival = None
    if last is not None:
        arrival = Arrival(last, address_of(last.workload.slug if last.workload else None))
    problem = _last_problem(asker, workload, last)
    query = {"roadmap": workload.slug if workload else "", "since": since}
    return {
        "arrival": arrival,
        "problem": problem,
        "is_new": last is not None and last.created_at.isoformat() >= since,
        "poll_url": f"{reverse('received')}?{urlencode(query)}",
    }
