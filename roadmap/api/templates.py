"""Templates over REST: list, read, import, save a roadmap as one, rename, retire."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.access import Asker
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.templates import import_template, rename_template, retire_template, save_as_template
from roadmap.api.roadmaps import OneRoadmap
from roadmap.api.rows import PROBLEMS, Input
from roadmap.models import PlanTemplate
from roadmap.queries.templates import own_template
from roadmap.template import MAX_BYTES, Template
from roadmap.template_files import load_templates, shipped, write_template


class TemplateOut(serializers.Serializer[Any]):
    """A template; its content is the YAML of `/templates/<slug>/yaml`."""

    slug = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    industry = serializers.CharField()
    use_case = serializers.CharField()
    unit_of_work = serializers.CharField()
    risk_class = serializers.CharField()
    data_class = serializers.CharField()
    months = serializers.ListField(child=serializers.IntegerField())
    is_own = serializers.BooleanField()
    is_retired = serializers.BooleanField()


class TemplateIn(Input):
    """A template as YAML text."""

    document = serializers.CharField(max_length=MAX_BYTES, trim_whitespace=False)
    name = serializers.CharField(max_length=120, required=False)


class TemplateChange(Input):
    """Another name, or retired and not."""

    name = serializers.CharField(max_length=120, required=False)
    is_retired = serializers.BooleanField(required=False)


class TemplateName(Input):
    """The name of the new template."""

    name = serializers.CharField(max_length=120)


def told(template: Template, *, is_retired: bool = False) -> dict[str, Any]:
    """A template as the API tells it."""
    names = ("slug", "name", "summary", "industry", "use_case", "unit_of_work", "risk_class", "data_class", "is_own")
    found = {name: getattr(template, name) for name in names}
    return TemplateOut(found | {"months": list(template.months), "is_retired": is_retired}).data


class TemplateView(GenericAPIView[Any]):
    """What the template addresses share."""

    serializer_class: Any = TemplateOut
    pagination_class = None

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def read(self, given: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The request's body, checked."""
        serializer = given(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def own(self, slug: str) -> PlanTemplate:
        """The organisation's own template of this slug, or 404."""
        row = PlanTemplate.objects.filter(slug=slug).first()
        if row is None:
            raise Http404
        return row

    def made(self, request: Request, row: PlanTemplate) -> Response:
        """201 with where it is."""
        response = Response(told(own_template(row)), status=201)
        response["Location"] = reverse("api_template", args=[row.slug], request=request)
        return response


@extend_schema_view(
    get=extend_schema(tags=["templates"], summary="Templates", responses={200: TemplateOut(many=True), **PROBLEMS}),
    post=extend_schema(
        tags=["templates"], summary="Import a template", request=TemplateIn, responses={201: TemplateOut, **PROBLEMS}
    ),
)
class TemplateList(TemplateView):
    """Those that come with the product, then the organisation's own, retired ones included."""

    def get(self, request: Request) -> Response:
        own = PlanTemplate.objects.order_by("name", "pk")
        rows = [told(item) for item in load_templates()]
        rows += [told(own_template(row), is_retired=row.retired_at is not None) for row in own]
        return Response({"results": rows})

    def post(self, request: Request) -> Response:
        data = self.read(TemplateIn)
        return self.made(request, import_template(self.asker, data["document"], name=data.get("name", "")))


@extend_schema_view(
    get=extend_schema(tags=["templates"], summary="One template", responses={200: TemplateOut, **PROBLEMS}),
    patch=extend_schema(
        tags=["templates"],
        summary="Rename or retire an own template",
        request=TemplateChange,
        responses={200: TemplateOut, **PROBLEMS},
    ),
)
class TemplateDetail(TemplateView):
    """One template."""

    def get(self, request: Request, slug: str) -> Response:
        if slug in shipped():
            return Response(told(shipped()[slug]))
        row = self.own(slug)
        return Response(told(own_template(row), is_retired=row.retired_at is not None))

    def patch(self, request: Request, slug: str) -> Response:
        row, data = self.own(slug), self.read(TemplateChange)
        if len(data) != 1:
            raise RuleViolation("one_change", "Send name or is_retired, one of the two.")
        if "name" in data:
            row = rename_template(self.asker, row, name=data["name"])
        else:
            row = retire_template(self.asker, row, is_retired=data["is_retired"])
        return Response(told(own_template(row), is_retired=row.retired_at is not None))


@extend_schema(
    tags=["templates"], summary="A template as YAML", responses={(200, "application/yaml"): OpenApiTypes.STR}
)
class TemplateYaml(TemplateView):
    """The file that can be imported elsewhere."""

    def get(self, request: Request, slug: str) -> HttpResponse:
        found = shipped().get(slug) or own_template(self.own(slug))
        return HttpResponse(write_template(found), content_type="application/yaml; charset=utf-8")


@extend_schema(
    tags=["templates"],
    summary="Save a roadmap's plan as a template",
    request=TemplateName,
    responses={201: TemplateOut, **PROBLEMS},
)
class RoadmapTemplate(OneRoadmap):
    """Without people, money and evidence; dates become shares."""

    serializer_class: Any = TemplateOut

    def post(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        self.allow(Role.MANAGER, found)
        row = save_as_template(self.asker, found, name=self.read(TemplateName)["name"])
        response = Response(told(own_template(row)), status=201)
        response["Location"] = reverse("api_template", args=[row.slug], request=request)
        return response
