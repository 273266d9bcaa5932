"""The list of backends, adding one, the page of one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import can_change_backends, can_see_backends, visible_workloads
from accounts.authentication import asker_of
from metrics import sources
from metrics.actions import backends as actions
from metrics.actions import backfills
from metrics.backends import BackendPage, backend_list, backend_page, open_look_alikes
from metrics.bills import can_see_imports, open_questions
from metrics.connector import Candidate, Connector
from metrics.connectors import connector_for
from metrics.connectors.presets.catalogue import all_presets
from metrics.connectors.presets.describing import COLUMNS, describe
from metrics.errors import ConnectorError, RuleViolation
from metrics.forms import BackendForm, BackfillForm, LinkForm, OwnPriceForm, RateCardForm
from metrics.models import Backend
from metrics.spoken import in_words, spoken
from metrics.tasks import enqueue_on_commit, hand_out_backfills, pull_backend
from metrics.views.offers import EXAMPLE, EXAMPLE_NAME, answers
from metrics.visible import shown_backends, visible_backends
from web import wording
from web.htmx import done, is_partial, render


@login_required
@require_GET
def backends(request: HttpRequest) -> HttpResponse:
    """Every backend that the asker may see, and what needs a decision about them."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Backends are shown to managers, contributors, executives and admins."))
    rows = backend_list(asker)
    may_change = can_change_backends(asker)
    context = {
        "rows": rows,
        "look_alikes": open_look_alikes(asker),
        "late": [(one, state, freshness) for one, state, _, _, freshness in rows if freshness.is_late],
        "questions": open_questions(asker),
        "sees_imports": can_see_imports(asker),
        "may_change": may_change,
        "answers": answers(request) if may_change and not rows else [],
    }
    return render(request, "metrics/backends.html", context)


@login_required
@require_GET
def backend_choose(request: HttpRequest) -> HttpResponse:
    """'What do you have?'"""
    _require_admin(request)
    return render(request, "metrics/backend_choose.html", {"answers": answers(request)})


@login_required
@require_http_methods(["GET", "POST"])
def backend_new(request: HttpRequest, kind: str) -> HttpResponse:
    """The form that the connector declares. POST with `do`: test, discover, add_ticked; without: save."""
    _require_admin(request)
    connector = _connector(kind)
    example = _example_values(request, kind)
    form = BackendForm(request.POST or None, connector=connector, initial=example or None)
    context: dict[str, Any] = {"form": form, "about": _about(connector), "is_example": bool(example)}
    if request.method == "GET":
        return render(request, "metrics/backend_form.html", context)
    do = request.POST.get("do", "")
    if do == "test":
        return _tested(request, form, context)
    if do in ("discover", "add_ticked") and connector.can_discover:
        return _discovered(request, form, context, connector, is_adding=do == "add_ticked")
    if not form.is_valid():
        return render(request, "metrics/backend_form.html", context, status=422)
    try:
        backend = actions.add_backend(
            asker_of(request), kind=kind, values=form.values, is_example=_is_example(form, kind), **form.rest
        )
    except (RuleViolation, ConnectorError) as error:
        _show(form, error)
        return render(request, "metrics/backend_form.html", context, status=422)
    _start(backend)
    return done(
        request,
        reverse("backend", args=[backend.slug]),
        gettext("%(backend)s is added. Its first pull has begun.") % {"backend": backend},
    )


@login_required
@require_http_methods(["GET", "POST"])
def backend_change(request: HttpRequest, slug: str) -> HttpResponse:
    """The same form, filled. Secrets that are left empty stay as they are."""
    _require_admin(request)
    backend = get_object_or_404(visible_backends(asker_of(request)), slug=slug)
    connector = None if backend.connector in sources.NOT_PULLED else _connector(backend.connector)
    form = BackendForm(request.POST or None, connector=connector, backend=backend)
    context: dict[str, Any] = {"form": form, "about": _about(connector), "backend": backend}
    if request.method == "GET":
        return render(request, "metrics/backend_form.html", context)
    if request.POST.get("do") == "test" and connector is not None:
        return _tested(request, form, context, backend=backend)
    if not form.is_valid():
        return render(request, "metrics/backend_form.html", context, status=422)
    try:
        actions.change_backend(asker_of(request), backend, values=form.values, clear_secrets=form.cleared, **form.rest)
    except (RuleViolation, ConnectorError) as error:
        _show(form, error)
        return render(request, "metrics/backend_form.html", context, status=422)
    if connector is not None:
        enqueue_on_commit(pull_backend, backend.pk)
    return done(request, reverse("backend", args=[slug]), gettext("Saved."))


