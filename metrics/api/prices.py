"""Rate cards and own prices over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from metrics.actions.prices import remove_own_price, remove_rate_card, set_own_price, set_rate_card
from metrics.actions.repricing import reprice
from metrics.api.backends import REFUSED
from metrics.api.rows import BackendsView, Input
from metrics.errors import RuleViolation
from metrics.models import Backend, OwnPrice, RateCard
from metrics.tasks import follow_repricing, post_capacity_since
from metrics.visible import visible_backends

MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 10, "required": False, "allow_null": True}
DATE: dict[str, Any] = {"required": False, "allow_null": True}


class RateCardOut(serializers.ModelSerializer[RateCard]):
    """What capacity costs, valid from a day."""

    backend = serializers.CharField(source="backend.slug")

    class Meta:
        model = RateCard
        exclude = ()


class RateCardIn(Input):
    """A rate card. Rented, reserved: `rate_per_unit_hour`. Owned: purchase, day, months of amortisation.

    What is hardly meant is refused as `not_plausible` unless `is_confirmed`.
    """

    kind = serializers.ChoiceField(RateCard.Kind.choices)
    units = serializers.DecimalField(max_digits=10, decimal_places=2)
    unit_name = serializers.CharField(max_length=60, required=False)
    model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    minimum_term_months = serializers.IntegerField(**DATE)
    is_confirmed = serializers.BooleanField(required=False)
    currency = serializers.CharField(max_length=3)
    rate_per_unit_hour = serializers.DecimalField(**MONEY)
    purchase_amount = serializers.DecimalField(**{**MONEY, "decimal_places": 2})
    purchased_on = serializers.DateField(**DATE)
    amortisation_months = serializers.IntegerField(**DATE)
    rated_watts = serializers.DecimalField(max_digits=10, decimal_places=2, **DATE)
    pue = serializers.DecimalField(max_digits=5, decimal_places=3, required=False)
    price_per_kwh = serializers.DecimalField(max_digits=12, decimal_places=6, **DATE)
    while_up = serializers.BooleanField(required=False)
    valid_from_on = serializers.DateField()
    valid_until_on = serializers.DateField(**DATE)


class OwnPriceOut(serializers.ModelSerializer[OwnPrice]):
    """An own price per million tokens; `backend` null: every backend."""

    backend = serializers.CharField(source="backend.slug", default=None)

    class Meta:
        model = OwnPrice
        exclude = ()


class OwnPriceIn(Input):
    """A negotiated price per million tokens."""

    backend = serializers.CharField(required=False, allow_null=True)
    provider = serializers.CharField(max_length=60)
    model = serializers.CharField(max_length=200)
    service_tier = serializers.CharField(max_length=40, required=False)
    currency = serializers.CharField(max_length=3)
    input_per_million = serializers.DecimalField(max_digits=20, decimal_places=10)
    cached_input_per_million = serializers.DecimalField(**MONEY)
    cache_write_input_per_million = serializers.DecimalField(**MONEY)
    output_per_million = serializers.DecimalField(max_digits=20, decimal_places=10)
    valid_from_on = serializers.DateField()
    is_confirmed = serializers.BooleanField(required=False)


class RateCardsOf(BackendsView):
    """Finding the rate cards of a backend that the asker may see."""

    def backend(self, slug: str) -> Backend:
        return get_object_or_404(visible_backends(self.asker), slug=slug)

    def card(self, slug: str, pk: int) -> RateCard:
        return get_object_or_404(self.backend(slug).rate_cards.select_related("backend"), pk=pk)


class RateCardListView(RateCardsOf):
    """The rate cards of a backend."""

    @extend_schema(operation_id="list_rate_cards", tags=["prices"], responses={200: RateCardOut(many=True), **REFUSED})
    def get(self, request: Request, slug: str) -> Response:
        return self.page(self.backend(slug).rate_cards.select_related("backend"), RateCardOut)

    @extend_schema(
        operation_id="add_rate_card", tags=["prices"], request=RateCardIn, responses={201: RateCardOut, **REFUSED}
    )
    def post(self, request: Request, slug: str) -> Response:
        backend = self.backend(slug)
        card = set_rate_card(self.asker, backend, **self.read(RateCardIn))
        post_capacity_since(backend.pk, card.valid_from_on)
        return Response(RateCardOut(card).data, status=201)


class RateCardView(RateCardsOf):
    """One rate card."""

    @extend_schema(operation_id="read_rate_card", tags=["prices"], responses={200: RateCardOut, **REFUSED})
    def get(self, request: Request, slug: str, pk: int) -> Response:
        return Response(RateCardOut(self.card(slug, pk)).data)

    @extend_schema(
        operation_id="change_rate_card", tags=["prices"], request=RateCardIn, responses={200: RateCardOut, **REFUSED}
    )
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        card = self.card(slug, pk)
        before = card.valid_from_on
        changed = set_rate_card(self.asker, card.backend, card=card, **self.read(RateCardIn, partial=True))
        post_capacity_since(card.backend.pk, before, changed.valid_from_on)
        return Response(RateCardOut(changed).data)

    @extend_schema(operation_id="remove_rate_card", tags=["prices"], responses={204: None, **REFUSED})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        card = self.card(slug, pk)
        backend, since = card.backend, card.valid_from_on
        remove_rate_card(self.asker, card)
        post_capacity_since(backend.pk, since)
        return Response(status=204)


class OwnPricesOf(BackendsView):
    """Finding own prices that the asker may see."""

    def prices(self) -> QuerySet[OwnPrice]:
        mine = visible_backends(self.asker)
        return OwnPrice.objects.filter(Q(backend__in=mine) | Q(backend=None)).select_related("backend")


class OwnPriceListView(OwnPricesOf):
    """Own prices."""

    @extend_schema(operation_id="list_own_prices", tags=["prices"], responses={200: OwnPriceOut(many=True)})
    def get(self, request: Request) -> Response:
        return self.page(self.prices(), OwnPriceOut)

    @extend_schema(
        operation_id="add_own_price", tags=["prices"], request=OwnPriceIn, responses={201: OwnPriceOut, **REFUSED}
    )
    def post(self, request: Request) -> Response:
        data = self.read(OwnPriceIn)
        slug = data.pop("backend", None)
        backend = visible_backends(self.asker).filter(slug=slug).first() if slug else None
        if slug and backend is None:
            raise RuleViolation("unknown_backend", f"There is no backend '{slug}'.", "backend")
        return Response(OwnPriceOut(set_own_price(self.asker, backend=backend, **data)).data, status=201)


class OwnPriceView(OwnPricesOf):
    """One own price."""

    @extend_schema(operation_id="remove_own_price", tags=["prices"], responses={204: None, **REFUSED})
    def delete(self, request: Request, pk: int) -> Response:
        remove_own_price(self.asker, get_object_or_404(self.prices(), pk=pk))
        return Response(status=204)

    @extend_schema(operation_id="read_own_price", tags=["prices"], responses={200: OwnPriceOut, **REFUSED})
    def get(self, request: Request, pk: int) -> Response:
        return Response(OwnPriceOut(get_object_or_404(self.prices(), pk=pk)).data)


class RepriceIn(Input):
    """Which usage is priced again: local days, both included, of one backend and model or of all."""

    from_on = serializers.DateField()
    until_on = serializers.DateField()
    backend = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    model = serializers.CharField(max_length=200, required=False, allow_blank=True)
    note = serializers.CharField(max_length=120, required=False, allow_blank=True)
    is_trial = serializers.BooleanField(required=False, help_text="Only say what would change.")


class RepricedOut(serializers.Serializer[Any]):
    """What it changed of one backend. `amounts`: difference by currency. `left`: hours left as they are, by reason."""

    backend = serializers.CharField(source="backend.slug")
    hours = serializers.IntegerField()
    amounts = serializers.DictField(child=serializers.DecimalField(max_digits=30, decimal_places=10))
    left = serializers.DictField(child=serializers.IntegerField())
    receipt = serializers.UUIDField(source="receipt.uuid", default=None)


class RepriceView(BackendsView):
    """Price usage again at the prices now in force, as receipts of differences; each can be taken back for 35 days."""

    @extend_schema(
        operation_id="reprice", tags=["prices"], request=RepriceIn, responses={200: RepricedOut(many=True), **REFUSED}
    )
    def post(self, request: Request) -> Response:
        data = self.read(RepriceIn)
        slug = data.pop("backend", None)
        backend = visible_backends(self.asker).filter(slug=slug).first() if slug else None
        if slug and backend is None:
            raise RuleViolation("unknown_backend", f"There is no backend '{slug}'.", "backend")
        results = reprice(self.asker, backend=backend, **data)
        follow_repricing([one.backend.pk for one in results if one.receipt is not None], data["from_on"])
        return Response(RepricedOut(results, many=True).data)
