"""What waits for the asker, over REST."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.queries.my_week import my_week


class WaitingOut(serializers.Serializer[Any]):
    """`on` is the day by which it is due, null where it was never done; `days` until then, negative when late."""

    name = serializers.CharField()
    roadmap = serializers.CharField()
    url = serializers.CharField(help_text="The page on which it is done.")
    on = serializers.DateField(allow_null=True)
    days = serializers.IntegerField(allow_null=True)
    is_late = serializers.BooleanField()
    is_demo = serializers.BooleanField()


class MentionOut(serializers.Serializer[Any]):
    """A comment of the last 14 days that names the asker with @; `text` is its beginning."""

    who = serializers.CharField()
    text = serializers.CharField()
    roadmap = serializers.CharField()
    url = serializers.CharField()
    at = serializers.DateTimeField()


class MyWeekOut(serializers.Serializer[Any]):
    """Milestones due in 14 days, gates in 30, updates and readings that are due."""

    today = serializers.DateField()
    milestones = WaitingOut(many=True)
    gates = WaitingOut(many=True)
    updates = WaitingOut(many=True)
    readings = WaitingOut(many=True)
    mentions = MentionOut(many=True)


class MyWeekView(APIView):
    """My week, of the token's owner."""

    @extend_schema(operation_id="read_my_week", tags=["me"], summary="What waits for you", responses=MyWeekOut)
    def get(self, request: Request) -> Response:
        return Response(MyWeekOut(my_week(asker_of(request), today=timezone.localdate())).data)
