"""Files as evidence of milestones over REST."""

from __future__ import annotations

import binascii
from base64 import b64decode

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.evidence import add_evidence, remove_evidence
from roadmap.api.milestones import MilestoneView
from roadmap.api.rows import PROBLEMS, Input, PlanView, described
from roadmap.models import EvidenceFile
from roadmap.rules.evidence import MOST_BYTES, too_large
from roadmap.views.evidence import download

# 10 MiB as base64 writes them, with some line ends.
LONGEST_BASE64 = MOST_BYTES * 3 // 2


class EvidenceOut(serializers.ModelSerializer[EvidenceFile]):
    """What is known of a file; its bytes are at `content`."""

    roadmap = serializers.CharField(source="milestone.phase.roadmap.slug")
    added_by = serializers.CharField(source="added_by.username", default=None)
    content = serializers.SerializerMethodField()

    class Meta:
        model = EvidenceFile
        fields = (
            "id",
            "roadmap",
            "milestone",
            "name",
            "kind",
            "size",
            "sha256",
            "added_by",
            "added_by_name",
            "added_at",
            "content",
        )

    def get_content(self, file: EvidenceFile) -> str:
        return reverse("api_evidence_content", args=[file.pk], request=self.context.get("request"))


class EvidenceIn(Input):
    """A file as a form sends it."""

    file = serializers.FileField(allow_empty_file=True)


class EvidenceJson(Input):
    """A file as JSON carries it."""

    name = serializers.CharField(max_length=1000)
    content = serializers.CharField(max_length=LONGEST_BASE64, allow_blank=True, help_text="The bytes as base64.")


class MilestoneFiles(MilestoneView):
    """The files of a milestone, the first added first."""

    parser_classes = (JSONParser, MultiPartParser)

    @extend_schema(
        operation_id="list_evidence",
        tags=["milestones"],
        summary="The files of a milestone",
        responses={200: EvidenceOut(many=True), **PROBLEMS},
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = self.row(pk).files.select_related("added_by", "milestone__phase__roadmap__workload")
        return Response({"results": EvidenceOut(rows, many=True, context={"request": request}).data})

    @extend_schema(
        operation_id="add_evidence",
        tags=["milestones"],
        summary="Add a file to a milestone",
        description="At most 10 MiB, as a form or as base64 in JSON. The same bytes again answer 409.",
        request={"multipart/form-data": EvidenceIn, "application/json": EvidenceJson},
        responses={201: EvidenceOut, **PROBLEMS},
    )
    def post(self, request: Request, pk: int) -> Response:
        milestone = self.row(pk)
        self.allow(Role.CONTRIBUTOR, milestone.phase.roadmap)
        name, data = self._form() if request.content_type.startswith("multipart/") else self._json()
        added = add_evidence(self.asker, milestone, name=name, data=data)
        row = EvidenceFile.objects.select_related("added_by", "milestone__phase__roadmap__workload").get(pk=added.pk)
        location = reverse("api_evidence", args=[row.pk], request=request)
        return Response(EvidenceOut(row, context={"request": request}).data, status=201, headers={"Location": location})

    def _form(self) -> tuple[str, bytes]:
        file = self.read(EvidenceIn)["file"]
        if file.size > MOST_BYTES:
            raise RuleViolation("too_large", too_large(), "file")
        return str(file.name), file.read()

    def _json(self) -> tuple[str, bytes]:
        data = self.read(EvidenceJson)
        try:
            return str(data["name"]), b64decode("".join(data["content"].split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RuleViolation("no_base64", "Send the file's bytes as base64.", "content") from error


class EvidenceView(PlanView):
    """Files of the roadmaps that the asker sees."""

    model = EvidenceFile
    roadmap_path = "milestone__phase__roadmap"
    related = ("added_by",)
    serializer_class = EvidenceOut


@described(EvidenceOut, tag="milestones", get="One file of a milestone", delete="Remove a file")
class EvidenceDetail(EvidenceView):
    """One file."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        remove_evidence(self.asker, self.row(pk))
        return Response(status=204)


class EvidenceContent(EvidenceView):
    """The bytes of a file."""

    @extend_schema(
        operation_id="download_evidence",
        tags=["milestones"],
        summary="Download a file",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **PROBLEMS},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        return download(self.row(pk))