@login_required
@require_GET
def backend(request: HttpRequest, slug: str) -> HttpResponse:
    """The page of one. While something is on its way, the part at the top looks again by itself."""
    return draw_page(request, slug)


def draw_page(request: HttpRequest, slug: str, *, status: int = 200, **forms: Any) -> HttpResponse:
    """The page, with the forms that were refused in place of fresh ones."""
    asker = asker_of(request)
    found = get_object_or_404(shown_backends(asker), slug=slug)
    page: BackendPage = backend_page(asker, found)
    context: dict[str, Any] = {"page": page, "backend": found, "not_offered": page.not_offered}
    if page.may_change:
        context |= {
            "link_form": LinkForm(backend=found),
            "card_form": RateCardForm(),
            "price_form": OwnPriceForm(initial={"provider": found.provider, "service_tier": "standard"}),
            "backfill_form": BackfillForm(backend=found),
            "card_forms": [(card, RateCardForm(instance=card, prefix=f"card{card.pk}")) for card in page.rate_cards],
        }
    context |= {name: value for name, value in forms.items() if value is not None}
    part = "live" if request.method == "GET" and request.GET.get("part") == "live" else ""
    return render(request, "metrics/backend.html", context, part=part, status=status)


@login_required
@require_POST
def backend_pull(request: HttpRequest, slug: str) -> HttpResponse:
    """Pull now."""
    _require_admin(request)
    found = get_object_or_404(Backend, slug=slug, is_enabled=True)
    if found.resting_until is not None and found.resting_until > sources.now():
        until = wording.moment(found.resting_until)
        said = gettext("The source asked to be left alone until %(until)s; it is pulled then.") % {"until": until}
        return done(request, reverse("backend", args=[slug]), said, tone="amber")
    enqueue_on_commit(pull_backend, found.pk)
    return done(request, reverse("backend", args=[slug]), gettext("A pull has been started."))


