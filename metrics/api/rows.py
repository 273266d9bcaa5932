"""What the views of backends, series and prices share: reading strictly, answering, listing by cursor."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Asker, can_change_backends, can_see_backends, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Workload
from metrics.errors import RuleViolation
from web.pagination import CursorPagination


class Input(serializers.Serializer[Any]):
    """An input that refuses fields that it does not know, by name."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(dict.fromkeys(unknown, "This field is not known."))
        return super().to_internal_value(data)


class PlainView(APIView):
    """Reading strictly and listing by cursor; who may is said by those who build on it."""

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def read(self, serializer: type[Input], *, partial: bool = False) -> dict[str, Any]:
        """The request's body, checked. Raises ValidationError."""
        given = serializer(data=self.request.data, partial=partial)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def page(
        self,
        rows: Any,
        serializer: type[serializers.BaseSerializer[Any]],
        *,
        ordering: str | tuple[str, ...] = "-id",
        context: dict[str, Any] | None = None,
    ) -> Response:
        """A page of a queryset."""
        pages = CursorPagination()
        pages.ordering = ordering  # type: ignore[assignment]
        found: list[Any] = pages.paginate_queryset(rows, self.request, view=self) or []
        return pages.get_paginated_response(serializer(found, many=True, context=context or {}).data)


class BackendsView(PlainView):
    """Reading for those who see backends; writing is checked by the actions, and here before anything is looked up."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not can_see_backends(self.asker):
            raise PermissionDenied("Backends are shown to managers, contributors, executives and admins.")
        if request.method not in ("GET", "HEAD", "OPTIONS") and not can_change_backends(self.asker):
            raise PermissionDenied("Only admins add and change backends.")


def workload_of(asker: Asker, slug: str | None, field: str = "roadmap") -> Workload | None:
    """The workload of this slug, None for none. Raises RuleViolation."""
    if not slug:
        return None
    found = visible_workloads(asker).filter(slug=slug).first()
    if found is None:
        raise RuleViolation("unknown_roadmap", f"There is no roadmap '{slug}'.", field)
    return found
