"""Every tab of the Spend page for a browser that asks for Dutch, with what its figures rest on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import translation

from metrics import series
from metrics.figures import Scope
from metrics.models import OwnPrice, RateCard
from roadmap.queries.spend_moved import UNIT_WORDS
from roadmap.queries.spend_moved import spend_moved as moved_page
from tests.dutch import dutch_page, visible_text

DAY = timedelta(days=1)
METHODS = {
    "spend_moved": ("Elke stap neemt zijn nieuwe waarde", "De werkeenheid is het verzoek."),
    "spend_reconcile": ("Het verschil is gefactureerd min geschat",),
    "spend_unallocated": ("Een reeks wordt in aandelen aan roadmaps toegewezen",),
    "spend_idle": ("De kosten van een uur worden naar benutting verdeeld",),
    "spend_prices": ("Gebruik krijgt de prijs die geldt op de UTC-dag",),
    "spend_anomalies": ("reikt naar beide kanten 4 x 1,4826 x de mediane", "per 1.000 verzoeken", "ten minste 25% van"),
}


@pytest.mark.parametrize("name", ["spend", *METHODS])
def test_no_english_is_left(name, mixed, client, sign_in, adam):
    sign_in(adam)
    shown = visible_text(dutch_page(client, reverse(name)))
    assert "| All |" not in shown
    for text in METHODS.get(name, ()):
        assert text in shown


def test_a_roadmap_s_own_unit_has_its_article(plan, spend, erin, asker):
    plan.unit_of_work = "image"
    plan.save()
    spend(plan, 10, 1)
    with translation.override("nl"):
        method = moved_page(asker(erin), {"roadmap": plan.slug}).tab.method
        assert method[1].startswith("De werkeenheid is de afbeelding.")
    assert set(UNIT_WORDS) == {"image", "audio_second", "video_second", "job"}


def test_what_explains_a_figure_is_said_in_dutch(plan, spend, backend, today):
    spend(plan, 10, 9, model="first")
    spend(plan, 10, 3, model="second")
    OwnPrice.objects.create(
        provider="openai",
        model="second",
        input_per_million=1,
        output_per_million=2,
        currency="EUR",
        valid_from_on=today - 2 * DAY,
    )
    RateCard.objects.create(
        backend=backend,
        kind="rented",
        units=1,
        rate_per_unit_hour=Decimal(2),
        currency="EUR",
        valid_from_on=today - DAY,
    )
    with translation.override("nl"):
        told = [text for _, text in series.chart_marks(Scope(today - 10 * DAY, today + DAY, (plan.workload_id,)))]
    assert told == ["Eerste gebruik van second", "Prijs van second", "Tariefkaart van API 1"]
