"""A roadmap's activity over REST: for everybody who sees the roadmap. Managers read the whole trail under /audit/."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from roadmap.api.roadmaps import OneRoadmap
from roadmap.api.rows import PROBLEMS
from roadmap.queries.activity import LONGEST, activity


class HappenedOut(serializers.Serializer[Any]):
    """Who did what, as a sentence, and when."""

    at = serializers.DateTimeField()
    who = serializers.CharField()
    what = serializers.CharField()


class RoadmapActivity(OneRoadmap):
    """What happened last on a roadmap."""

    serializer_class = HappenedOut

    @extend_schema(
        tags=["roadmaps"],
        operation_id="list_activity",
        summary="What happened last, the newest first",
        responses={200: HappenedOut(many=True), **PROBLEMS},
    )
    def get(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        lines = activity(self.asker, found, limit=LONGEST).lines
        return Response(HappenedOut(lines, many=True).data)
