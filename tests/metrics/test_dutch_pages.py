"""Every page of backends, prices, rules, billing files and sending, for a browser that asks for Dutch."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import translation

from accounts.access import Asker
from metrics.actions import imports as imports_actions
from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.connectors import REGISTRY
from metrics.connectors.presets.catalogue import all_presets
from metrics.models import OwnPrice, Pull, RateCard
from metrics.spoken import spoken
from metrics.words import N_, Said, phrase
from tests.dutch import dutch_page, english_texts, left_in_english, visible_text
from tests.metrics.billing_files import csv_of, focus_row, run

pytestmark = pytest.mark.django_db

PLAIN = b"Day;Modell;Kosten;Tokens in\n05.10.2026;gpt-4o;1,25;1.000\n06.10.2026;gpt-4o;2,50;2.000\n"
USAGE = b"timestamp,model,provider,requests,input_tokens\n2026-11-20T10:00:00Z,gpt-4o,openai,2,100\nnever,gpt-4o,,1,1\n"


@pytest.fixture
def reader(client, sign_in, adam):
    """An admin, whose browser asks for Dutch."""
    sign_in(adam)
    return client


@pytest.fixture
def served(backend, make_series, claims):
    """A backend with a series, rate cards, prices and pulls that went well and badly."""
    now = datetime.now(UTC)
    backend.connector, backend.measured_at, backend.data_until = "metrics_endpoint", "server", now
    backend.parameters = {"addresses": ["http://10.0.0.5:8000"], "preset": "vllm"}
    backend.save()
    make_series("llama-3")
    shared = {"backend": backend, "currency": "EUR", "valid_from_on": now.date()}
    RateCard.objects.create(kind="rented", units=2, unit_name="GPU", rate_per_unit_hour=Decimal(2), **shared)
    OwnPrice.objects.create(
        provider="vllm", model="llama-3", service_tier="standard", input_per_million=1, output_per_million=2, **shared
    )
    for outcome in Pull.Outcome.values:
        Pull.objects.create(backend=backend, outcome=outcome, message="x", window_start=now, window_end=now)
    return backend


def test_the_list_of_backends(reader, served):
    page = visible_text(dutch_page(reader, reverse("backends")))
    assert "Ziet verzoeken bij" in page
    assert "de server" in page


def test_an_empty_list_offers_what_can_be_added(reader):
    assert "Wat heb je?" in dutch_page(reader, reverse("backends"))


def test_what_do_you_have(reader):
    page = visible_text(dutch_page(reader, reverse("backend_choose")))
    assert "Leest het gebruik van een organisatie per uur en de kosten per dag." in page


@pytest.mark.parametrize("kind", [one.kind for one in REGISTRY])
def test_the_form_of_each_kind(reader, kind):
    assert "Verbinding testen" in dutch_page(reader, reverse("backend_new", args=[kind]))


@pytest.mark.parametrize("kind", [one.kind for one in REGISTRY])
def test_what_a_form_refuses(reader, kind):
    dutch_page(reader, reverse("backend_new", args=[kind]), data={"name": ""}, expected=422)


def test_the_form_of_a_backend_that_is_pushed_to(reader):
    dutch_page(reader, reverse("backend_new_pushed"))


def test_an_address_that_is_none_is_refused_in_dutch(reader):
    url = reverse("backend_new", args=["prometheus"])
    page = dutch_page(reader, url, data={"name": "x", "address": "nothing", "preset": "vllm"}, expected=422)
    assert "een adres begint met http:// of https://" in visible_text(page)


def test_the_page_of_a_backend(reader, served):
    page = visible_text(dutch_page(reader, reverse("backend", args=[served.slug])))
    for text in ("Tariefkaarten", "Mislukt, vraagt je aandacht", "gehuurd voor 2,00"):
        assert text in page


def test_changing_a_backend(reader, served):
    dutch_page(reader, reverse("backend_change", args=[served.slug]))


def test_whose_a_series_is(reader, served):
    dutch_page(reader, reverse("series_allocation", args=[served.series.get().pk]))


def test_prices(reader, served):
    assert "Eigen prijzen" in dutch_page(reader, reverse("prices"))


def test_an_odd_price_is_asked_about_in_dutch(reader, served):
    data = {"provider": "openai", "model": "m", "service_tier": "standard", "currency": "EUR"}
    data |= {"input_per_million": "99999", "output_per_million": "2", "valid_from_on": "2026-11-01"}
    page = dutch_page(reader, reverse("price_add"), data=data, expected=422)
    assert "99.999 EUR voor een miljoen tokens" in visible_text(page)


def test_the_rules(reader, served, adam, claims):
    dutch_page(reader, reverse("rules"))
    fields = RuleFields(shares=[(claims, Decimal(1))], model="llama*", note="")
    rule, _ = change_rules(Asker(user=adam), adding(fields))
    assert "Past op" in dutch_page(reader, reverse("rules"))
    dutch_page(reader, reverse("rule_change", args=[rule.pk]))
    assert "Regel 1 verwijderen?" in dutch_page(reader, reverse("rule_remove", args=[rule.pk]), data={})


def test_a_new_rule(reader):
    dutch_page(reader, reverse("rule_new"))
    dutch_page(reader, reverse("rule_new"), data={"do": "save"}, expected=422)


def test_billing_files(reader, adam):
    dutch_page(reader, reverse("imports"))
    dutch_page(reader, reverse("import_new"))
    plain = imports_actions.upload(Asker(user=adam), pieces=[PLAIN], name="kosten.csv").one
    assert "Wat de kolommen betekenen" in dutch_page(reader, reverse("import", args=[plain.uuid]))
    rows = [focus_row(BilledCost="1"), focus_row(BilledCost="50", ServiceName="Compute"), focus_row(BilledCost="2")]
    read = run(imports_actions.upload(Asker(user=adam), pieces=[csv_of(rows)], name="bill.csv").one)
    dutch_page(reader, reverse("import", args=[read.uuid]))
    dutch_page(reader, reverse("bill_pays_for", args=[read.source.backend.slug]))
    dutch_page(reader, reverse("imports"))


def test_sending_data(reader, claims):
    page = visible_text(dutch_page(reader, reverse("send_data")))
    assert "Vereist alleen de standaardbibliotheek van Python." in page
    dutch_page(reader, reverse("make_push_token"), data={"roadmap": claims.slug, "name": "x"})


def test_a_file_of_usage(reader, claims):
    dutch_page(reader, reverse("usage_file_new"))
    data = {"file": SimpleUploadedFile("usage.csv", USAGE), "workload": claims.slug, "backend": "", "zone": ""}
    page = visible_text(dutch_page(reader, reverse("usage_file_new"), data=data))
    assert "tekst van 1 tot 200 tekens" in page


def test_kinds_of_server_say_in_dutch_what_they_give(reader):
    page = visible_text(dutch_page(reader, reverse("backend_new", args=["metrics_endpoint"])))
    for preset in all_presets():
        for _, instead in preset.not_offered:
            assert spoken(instead) == instead or instead not in page


def test_a_sentence_remembers_how_it_was_put_together():
    told = phrase("%(what)s: not offered. %(instead)s", what=N_("latency"), instead=N_("Check the address."))
    assert told == "latency: not offered. Check the address."
    assert isinstance(told, Said)
    with translation.override("nl"):
        assert spoken(told) == "latentie: niet beschikbaar. Controleer het adres."
        counted = phrase("The key reads all teams (%(count)s).", count=12345)
        assert spoken(counted) == "De sleutel leest alle teams (12.345)."
    assert counted == "The key reads all teams (12,345)."
    assert spoken("") == ""


KEPT = {
    "Read usage of 1,204 hours and 3 cost statements, all known already.": (
        "Gelezen: gebruik van 1.204 uur en 3 kostenopgaven, alles al bekend."
    ),
    "Counted since the last reading: 1 request, 20 input tokens.": (
        "Geteld sinds de vorige meting: 1 verzoek, 20 invoertokens."
    ),
    "http://a:1 did not answer in time. Check that the server runs and that a firewall lets the worker through.": (
        "http://a:1 antwoordde niet op tijd. Controleer of de server draait en of een firewall de worker doorlaat."
    ),
    "model: takes text of 1 to 200 characters.": "model: verwacht tekst van 1 tot 200 tekens.",
    "Nobody knows this. No counter has moved on.": "Nobody knows this. Geen teller is verder gelopen.",
}


@pytest.mark.parametrize("text", KEPT)
def test_what_was_kept_in_english_is_recognised(text):
    assert spoken(text) == text
    with translation.override("nl"):
        assert spoken(text) == KEPT[text]


def test_the_scan_finds_english():
    """Or no page would ever fail."""
    text = next(text for text in english_texts() if text == "What do you have?")
    assert left_in_english(f"<h1>{text}</h1>") == [text]
    assert left_in_english(f'<p aria-label="{text}"></p>') == [text]
    assert left_in_english(f"<code>{text}</code>") == []
    assert len(english_texts()) > 500
