"""What a person does to a report, over REST: words, publishing, revising, closing a month. By the pages' rules."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.actions.report_drafts import words_of
from roadmap.actions.report_publishing import LONGEST_WHY, publish_report, revise_report
from roadmap.actions.report_words import WordsChanged, give_words
from roadmap.actions.reports import ask_to_close, following
from roadmap.api.reports import ReportSerializer
from roadmap.api.rows import Input
from roadmap.models import Report, ReportWords
from roadmap.models.report_words import LONGEST_ACTION, LONGEST_WORDS
from roadmap.queries.reports import reports_with_words, visible_reports
from roadmap.tasks import advance_reports
from web.problems import problem_response


class ReportWordsOut(serializers.ModelSerializer[ReportWords]):
    """The manager's words; `version` 0 while there are none."""

    next_actions = serializers.DictField(child=serializers.CharField())

    class Meta:
        model = ReportWords
        fields = ("text", "next_actions", "is_ready", "version", "changed_at", "changed_by_name")


class ReportWordsIn(Input):
    """The words as a whole. `version`: the one that they replace."""

    text = serializers.CharField(max_length=LONGEST_WORDS, allow_blank=True)
    next_actions = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_ACTION, allow_blank=True), required=False
    )
    is_ready = serializers.BooleanField(required=False)
    version = serializers.IntegerField(min_value=0)


class ReviseIn(Input):
    """Why the report is corrected, for its readers."""

    why = serializers.CharField(max_length=LONGEST_WHY)


class RevisedOut(serializers.Serializer[Any]):
    """`revision` is null where nothing had changed, so that nothing was published."""

    revision = ReportSerializer(allow_null=True)


class CloseMonthIn(Input):
    """A month that is over, by its first day."""

    month = serializers.DateField()


class ClosingOut(serializers.Serializer[Any]):
    """How many reports workers are publishing now."""

    reports = serializers.IntegerField()


class ReportWordsView(APIView):
    """The words of one roadmap's report."""

    @extend_schema(
        operation_id="report_words", tags=["reports"], summary="The manager's words", responses=ReportWordsOut
    )
    def get(self, request: Request, uuid: UUID) -> Response:
        found = get_object_or_404(self.reports(request), uuid=uuid)
        return Response(ReportWordsOut(words_of(found) or ReportWords(report=found)).data)

    @extend_schema(
        operation_id="give_report_words",
        tags=["reports"],
        summary="Give a report its words",
        description="Until it is published. 409 where another version was saved since `version`; nothing is changed.",
        request=ReportWordsIn,
        responses={200: ReportWordsOut},
    )
    def put(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """Saves them."""
        found = get_object_or_404(self.reports(request), uuid=uuid)
        given = ReportWordsIn(data=request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(given.validated_data)
        try:
            words = give_words(
                asker_of(request),
                found,
                text=values["text"],
                next_actions=values.get("next_actions", {}),
                is_ready=values.get("is_ready", False),
                version=values["version"],
            )
        except WordsChanged as error:
            return problem_response(409, error.code, error.message, version=error.held.version)
        return Response(ReportWordsOut(words).data)

    def reports(self, request: Request) -> QuerySet[Report]:
        """Those whose words the asker reads."""
        return reports_with_words(asker_of(request))


class ReportPublish(APIView):
    """Publishing a draft."""

    @extend_schema(
        operation_id="publish_report",
        tags=["reports"],
        summary="Publish a draft before its day",
        request=None,
        responses={200: ReportSerializer},
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """By managers of the roadmap; of programmes and the portfolio by admins."""
        asker = asker_of(request)
        found = get_object_or_404(visible_reports(asker), uuid=uuid)
        published = publish_report(asker, found)
        advance_reports(following(published))
        return Response(ReportSerializer(published).data)


class ReportRevise(APIView):
    """Correcting a published report."""

    @extend_schema(
        operation_id="revise_report",
        tags=["reports"],
        summary="Publish the next revision where something has changed",
        request=ReviseIn,
        responses={200: RevisedOut},
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """The published one stays as it is."""
        asker = asker_of(request)
        found = get_object_or_404(visible_reports(asker), uuid=uuid)
        given = ReviseIn(data=request.data)
        given.is_valid(raise_exception=True)
        revision = revise_report(asker, found, why=given.validated_data["why"])
        if revision is not None:
            advance_reports(following(revision))
        return Response({"revision": ReportSerializer(revision).data if revision else None})


class CloseMonth(APIView):
    """Closing a month."""

    @extend_schema(
        operation_id="close_month",
        tags=["reports"],
        summary="Have workers publish a month's reports before their day",
        request=CloseMonthIn,
        responses={202: ClosingOut},
    )
    def post(self, request: Request) -> Response:
        """By admins."""
        given = CloseMonthIn(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = ask_to_close(asker_of(request), given.validated_data["month"])
        advance_reports(wanted)
        return Response({"reports": len(wanted)}, status=202)
