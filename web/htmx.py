"""The whole htmx policy. One view, one address: the page for a browser that asks plainly, a part of it for htmx.

- A link is `href` and `hx-get` to the same address, a button is a form with `action` and `hx-post` to the same address.
- `render(request, "roadmap/phase.html", context, part="milestones")` answers the part to htmx, the page to others.
- After a POST: `done(request, url, "Saved.")` redirects a plain form (303), reloads the place for htmx.
- A form with mistakes is rendered again with status 422, which htmx swaps in (base.html says so).
- Whatever depends on htmx carries `Vary: HX-Request`, so that no cache hands a part to a browser.
"""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render as render_template
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh

MESSAGE_EVENT = "phaseline:message"


def is_partial(request: HttpRequest) -> bool:
    """Whether only a part of the page is asked for. A boosted link and htmx's history want the whole page."""
    details = getattr(request, "htmx", None)
    return bool(details and not details.boosted and not details.history_restore_request)


def render(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    part: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page, or its partial `part` (a `partialdef` of the template, or a template's path) for htmx."""
    name = template
    if part and is_partial(request):
        name = part if part.endswith(".html") else f"{template}#{part}"
    response = render_template(request, name, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def done(request: HttpRequest, url: str, message: str = "", *, tone: str = "green") -> HttpResponse:
    """After a change: POST-redirect-GET to `url`, for htmx a reload there. The message shows once."""
    if message:
        level = {"green": messages.SUCCESS, "amber": messages.WARNING, "red": messages.ERROR}.get(tone, messages.INFO)
        messages.add_message(request, level, message)
    response: HttpResponse
    if not is_partial(request):
        response = HttpResponseRedirect(url)
        response.status_code = 303
    elif _is_current(request, url):
        response = HttpResponseClientRefresh()
    else:
        response = HttpResponseClientRedirect(url)
    patch_vary_headers(response, ["HX-Request"])
    return response


redirect_or_refresh = done


def with_message(response: HttpResponse, text: str, *, tone: str = "green") -> HttpResponse:
    """Says `text` in the page's live region after htmx has swapped this answer in."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[MESSAGE_EVENT] = {"text": text, "tone": tone}
    response.headers["HX-Trigger"] = json.dumps(events)
    return response


def _is_current(request: HttpRequest, url: str) -> bool:
    return getattr(request, "htmx", None) is not None and request.htmx.current_url_abs_path == url  # type: ignore[attr-defined]
