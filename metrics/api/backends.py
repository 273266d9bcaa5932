"""Backends over REST: list, add, test, change, remove, pull, read back, link."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Asker, can_change_backends, sees_everything
from metrics.actions import backends as actions
from metrics.actions import backfills
from metrics.actions.links import link_backend
from metrics.actions.pushed import add_pushed_backend
from metrics.api.rows import BackendsView, Input, workload_of
from metrics.api.usage_schema import problem_answer
from metrics.errors import ConnectorError, RuleViolation
from metrics.freshness import freshness_of, is_late
from metrics.models import Backend, Pull
from metrics.sources import PUSH_ONLY
from metrics.tasks import enqueue_on_commit, hand_out_backfills, post_capacity_since, pull_backend
from metrics.unaddressed import unaddressed
from metrics.usage import MeasuredAt
from metrics.visible import shown_backends

REFUSED = {
    403: problem_answer("Only admins change backends."),
    404: problem_answer("None that you may see."),
    422: problem_answer("Something that was given cannot be."),
}
PLACES = [(place.value, place.value) for place in MeasuredAt if place is not MeasuredAt.APPLICATION]


class BackendOut(serializers.ModelSerializer[Backend]):
    """A backend. Of secrets only whether there are any."""

    roadmap = serializers.CharField(source="default_workload.slug", default=None, read_only=True)
    behind = serializers.CharField(source="behind.slug", default=None, read_only=True)
    has_secrets = serializers.SerializerMethodField()
    parameters = serializers.SerializerMethodField()
    freshness = serializers.SerializerMethodField()
    is_late = serializers.SerializerMethodField()

    class Meta:
        model = Backend
        fields = (
            "slug",
            "name",
            "connector",
            "provider",
            "parameters",
            "has_secrets",
            "measured_at",
            "hardware",
            "roadmap",
            "behind",
            "behind_from_on",
            "pull_every_minutes",
            "is_enabled",
            "next_pull_at",
            "data_until",
            "problem",
            "is_problem_permanent",
            "backfill_from",
            "backfill_cursor",
            "is_backfill_stopped",
            "backfill_problem",
            "history_from",
            "resting_until",
            "trailing_hours",
            "daily_trailing_hours",
            "settling_hours",
            "freshness",
            "is_late",
            "is_demo",
            "is_example",
            "created_at",
        )

    def to_representation(self, backend: Backend) -> dict[str, Any]:
        return super().to_representation(backend if self.context.get("may_change") else unaddressed(backend))

    def get_has_secrets(self, backend: Backend) -> bool:
        return bool(backend.secrets)

    def get_freshness(self, backend: Backend) -> str:
        return freshness_of(backend, timezone.now()).text

    def get_is_late(self, backend: Backend) -> bool:
        return is_late(backend, timezone.now())

    def get_parameters(self, backend: Backend) -> dict[str, Any]:
        """Addresses and the like are shown to those who may change them."""
        return dict(backend.parameters) if self.context.get("may_change") else {}


class BackendChange(Input):
    """What can be changed of a backend. Parameters that are left out stay, secrets included."""

    name = serializers.CharField(max_length=200)
    parameters = serializers.DictField(required=False)
    measured_at = serializers.ChoiceField(PLACES, required=False)
    hardware = serializers.CharField(max_length=100, required=False, allow_blank=True)
    roadmap = serializers.CharField(required=False, allow_null=True)
    pull_every_minutes = serializers.IntegerField(required=False)
    trailing_hours = serializers.IntegerField(required=False, allow_null=True)
    daily_trailing_hours = serializers.IntegerField(required=False, allow_null=True)
    settling_hours = serializers.IntegerField(required=False, allow_null=True)


class BackendIn(BackendChange):
    """A new backend: its connector and what that asks for, secrets included."""

    connector = serializers.CharField(max_length=40)
    parameters = serializers.DictField()
    backfill_from_on = serializers.DateField(required=False, allow_null=True)


class TestIn(Input):
    """A connector and its parameters, to be tried without keeping them."""

    __test__ = False
    connector = serializers.CharField(max_length=40)
    parameters = serializers.DictField()


class TestOut(serializers.Serializer[Any]):
    """What works and what does not, in words."""

    __test__ = False
    ok = serializers.BooleanField()
    lines = serializers.ListField(child=serializers.DictField())


class LinkIn(Input):
    """The gateway in front, null for none; from which day it counts (today unless given)."""

    gateway = serializers.CharField(allow_null=True)
    from_on = serializers.DateField(required=False, allow_null=True)


class BackfillIn(Input):
    """How far back to read; null stops. `resume` goes on where it was stopped."""

    from_on = serializers.DateField(allow_null=True, required=False)
    resume = serializers.BooleanField(default=False)


class PullOut(serializers.ModelSerializer[Pull]):
    """One attempt to read a backend."""

    class Meta:
        model = Pull
        fields = ("started_at", "ended_at", "window_start", "window_end", "outcome", "message", "cells", "is_backfill")

    def to_representation(self, pull: Pull) -> dict[str, Any]:
        if not self.context.get("may_change"):
            unaddressed(pull.backend, [pull])
        return super().to_representation(pull)


def _pushed(asker: Asker, data: dict[str, Any]) -> dict[str, Any]:
    """What a backend that is pushed to is made of; of parameters it has its provider."""
    unknown = sorted(set(data["parameters"]) - {"provider"})
    if unknown:
        raise RuleViolation("unknown_parameter", f"A backend that is pushed to does not know {unknown[0]}.", unknown[0])
    return {
        "name": data["name"],
        "provider": str(data["parameters"].get("provider") or ""),
        "hardware": data.get("hardware", ""),
        "measured_at": data.get("measured_at", ""),
        "default_workload": workload_of(asker, data.get("roadmap")),
    }


def _reading(data: dict[str, Any]) -> dict[str, int | None]:
    """Take what was given of how much is read again."""
    return {name: data.pop(name) for name, *_ in actions.READING_BOUNDS if name in data}


class BackendsOf(BackendsView):
    """Finding a backend that the asker may see."""

    def backends(self) -> QuerySet[Backend]:
        return shown_backends(self.asker)

    def find(self, slug: str) -> Backend:
        return get_object_or_404(self.backends(), slug=slug)

    def row(self, backend: Backend) -> dict[str, Any]:
        context = {"may_change": can_change_backends(self.asker)}
        return dict(BackendOut(self.find(backend.slug), context=context).data)


class BackendListView(BackendsOf):
    """The backends that the asker may see."""

    @extend_schema(operation_id="list_backends", tags=["backends"], responses={200: BackendOut(many=True)})
    def get(self, request: Request) -> Response:
        return self.page(self.backends(), BackendOut, context={"may_change": can_change_backends(self.asker)})

    @extend_schema(
        operation_id="add_backend", tags=["backends"], request=BackendIn, responses={201: BackendOut, **REFUSED}
    )
    def post(self, request: Request) -> Response:
        data = self.read(BackendIn)
        if data["connector"] == PUSH_ONLY:
            made = add_pushed_backend(self.asker, **_pushed(self.asker, data))
            return Response(self.row(made), status=201, headers={"Location": reverse("api_backend", args=[made.slug])})
        made = actions.add_backend(
            self.asker,
            kind=data.pop("connector"),
            values=data.pop("parameters"),
            default_workload=workload_of(self.asker, data.pop("roadmap", None)),
            reading=_reading(data),
            **data,
        )
        enqueue_on_commit(pull_backend, made.pk)
        if made.backfill_cursor is not None:
            enqueue_on_commit(hand_out_backfills)
        return Response(self.row(made), status=201, headers={"Location": reverse("api_backend", args=[made.slug])})


class BackendTestView(BackendsOf):
    """Test connection."""

    @extend_schema(operation_id="test_backend", tags=["backends"], request=TestIn, responses={200: TestOut, **REFUSED})
    def post(self, request: Request) -> Response:
        data = self.read(TestIn)
        found = actions.test_backend(self.asker, kind=data["connector"], values=data["parameters"], backend=None)
        lines = [{"tone": tone, "text": text} for tone, text in found.lines]
        return Response({"ok": found.ok, "lines": lines})


class BackendView(BackendsOf):
    """One backend."""

    @extend_schema(operation_id="read_backend", tags=["backends"], responses={200: BackendOut, **REFUSED})
    def get(self, request: Request, slug: str) -> Response:
        return Response(self.row(self.find(slug)))

    @extend_schema(
        operation_id="change_backend", tags=["backends"], request=BackendChange, responses={200: BackendOut, **REFUSED}
    )
    def patch(self, request: Request, slug: str) -> Response:
        backend = self.find(slug)
        data = self.read(BackendChange, partial=True)
        workload = backend.default_workload
        if "roadmap" in data:
            workload = workload_of(self.asker, data["roadmap"])
        changed = actions.change_backend(
            self.asker,
            backend,
            name=data.get("name", backend.name),
            values={**backend.parameters, **data.get("parameters", {})},
            measured_at=data.get("measured_at", ""),
            hardware=data.get("hardware", backend.hardware),
            default_workload=workload,
            pull_every_minutes=data.get("pull_every_minutes"),
            reading=_reading(data),
        )
        enqueue_on_commit(pull_backend, changed.pk)
        return Response(self.row(changed))

    @extend_schema(operation_id="remove_backend", tags=["backends"], responses={204: None, **REFUSED})
    def delete(self, request: Request, slug: str) -> Response:
        """Stop pulling and forget the secrets. What it has counted stays."""
        actions.remove_backend(self.asker, self.find(slug))
        return Response(status=204)


class BackendPullsView(BackendsOf):
    """The pull log; a POST pulls now."""

    @extend_schema(operation_id="list_pulls", tags=["backends"], responses={200: PullOut(many=True), **REFUSED})
    def get(self, request: Request, slug: str) -> Response:
        backend = self.find(slug)
        pulls = backend.pulls.all() if sees_everything(self.asker) else Pull.objects.none()
        return self.page(pulls, PullOut, context={"may_change": can_change_backends(self.asker)})

    @extend_schema(operation_id="pull_backend", tags=["backends"], request=None, responses={202: None, **REFUSED})
    def post(self, request: Request, slug: str) -> Response:
        enqueue_on_commit(pull_backend, self.find(slug).pk)
        return Response(status=202)


class BackendLinkView(BackendsOf):
    """What a backend stands behind."""

    @extend_schema(
        operation_id="link_backend", tags=["backends"], request=LinkIn, responses={200: BackendOut, **REFUSED}
    )
    def post(self, request: Request, slug: str) -> Response:
        data = self.read(LinkIn)
        backend = self.find(slug)
        gateway = None
        if data["gateway"] is not None:
            gateway = self.backends().filter(slug=data["gateway"]).first()
            if gateway is None:
                raise RuleViolation("unknown_backend", f"There is no backend '{data['gateway']}'.", "gateway")
        before = backend.behind_from_on
        link_backend(self.asker, backend, gateway=gateway, from_on=data.get("from_on"))
        post_capacity_since(backend.pk, before, data.get("from_on"))
        return Response(self.row(backend))


class BackendBackfillView(BackendsOf):
    """Reading back."""

    @extend_schema(
        operation_id="backfill_backend", tags=["backends"], request=BackfillIn, responses={202: BackendOut, **REFUSED}
    )
    def post(self, request: Request, slug: str) -> Response:
        backend, data = self.find(slug), self.read(BackfillIn)
        from_on = data.get("from_on")
        if data["resume"]:
            backfills.resume_backfill(self.asker, backend)
            enqueue_on_commit(hand_out_backfills)
        elif "from_on" not in data:
            raise RuleViolation("required", "Say to which day, null to stop, or resume.", "from_on")
        elif from_on is None:
            backfills.cancel_backfill(self.asker, backend)
        else:
            backfills.start_backfill(self.asker, backend, from_on=from_on)
            enqueue_on_commit(hand_out_backfills)
        return Response(self.row(backend), status=202)


class CandidatesView(BackendsOf):
    """What a source such as a Prometheus server offers to be added."""

    @extend_schema(
        operation_id="discover_backends", tags=["backends"], request=TestIn, responses={200: None, **REFUSED}
    )
    def post(self, request: Request) -> Response:
        data = self.read(TestIn)
        try:
            found = actions.discover(self.asker, kind=data["connector"], values=data["parameters"])
        except ConnectorError as error:
            raise RuleViolation("source_failed", str(error)) from None
        return Response([{"name": c.name, "detail": c.detail, "parameters": c.parameters} for c in found])
