"""Who gets reports by mail, over REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.report_subscriptions import add_report_subscribers, remove_report_subscriber
from roadmap.api.rows import PROBLEMS, Input
from roadmap.models import Programme, ReportSubscription, Roadmap
from roadmap.queries.report_mail import PORTFOLIO, Subject, manages, sees, subject_of, subscriptions


class SubscriberOut(serializers.ModelSerializer[ReportSubscription]):
    """One reader: a person (user name) or an address. `last_state` is what became of the last mail, null before it."""

    id = serializers.UUIDField(source="uuid")
    person = serializers.CharField(source="person.username", default=None)
    last_state = serializers.CharField(default=None, allow_null=True)

    class Meta:
        model = ReportSubscription
        fields = ("id", "person", "address", "language", "is_on", "ended_at", "last_state")
        read_only_fields = fields


class SubscribersIn(Input):
    """`readers`: user names or mail addresses. Without `roadmap` and `programme` it is the portfolio's reports."""

    roadmap = serializers.CharField(required=False)
    programme = serializers.CharField(required=False)
    readers = serializers.ListField(child=serializers.CharField(max_length=400), allow_empty=False)
    language = serializers.CharField(required=False, allow_blank=True, default="")


class RefusedReaderOut(serializers.Serializer[Any]):
    """Who was not added, and why."""

    reader = serializers.CharField()
    why = serializers.CharField()


class SubscribersAddedOut(serializers.Serializer[Any]):
    """What adding did: `already` were on the list."""

    added = serializers.IntegerField()
    already = serializers.IntegerField()
    refused = RefusedReaderOut(many=True)


class SubscriberList(APIView):
    """The readers of a roadmap's reports, a programme's or the portfolio's, for who manages them."""

    @extend_schema(
        operation_id="list_report_subscribers",
        tags=["reports"],
        summary="Who gets reports by mail",
        parameters=[
            OpenApiParameter("roadmap", str, description="Slug; without it and `programme` the portfolio's."),
            OpenApiParameter("programme", str, description="A programme's name."),
        ],
        responses={200: SubscriberOut(many=True), **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        subject = _managed(asker_of(request), request.query_params)
        return Response(SubscriberOut(subscriptions(subject), many=True).data)

    @extend_schema(
        operation_id="add_report_subscribers",
        tags=["reports"],
        summary="Add readers",
        request=SubscribersIn,
        responses={201: SubscribersAddedOut, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        given = SubscribersIn(data=request.data)
        given.is_valid(raise_exception=True)
        asker, data = asker_of(request), given.validated_data
        subject = _managed(asker, data)
        added = add_report_subscribers(asker, subject, readers=data["readers"], language=data["language"])
        refused = [{"reader": reader, "why": why} for reader, why in added.refused]
        said = {"added": len(added.added), "already": added.already, "refused": refused}
        return Response(SubscribersAddedOut(said).data, status=201)


class SubscriberDetail(APIView):
    """One reader."""

    @extend_schema(
        operation_id="remove_report_subscriber",
        tags=["reports"],
        summary="Take a reader from the list",
        responses={204: None, **PROBLEMS},
    )
    def delete(self, request: Request, uuid: UUID) -> Response:
        asker = asker_of(request)
        held = ReportSubscription.objects.select_related("roadmap__workload", "programme").filter(uuid=uuid).first()
        # A token that is bound to a roadmap reaches no other's, one's own subscriptions included.
        if held is None or not sees(asker, subject_of(held)):
            raise Http404
        if held.person_id != asker.user.pk and not manages(asker, subject_of(held)):
            raise Http404
        remove_report_subscriber(asker, held)
        return Response(status=204)


def _managed(asker: Asker, given: Mapping[str, Any]) -> Subject:
    """The subject that the asker manages; 404 where there is none such. Raises RuleViolation for two of them."""
    slug, name = str(given.get("roadmap", "")), str(given.get("programme", ""))
    if slug and name:
        raise RuleViolation("two_subjects", _("Name a roadmap or a programme, not both."), "programme")
    subject: Subject | None = PORTFOLIO
    if "\0" in slug + name:
        subject = None
    elif slug:
        roadmap = Roadmap.objects.select_related("workload").filter(workload__slug=slug).first()
        subject = Subject("roadmap", roadmap=roadmap) if roadmap else None
    elif name:
        programme = Programme.objects.filter(name=name).first()
        subject = Subject("programme", programme=programme) if programme else None
    if subject is None or not manages(asker, subject):
        raise Http404
    return subject
