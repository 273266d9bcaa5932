"""Many readings of a KPI at once: pasted or from a file, looked at, then recorded."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.kpis import Recorded
from roadmap.forms.kpis import ManyReadingsForm
from roadmap.imports.kpi_readings import csv_readings, ndjson_readings, record_rows
from roadmap.views.kpis import find_kpi
from roadmap.views.place import allow
from web import wording
from web.htmx import done, render

TEMPLATE = "roadmap/many_readings.html"
# Rows of the preview; the words above it count all.
SHOWN_ROWS = 200


@require_http_methods(["GET", "HEAD", "POST"])
def readings_many(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; what recording it would do; with `do=record`, recording it."""
    asker, kpi = find_kpi(request, pk)
    allow(asker, Role.CONTRIBUTOR, kpi.phase.roadmap)
    is_sent = request.method == "POST"
    form = ManyReadingsForm(request.POST, request.FILES) if is_sent else ManyReadingsForm()
    context = {"form": form, "kpi": kpi, "phase": kpi.phase, "roadmap": kpi.phase.roadmap}
    if not is_sent:
        return render(request, TEMPLATE, context)
    if form.is_valid():
        content = form.content
        try:
            rows = (ndjson_readings if content.lstrip().startswith(b"{") else csv_readings)(kpi, content)
            if request.POST.get("do") == "record":
                recorded = record_rows(asker, rows)
                return done(request, reverse("kpi", args=[pk]), _said(recorded))
        except RuleViolation as error:
            form.add_violation(error)
        else:
            context |= {"rows": rows, "shown": rows.rows[:SHOWN_ROWS], "refused": rows.of("refused")}
            return render(request, TEMPLATE, context)
    return render(request, TEMPLATE, context, status=422)


def _said(recorded: Recorded) -> str:
    if not recorded.added and not recorded.replaced:
        text = ngettext(
            "Nothing changed: %(count)s reading here already.",
            "Nothing changed: %(count)s readings here already.",
            recorded.unchanged,
        )
        return text % {"count": wording.count(recorded.unchanged)}
    added = ngettext("%(count)s reading recorded", "%(count)s readings recorded", recorded.added)
    told = [added % {"count": wording.count(recorded.added)}]
    if recorded.replaced:
        told.append(gettext("%(count)s replaced") % {"count": wording.count(recorded.replaced)})
    if recorded.unchanged:
        told.append(gettext("%(count)s here already") % {"count": wording.count(recorded.unchanged)})
    return f"{', '.join(told)}."
