"""Tokens: list, make, change, revoke. The text of a token is in the answer to making it and nowhere else."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Asker, changeable_tokens, visible_workloads
from accounts.actions import change_token, issue_token, revoke_token
from accounts.authentication import asker_of
from accounts.forms import STEP_TOKENS_HELP
from accounts.models import Token
from web.pagination import CursorPagination


class TokenSerializer(serializers.ModelSerializer[Token]):
    """A token without its text."""

    roadmap: serializers.Field[Any, Any, Any, Any] = serializers.SlugRelatedField(
        source="workload", slug_field="slug", read_only=True
    )
    owner = serializers.CharField(source="owner.display_name", read_only=True)

    class Meta:
        model = Token
        fields = (
            "id",
            "name",
            "prefix",
            "owner",
            "scopes",
            "roadmap",
            "measured_at",
            "through",
            "signal",
            "counts_step_tokens",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )
        read_only_fields = fields


class NewTokenSerializer(serializers.Serializer[Any]):
    """What a new token may do, for which roadmap, and until when."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Token.SCOPES), min_length=1)
    roadmap = serializers.SlugField(required=False, allow_null=True, help_text="Slug; none: all that its owner may.")
    measured_at = serializers.ChoiceField(
        choices=Token.MeasuredAt.choices, default=Token.MeasuredAt.APPLICATION, help_text="Where its sender measures."
    )
    through = serializers.CharField(
        max_length=80, required=False, allow_blank=True, default="", help_text="Slug of the gateway or backend passed."
    )
    signal = serializers.ChoiceField(
        choices=Token.Signal.choices, default=Token.Signal.METRICS, help_text="OpenTelemetry signal that counts."
    )
    counts_step_tokens = serializers.BooleanField(default=False, help_text=STEP_TOKENS_HELP)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class TokenChangeSerializer(serializers.Serializer[Any]):
    """Which of OpenTelemetry's signals counts from now on, and whether the tokens of agents' steps do."""

    signal = serializers.ChoiceField(choices=Token.Signal.choices, required=False)
    counts_step_tokens = serializers.BooleanField(required=False, help_text=STEP_TOKENS_HELP)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise ValidationError({name: ["Cannot be changed; make another token."] for name in unknown})
        if not attrs:
            raise ValidationError("Give signal, counts_step_tokens or both.")
        return attrs


class MadeTokenSerializer(TokenSerializer):
    """A new token with its text, shown this once."""

    token = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


def own_tokens(asker: Asker) -> QuerySet[Token]:
    """The asker's tokens; every one for admins. A token bound to a roadmap sees those of that roadmap only."""
    tokens = Token.objects.select_related("owner", "workload")
    if not asker.user.is_admin:
        tokens = tokens.filter(owner=asker.user)
    if asker.token is not None and asker.token.workload_id is not None:
        tokens = tokens.filter(workload_id=asker.token.workload_id)
    return tokens


class TokenListView(APIView):
    """Your tokens; for admins everybody's."""

    @extend_schema(operation_id="list_tokens", tags=["tokens"], responses=TokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        pages = CursorPagination()
        page = pages.paginate_queryset(own_tokens(asker_of(request)), request, view=self) or []
        return pages.get_paginated_response(TokenSerializer(page, many=True).data)

    @extend_schema(
        operation_id="make_token", tags=["tokens"], request=NewTokenSerializer, responses={201: MadeTokenSerializer}
    )
    def post(self, request: Request) -> Response:
        asker = asker_of(request)
        given = NewTokenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        slug = values.pop("roadmap", None)
        workload = None
        if slug:
            workload = visible_workloads(asker).filter(slug=slug).first()
            if workload is None:
                raise ValidationError({"roadmap": [f"There is no roadmap '{slug}' that you may see."]})
        if asker.token is not None:
            _refuse_more_than(asker.token, values, workload_id=workload.pk if workload else None)
        token, text = issue_token(asker, workload=workload, **values)
        token.token = text  # type: ignore[attr-defined]
        return Response(MadeTokenSerializer(token).data, status=201)


class TokenView(APIView):
    """One token."""

    @extend_schema(operation_id="read_token", tags=["tokens"], responses=TokenSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(TokenSerializer(get_object_or_404(changeable_tokens(asker_of(request)), pk=pk)).data)

    @extend_schema(
        operation_id="change_token", tags=["tokens"], request=TokenChangeSerializer, responses=TokenSerializer
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Its owner, managers of its roadmap and admins may. What was counted until now stays."""
        asker = asker_of(request)
        token = get_object_or_404(changeable_tokens(asker), pk=pk)
        given = TokenChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(TokenSerializer(change_token(asker, token, **given.validated_data)).data)

    @extend_schema(operation_id="revoke_token", tags=["tokens"], summary="Revoke a token", responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        asker = asker_of(request)
        revoke_token(asker, _find(asker, pk))
        return Response(status=204)


def _find(asker: Asker, pk: int) -> Token:
    token = own_tokens(asker).filter(pk=pk).first()
    if token is None:
        raise Http404
    return token


def _refuse_more_than(token: Token, values: dict[str, Any], *, workload_id: int | None) -> None:
    """A token makes no token that may do more than itself, or that outlives it."""
    extra = sorted(set(values["scopes"]) - set(token.scopes) - ({"read"} if "manage" in token.scopes else set()))
    if extra:
        raise ValidationError({"scopes": [f"This token has not the scope {', '.join(extra)} itself."]})
    if token.workload_id is not None and workload_id != token.workload_id:
        raise ValidationError({"roadmap": ["This token is bound to one roadmap; name that one."]})
    expires_at = values.get("expires_at")
    if token.expires_at is not None and (expires_at is None or expires_at > token.expires_at):
        raise ValidationError({"expires_at": ["Not later than this token's own end."]})
