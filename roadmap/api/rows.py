"""What the plan's REST addresses share: rows one may see, strict input, people by user name, answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Asker, can, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role, User
from accounts.permissions import HasScope
from metrics.errors import RuleViolation
from roadmap.forms.plan_form import people_of
from roadmap.models import Phase, Roadmap

PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="RFC 9457 problem document")
PROBLEMS = {401: PROBLEM, 403: PROBLEM, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM}
LIST_PARAMETERS = [
    OpenApiParameter("roadmap", str, description="Only of the roadmap with this slug."),
    OpenApiParameter("phase", int, description="Only of the phase with this id."),
]


class MayRecord(HasScope):
    """A token that pushes may record, and so may one that manages."""

    implied: ClassVar[dict[str, tuple[str, ...]]] = {**HasScope.implied, "push": ("push", "manage")}


class Input(serializers.Serializer[Any]):
    """A JSON object whose fields are all known; an unknown one is named and refused."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": ["Send a JSON object."]})
        unknown = sorted(set(data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


def person_field(**kwargs: Any) -> serializers.SlugRelatedField[User]:
    """A person by user name."""
    return serializers.SlugRelatedField(slug_field="username", queryset=User.objects.filter(is_active=True), **kwargs)


def described(
    output: type[serializers.BaseSerializer[Any]], given: Any = None, *, tag: str, **methods: str
) -> Callable[[type[Any]], type[Any]]:
    """The OpenAPI annotation of a view: `methods` are get, list, post, patch, delete with their summaries."""
    schemas = {}
    for name, summary in methods.items():
        if name == "list":
            schemas["get"] = extend_schema(
                tags=[tag], summary=summary, parameters=LIST_PARAMETERS, responses={200: output(many=True), **PROBLEMS}
            )
        elif name == "get":
            schemas["get"] = extend_schema(tags=[tag], summary=summary, responses={200: output, **PROBLEMS})
        elif name == "delete":
            schemas["delete"] = extend_schema(tags=[tag], summary=summary, responses={204: None, **PROBLEMS})
        else:
            status = 201 if name == "post" else 200
            request = given(partial=True) if name == "patch" and isinstance(given, type) else given
            schemas[name] = extend_schema(
                tags=[tag], summary=summary, request=request, responses={status: output, **PROBLEMS}
            )
    return extend_schema_view(**schemas)


class PlanView(GenericAPIView[Any]):
    """Rows of the roadmaps that the asker sees. `roadmap_path` leads from a row to its roadmap ('phase__roadmap')."""

    model: type[Model]
    roadmap_path = ""
    phase_path = ""
    related: tuple[str, ...] = ()
    serializer_class: Any

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[Any]:
        """Visible rows, narrowed by `roadmap` and `phase` of the query."""
        prefix = f"{self.roadmap_path}__" if self.roadmap_path else ""
        manager = self.model._default_manager
        if getattr(self, "swagger_fake_view", False):
            return manager.none()
        rows = manager.filter(**{f"{prefix}workload__in": visible_workloads(self.asker)})
        related = [f"{prefix}workload", *self.related]
        if slug := self.request.query_params.get("roadmap"):
            # The database cannot hold U+0000, and so cannot look for it.
            rows = rows.none() if "\0" in slug else rows.filter(**{f"{prefix}workload__slug": slug})
        if phase := self.request.query_params.get("phase"):
            if not phase.isdecimal():
                raise RuleViolation("invalid", "Give the id of a phase.", "phase")
            rows = rows.filter(**{self.phase_path: int(phase)}) if self.phase_path else rows
        return rows.select_related(*related)

    def row(self, pk: int) -> Any:
        """The row, or 404 where there is none that the asker sees."""
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise Http404
        return found

    def read(self, given: type[serializers.Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
        """The request's body, checked."""
        serializer = given(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def answer(self, row: Any, status: int = 200) -> Response:
        """The row as JSON."""
        return Response(self.get_serializer(row).data, status=status)

    def allow(self, role: Role, roadmap: Roadmap) -> None:
        """403 before anything of the body is judged, for those who could not change it anyway."""
        if not can(self.asker, role, roadmap.workload):
            raise PermissionDenied

    def phase(self, pk: int) -> Phase:
        """The phase named in a body, where the asker sees it."""
        found = (
            Phase.objects.select_related("roadmap__workload")
            .filter(pk=pk, roadmap__workload__in=visible_workloads(self.asker))
            .first()
        )
        if found is None:
            raise RuleViolation("unknown_phase", "There is no such phase.", "phase")
        return found

    def roadmap(self, slug: str) -> Roadmap:
        """The roadmap named in a body, where the asker sees it."""
        found = (
            Roadmap.objects.select_related("workload")
            .filter(workload__slug=slug, workload__in=visible_workloads(self.asker))
            .first()
        )
        if found is None:
            raise RuleViolation("unknown_roadmap", "There is no such roadmap.", "roadmap")
        return found


def check_people(roadmap: Roadmap, data: Mapping[str, Any]) -> None:
    """Refuses people who neither belong to the roadmap nor see every one."""
    for name, value in data.items():
        if isinstance(value, User) and not people_of(roadmap).filter(pk=value.pk).exists():
            raise RuleViolation("unknown_person", f"{value.username} does not belong to this roadmap.", name)


class ListView(PlanView):
    """GET a page of rows; subclasses add POST."""

    def get(self, request: Request) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)
