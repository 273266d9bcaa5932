"""The pages of the plan: filled, readable by whom they are for, and the same with and without htmx."""

from __future__ import annotations

import pytest
from django.urls import reverse

HTMX = {"HTTP_HX_REQUEST": "true"}


def test_it_shows_the_roadmap_with_its_timeline(plan, vera, sign_in):
    page = sign_in(vera).get(plan.get_absolute_url())
    text = page.content.decode()
    assert page.status_code == 200
    assert "Contact centre" in text
    assert 'class="timeline"' in text
    assert "day 41 of" in text


def test_it_shows_the_gate_live(gate, alice, sign_in):
    page = sign_in(alice).get(gate.get_absolute_url())
    text = page.content.decode()
    assert page.status_code == 200
    assert "0 of 6 criteria are met" in text
    assert "Quality score" in text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_it_opens_every_form(plan, poc, gate, alice, sign_in, headers):
    client = sign_in(alice)
    first = {
        "milestone": poc.milestones.first(),
        "kpi": poc.kpis.last(),
        "item": poc.checklist.first(),
        "risk": plan.risks.first(),
    }
    urls = [
        reverse("milestone_new", args=[poc.pk]),
        reverse("milestone_edit", args=[first["milestone"].pk]),
        reverse("milestone_drop", args=[first["milestone"].pk]),
        reverse("checklist_new", args=[poc.pk]),
        reverse("checklist_edit", args=[first["item"].pk]),
        reverse("kpi_new", args=[poc.pk]),
        reverse("kpi_edit", args=[first["kpi"].pk]),
        reverse("reading_new", args=[first["kpi"].pk]),
        reverse("cost_entry_new", args=[poc.pk]),
        reverse("note_new", args=[poc.pk]),
        reverse("risk_new", args=[plan.slug]),
        reverse("risk_edit", args=[first["risk"].pk]),
        reverse("update_new", args=[plan.slug]),
        reverse("member_new", args=[plan.slug]),
        reverse("phase_edit", args=[poc.pk]),
        reverse("gate_edit", args=[gate.pk]),
        reverse("criterion_new", args=[gate.pk]),
    ]
    for url in urls:
        answer = client.get(url, **headers)
        text = answer.content.decode()
        assert answer.status_code == 200, url
        assert f'action="{url}"' in text, url
        assert ("<html" in text) == (not headers), url


@pytest.mark.parametrize("name", ["roadmap_settings", "updates"])
def test_it_shows_pages_of_a_roadmap(plan, alice, sign_in, name):
    assert sign_in(alice).get(reverse(name, args=[plan.slug])).status_code == 200


@pytest.mark.parametrize("query", ["", "?way=middle"])
def test_it_shows_both_ways_of_making_a_roadmap(adam, sign_in, query):
    assert sign_in(adam).get(reverse("roadmap_new") + query).status_code == 200