@login_required
@require_POST
def backend_remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop pulling, forget the secrets; what was counted stays."""
    _require_admin(request)
    found = get_object_or_404(Backend, slug=slug)
    try:
        is_gone = actions.remove_backend(asker_of(request), found)
    except RuleViolation as error:
        return done(request, reverse("backend", args=[slug]), spoken(error.message), tone="red")
    if is_gone:
        return done(request, reverse("backends"), gettext("%(name)s is removed.") % {"name": found.name})
    return done(
        request,
        reverse("backend", args=[slug]),
        gettext("%(name)s is no longer pulled. What it has counted stays.") % {"name": found.name},
    )


@login_required
@require_POST
def backend_backfill(request: HttpRequest, slug: str) -> HttpResponse:
    """Read back to a day; with `do=cancel` stop, with `do=resume` go on where it was stopped."""
    _require_admin(request)
    found = get_object_or_404(Backend, slug=slug)
    url = reverse("backend", args=[slug])
    do = request.POST.get("do")
    if do in ("cancel", "resume"):
        change = backfills.cancel_backfill if do == "cancel" else backfills.resume_backfill
        try:
            change(asker_of(request), found)
        except RuleViolation as error:
            return done(request, url, spoken(error.message), tone="red")
        if do == "cancel":
            return done(request, url, gettext("Reading back is stopped. What was read stays."))
        enqueue_on_commit(hand_out_backfills)
        return done(request, url, gettext("Reading back goes on."))
    form = BackfillForm(request.POST, backend=found)
    if form.is_valid():
        try:
            backfills.start_backfill(asker_of(request), found, from_on=form.cleaned_data["from_on"])
        except RuleViolation as error:
            form.add_violation(error)
        else:
            enqueue_on_commit(hand_out_backfills)
            return done(request, url, gettext("Reading back has begun."))
    return draw_page(request, slug, status=422, backfill_form=form)


def _tested(
    request: HttpRequest, form: BackendForm, context: dict[str, Any], *, backend: Backend | None = None
) -> HttpResponse:
    """What works and what does not, in words, below the form, whose entries stay as they are."""
    _name_it(form)
    if not form.is_valid():
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    kind = context["about"]["kind"]
    try:
        result = actions.test_backend(asker_of(request), kind=kind, values=form.values, backend=backend)
    except RuleViolation as error:
        _show(form, error)
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    _keep_secrets_entered(form)
    return render(request, "metrics/backend_form.html", {**context, "result": result}, part="result")


def _discovered(
    request: HttpRequest, form: BackendForm, context: dict[str, Any], connector: type[Connector], *, is_adding: bool
) -> HttpResponse:
    """What the source offers, to be ticked; then one backend for each tick."""
    _name_it(form)
    if not form.is_valid():
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    try:
        candidates = actions.discover(asker_of(request), kind=connector.kind, values=form.values)
    except (RuleViolation, ConnectorError) as error:
        _show(form, error)
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    _keep_secrets_entered(form)
    context["candidates"] = list(enumerate(candidates))
    if not is_adding:
        return render(request, "metrics/backend_form.html", context, part="result")
    ticked = [one for place, one in enumerate(candidates) if f"{place}:{one.name}" in request.POST.getlist("candidate")]
    if not ticked:
        form.add_error(None, gettext("Tick at least one."))
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    added = []
    for candidate in ticked:
        try:
            added.append(_add_candidate(request, form, connector, candidate))
        except (RuleViolation, ConnectorError) as error:
            form.add_error(None, f"{candidate.name}: {in_words(error)}")
    for one in added:
        _start(one)
    if form.errors:
        return render(
            request, "metrics/backend_form.html", {**context, "is_part": is_partial(request)}, part="result", status=422
        )
    return done(
        request,
        reverse("backends"),
        ngettext(
            "%(count)s backend is added. Its first pull has begun.",
            "%(count)s backends are added. Their first pulls have begun.",
            len(added),
        )
        % {"count": len(added)},
    )


def _add_candidate(
    request: HttpRequest, form: BackendForm, connector: type[Connector], candidate: Candidate
) -> Backend:
    secrets = {p.name: form.values[p.name] for p in connector.parameters if p.is_secret}
    rest = {**form.rest, "name": candidate.name}
    return actions.add_backend(
        asker_of(request), kind=connector.kind, values={**candidate.parameters, **secrets}, **rest
    )


def _name_it(form: BackendForm) -> None:
    """Whoever tests or looks around needs no name yet."""
    if not form.data.get("name") and form.connector is not None:
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data["name"] = spoken(form.connector.title)  # type: ignore[index]


def _keep_secrets_entered(form: BackendForm) -> None:
    """A password field is never drawn filled; after a test it has to be typed again, and the field says so."""
    for parameter in form.parameters:
        if parameter.is_secret and form.cleaned_data.get(parameter.name):
            form.fields[parameter.name].help_text = gettext("Enter it once more to save.")


def _show(form: BackendForm, error: RuleViolation | ConnectorError) -> None:
    if isinstance(error, RuleViolation):
        form.add_violation(error)
    else:
        form.add_error(None, in_words(error))


def _start(backend: Backend) -> None:
    enqueue_on_commit(pull_backend, backend.pk)
    if backend.backfill_cursor is not None:
        enqueue_on_commit(hand_out_backfills)


def _example_values(request: HttpRequest, kind: str) -> dict[str, Any]:
    if kind != "metrics_endpoint" or not request.GET.get(EXAMPLE) or not settings.EXAMPLE_SERVER_URL:
        return {}
    first = visible_workloads(asker_of(request)).filter(is_demo=False).first()
    return {
        "name": EXAMPLE_NAME,
        "addresses": settings.EXAMPLE_SERVER_URL,
        "preset": "vllm",
        "pull_every_minutes": 1,
        "default_workload": first,
    }


def _is_example(form: BackendForm, kind: str) -> bool:
    url = settings.EXAMPLE_SERVER_URL
    return bool(url) and kind == "metrics_endpoint" and url in (form.values.get("addresses") or "").split()


def _about(connector: type[Connector] | None) -> dict[str, Any] | None:
    """What the template says of a connector; a class itself would be called there."""
    if connector is None:
        return None
    names = ("kind", "title", "summary", "shows", "can_discover")
    about = {name: getattr(connector, name) for name in names} | {"missing": connector.missing()}
    if any(parameter.name == "preset" for parameter in connector.parameters):
        about["preset_heads"] = [head for _, head in COLUMNS]
        about["presets"] = [describe(preset) for preset in all_presets()]
    return about


def _connector(kind: str) -> type[Connector]:
    try:
        return connector_for(kind)
    except RuleViolation:
        raise Http404 from None


def _require_admin(request: HttpRequest) -> None:
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise Http404
    if not can_change_backends(asker):
        raise PermissionDenied(gettext("Only admins add and change backends."))
