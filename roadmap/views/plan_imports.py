"""Importing a plan: choosing a spreadsheet, looking at what it would change, letting it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import Asker, can_make_roadmaps
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from metrics.spoken import spoken
from roadmap.imports.cells import Choices
from roadmap.imports.forms import ChoicesForm, PlanFileForm
from roadmap.imports.outcome import counts_in_words
from roadmap.imports.own_plan import own_plan
from roadmap.imports.run import KINDS, look_at, run_import
from roadmap.imports.telling import document_of
from roadmap.imports.uploads import import_file, keep_file, require_may_import
from roadmap.imports.workbook import explained, plan_workbook
from roadmap.models import PlanImport
from web.htmx import done, render
from web.spreadsheets import attachment

# Rows of each outcome that a page shows.
SHOWN = 200
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@require_http_methods(["GET", "HEAD", "POST"])
def plan_imports(request: HttpRequest) -> HttpResponse:
    """Choose a spreadsheet; and one's own last imports."""
    asker = asker_of(request)
    require_may_import(asker)
    form, status = PlanFileForm(), 200
    if request.method == "POST":
        form = PlanFileForm(request.POST, request.FILES)
        if form.is_valid():
            file = form.cleaned_data["file"]
            try:
                kept = keep_file(asker, name=file.name, content=file.read())
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(request, kept.get_absolute_url())
        status = 422
    context = {
        "form": form,
        "kinds": [
            (kind.title, [(column, spoken(explained(column))) for column in kind.importer.columns]) for kind in KINDS
        ],
        "makes_roadmaps": can_make_roadmaps(asker),
        "mine": [
            (item, counts_in_words(item.result["counts"]) if item.result else "")
            for item in PlanImport.objects.filter(user=asker.user).defer("content", "choices")[:10]
        ],
    }
    return render(request, "roadmap/plan_imports.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def plan_import(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What a file would change, or did. POST: read it otherwise (`do=read`), or import it (`do=import`)."""
    asker, kept = _own(request, uuid)
    if kept.imported_at is not None:
        return render(
            request, "roadmap/plan_import.html", {"one": kept, "result": _cut(kept.result or {}), "words": _words(kept)}
        )
    if request.method != "POST":
        return _preview(request, asker, kept)
    if request.POST.get("do") == "import":
        try:
            kept = import_file(asker, kept, digest=request.POST.get("digest", ""))
        except RuleViolation as error:
            return _preview(request, asker, kept, problem=error)
        return done(request, kept.get_absolute_url(), gettext("Imported: %(words)s.") % {"words": _words(kept)})
    choices = Choices.of(kept.choices)
    form = ChoicesForm(request.POST, look=look_at(bytes(kept.content or b""), choices, name=kept.name), choices=choices)
    if not form.is_valid():
        return _preview(request, asker, kept, form=form)
    kept.choices = form.said().as_json()
    kept.save(update_fields=["choices"])
    return done(request, kept.get_absolute_url())


@require_POST
def plan_import_discard(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Forgets a file that was not imported."""
    _, kept = _own(request, uuid)
    if kept.imported_at is None:
        kept.delete()
    return done(
        request,
        reverse("plan_imports"),
        gettext("'%(name)s' is forgotten; nothing was changed.") % {"name": kept.name},
    )


@require_safe
def plan_template(request: HttpRequest) -> HttpResponse:
    """The workbook to begin with; with `?with=plan` it holds what the asker may change."""
    asker = asker_of(request)
    require_may_import(asker)
    plan = own_plan(asker) if request.GET.get("with") == "plan" else {}
    response = attachment(plan_workbook(plan), "phaseline-plan.xlsx", XLSX)
    response.headers["Cache-Control"] = "private, no-cache"
    assert isinstance(response, HttpResponse)  # noqa: S101 - bytes make a plain answer
    return response


def _words(kept: PlanImport) -> str:
    return counts_in_words((kept.result or {})["counts"])


def _own(request: HttpRequest, uuid: UUID) -> tuple[Asker, PlanImport]:
    asker = asker_of(request)
    kept = PlanImport.objects.filter(uuid=uuid, user=asker.user).first()
    if kept is None:
        raise Http404
    require_may_import(asker)
    return asker, kept


def _preview(
    request: HttpRequest,
    asker: Asker,
    kept: PlanImport,
    *,
    problem: RuleViolation | None = None,
    form: ChoicesForm | None = None,
) -> HttpResponse:
    content, choices = bytes(kept.content or b""), Choices.of(kept.choices)
    status = 422 if form is not None else 409 if problem is not None else 200
    look = look_at(content, choices, name=kept.name)
    unread = look.problem
    result: dict[str, Any] = {}
    if unread is None:
        try:
            result = _cut(document_of(run_import(asker, content, choices, dry_run=True, name=kept.name)))
        except RuleViolation as error:
            unread = error
    form = form or ChoicesForm(look=look, choices=choices)
    unknown = [use.header for sheet in look.sheets for use in sheet.unknown]
    taken = result["counts"]["added"] + result["counts"]["changed"] if result else 0
    context = {
        "one": kept,
        "result": result,
        "unread": unread,
        "problem": problem,
        "form": form,
        "unknown": unknown,
        "taken": taken,
        # Before anything else where nothing is taken without it.
        "asks_first": bool(form.errors or not taken),
    }
    return render(request, "roadmap/plan_import.html", context, status=status)


def _cut(document: dict[str, Any]) -> dict[str, Any]:
    """The document with as many rows as a page shows."""
    sheets = [
        sheet | {name: sheet[name][:SHOWN] for name in ("refused", "added", "changed", "noted", "missing")}
        for sheet in document.get("sheets", [])
    ]
    return document | {"sheets": sheets}
