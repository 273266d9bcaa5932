"""Comments over REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from metrics.errors import RuleViolation
from roadmap.actions.comments import LONGEST, add_comment, change_comment, delete_comment
from roadmap.api.rows import Input, ListView, PlanView, described
from roadmap.models import Comment
from roadmap.models.comment import PARTS
from roadmap.queries.comments import find_part


class CommentOut(serializers.ModelSerializer[Comment]):
    """What somebody said about a roadmap, or about the one of phase, milestone, gate and risk that is not null."""

    roadmap = serializers.CharField(source="roadmap.slug")
    author = serializers.CharField(source="author.username", default=None)
    mentioned = serializers.SlugRelatedField(slug_field="username", many=True, read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = Comment
        fields = ("id", "roadmap", *PARTS, "text", "author", "author_name", "mentioned", "created_at", "edited_at")


class CommentChange(Input):
    """Another text."""

    text = serializers.CharField(max_length=LONGEST, trim_whitespace=False)


class CommentIn(CommentChange):
    """A new comment, on the roadmap or on one of its parts."""

    roadmap = serializers.CharField()
    phase = serializers.IntegerField(required=False, min_value=1)
    milestone = serializers.IntegerField(required=False, min_value=1)
    gate = serializers.IntegerField(required=False, min_value=1)
    risk = serializers.IntegerField(required=False, min_value=1)


class CommentView(PlanView):
    """Comments of the roadmaps that the asker sees."""

    model = Comment
    roadmap_path = "roadmap"
    phase_path = "phase_id"
    related = ("author",)
    serializer_class = CommentOut

    def get_queryset(self) -> Any:
        return super().get_queryset().prefetch_related("mentioned")


@described(CommentOut, CommentIn, tag="comments", list="Comments, newest first", post="Add a comment")
class CommentListView(CommentView, ListView):
    """Comments."""

    def post(self, request: Request) -> Response:
        data = self.read(CommentIn)
        found = self.roadmap(data["roadmap"])
        named = [(kind, data[kind]) for kind in PARTS if kind in data]
        if len(named) > 1:
            raise RuleViolation("one_part", "A comment is about one part: name one of them.", named[1][0])
        about = find_part(found, *named[0]) if named else None
        if named and about is None:
            raise RuleViolation(f"unknown_{named[0][0]}", f"There is no such {named[0][0]}.", named[0][0])
        return self.answer(self.row(add_comment(self.asker, found, text=data["text"], about=about).pk), 201)


@described(
    CommentOut,
    CommentChange,
    tag="comments",
    get="One comment",
    patch="Change a comment of one's own",
    delete="Delete a comment",
)
class CommentDetail(CommentView):
    """One comment."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        change_comment(self.asker, self.row(pk), text=self.read(CommentChange)["text"])
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_comment(self.asker, self.row(pk))
        return Response(status=204)
