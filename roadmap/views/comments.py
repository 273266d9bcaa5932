"""Comments on a roadmap and its parts, in place."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from roadmap.actions.comments import add_comment, change_comment, delete_comment, may_delete
from roadmap.forms.comments import CommentForm, CommentTextForm
from roadmap.models import Comment, Roadmap
from roadmap.queries.comments import Part, about_words, addresses, comments, key_of, part_of
from roadmap.views.place import Place, act, form_view, roadmap_or_404
from web.htmx import is_partial, render

SECTION = "comments"


def comments_place(roadmap: Roadmap, about: Part | None) -> Place:
    """The comments of a roadmap or of one of its parts, on their own page."""
    page, _ = addresses(roadmap, about)
    return Place(roadmap, SECTION, page, lambda asker: _context(asker, roadmap, about))


def _context(asker: Asker, roadmap: Roadmap, about: Part | None, before: int | None = None) -> dict[str, Any]:
    words, url = about_words(about, roadmap)
    page, new = addresses(roadmap, about)
    return {
        "roadmap": roadmap,
        "comments": comments(asker, roadmap, before=before, about=about),
        "about": words,
        "about_url": url,
        "about_key": key_of(about) if about else "",
        "page_url": page,
        "new_url": new,
    }


def _shown(request: HttpRequest, roadmap: Roadmap, otherwise: Part | None) -> Part | None:
    """The part whose comments the page shows that asks by htmx; a plain browser goes on to `otherwise`."""
    details = getattr(request, "htmx", None)
    if not is_partial(request) or details is None or not details.current_url:
        return otherwise
    asked = parse_qs(urlsplit(details.current_url).query).get("about", [""])[0]
    return part_of(roadmap, asked)


@require_safe
def comment_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Every comment of a roadmap, or with `?about=milestone-12` of a part, the newest first, a page at a time."""
    asker, roadmap = roadmap_or_404(request, slug)
    given = request.GET.get("before", "")
    before = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else None
    asked = request.GET.get("about", "")
    about = part_of(roadmap, asked)
    if asked and about is None:
        raise Http404
    context = _context(asker, roadmap, about, before) | {"is_first": before is None}
    return render(request, "roadmap/comments.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def comment_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Adds a comment; `?about=milestone-12` is chosen already."""
    asker, roadmap = roadmap_or_404(request, slug)
    asked = request.POST.get("about", request.GET.get("about", ""))

    def save(form: CommentForm) -> str:
        add_comment(asker, roadmap, text=form.cleaned_data["text"], about=form.part())
        return gettext("Comment added.")

    return form_view(
        request,
        asker,
        comments_place(roadmap, _shown(request, roadmap, part_of(roadmap, asked))),
        make=lambda **kwargs: CommentForm(roadmap=roadmap, initial={"about": asked}, **kwargs),
        save=save,
        title=gettext("Add a comment"),
        submit=gettext("Add"),
    )


def _find(request: HttpRequest, pk: int) -> tuple[Asker, Comment]:
    asker = asker_of(request)
    found = (
        Comment.objects.select_related("roadmap__workload")
        .filter(pk=pk, roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if found is None:
        raise Http404
    return asker, found


@require_http_methods(["GET", "HEAD", "POST"])
def comment_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a comment of one's own."""
    asker, comment = _find(request, pk)
    if comment.author_id != asker.user.pk:
        raise PermissionDenied(gettext("Only who wrote a comment changes it."))

    def save(form: CommentTextForm) -> str:
        change_comment(asker, comment, text=form.cleaned_data["text"])
        return gettext("Comment saved.")

    return form_view(
        request,
        asker,
        comments_place(comment.roadmap, _shown(request, comment.roadmap, comment.part)),
        make=lambda **kwargs: CommentTextForm(initial={"text": comment.text}, **kwargs),
        save=save,
        title=gettext("Change a comment"),
        row_id=comment.pk,
    )


@require_POST
def comment_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes a comment: its author or a manager."""
    asker, comment = _find(request, pk)
    if not may_delete(asker, comment):
        raise PermissionDenied(gettext("Only who wrote a comment, or a manager, deletes it."))
    place = comments_place(comment.roadmap, _shown(request, comment.roadmap, comment.part))
    return act(request, asker, place, lambda: delete_comment(asker, comment), gettext("Comment deleted."))
