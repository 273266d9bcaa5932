"""Files as evidence of a milestone: its list, adding, removing, and downloading one."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.evidence import add_evidence, may_remove, remove_evidence
from roadmap.forms.evidence import EvidenceForm
from roadmap.models import EvidenceContent, EvidenceFile, Milestone
from roadmap.queries.phase_plan import rights_of
from roadmap.rules.evidence import CONTENT_TYPES, MEBIBYTE, MOST_BYTES_A_MILESTONE
from roadmap.views.milestones import find_milestone
from roadmap.views.place import allow
from web.htmx import done, render


@require_safe
def milestone_files(request: HttpRequest, pk: int) -> HttpResponse:
    """The files of a milestone, with the form for those who may add one."""
    asker, milestone = find_milestone(request, pk)
    return _page(request, asker, milestone, EvidenceForm())


@require_http_methods(["GET", "HEAD", "POST"])
def milestone_file_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Adds a file."""
    asker, milestone = find_milestone(request, pk)
    allow(asker, Role.CONTRIBUTOR, milestone.phase.roadmap)
    if request.method != "POST":
        return _page(request, asker, milestone, EvidenceForm())
    form = EvidenceForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            added = add_evidence(asker, milestone, name=file.name, data=file.read())
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return done(
                request,
                reverse("milestone_files", args=[pk]),
                gettext("'%(name)s' is kept.") % {"name": added.name},
            )
    return _page(request, asker, milestone, form, status=422)


def _page(
    request: HttpRequest, asker: Asker, milestone: Milestone, form: EvidenceForm, *, status: int = 200
) -> HttpResponse:
    files = list(EvidenceFile.objects.filter(milestone=milestone).select_related("added_by"))
    for file in files:
        file.milestone = milestone
    rights = rights_of(asker, milestone.phase.roadmap)
    context = {
        "milestone": milestone,
        "roadmap": milestone.phase.roadmap,
        "lines": [(file, rights.can_contribute and may_remove(asker, file)) for file in files],
        "used": sum(file.size for file in files),
        "most": MOST_BYTES_A_MILESTONE,
        "most_mib": MOST_BYTES_A_MILESTONE // MEBIBYTE,
        "rights": rights,
        "form": form,
    }
    return render(request, "roadmap/evidence.html", context, status=status)


def find_evidence(asker: Asker, pk: int) -> EvidenceFile:
    """The file of a roadmap that the asker sees. Raises Http404."""
    found = (
        EvidenceFile.objects.select_related("milestone__phase__roadmap__workload", "added_by")
        .filter(pk=pk, milestone__phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if found is None:
        raise Http404
    return found


@require_safe
def evidence_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The file's bytes, to keep and never to show in the page's place."""
    return download(find_evidence(asker_of(request), pk))


def download(file: EvidenceFile) -> HttpResponse:
    """A stranger's file: the browser stores it, guesses nothing about it, and would run nothing of it."""
    data = EvidenceContent.objects.values_list("data", flat=True).get(file=file)
    response = HttpResponse(bytes(data), content_type=CONTENT_TYPES[file.kind])
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.name) or ""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@require_POST
def evidence_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Removes a file."""
    asker = asker_of(request)
    file = find_evidence(asker, pk)
    url = reverse("milestone_files", args=[file.milestone_id])
    try:
        remove_evidence(asker, file)
    except RuleViolation as error:
        return done(request, url, error.message, tone="red")
    return done(request, url, gettext("'%(name)s' is removed.") % {"name": file.name})
