"""The address that a push answers with: the dashboard of the phase that is running."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.access import Asker
from roadmap.actions.roadmaps import make_roadmap


@pytest.fixture
def letters(adam):
    return make_roadmap(Asker(adam), name="Letters", owner=adam, start_on=timezone.localdate())


def test_it_goes_on_to_the_running_phase(letters, adam, sign_in):
    answer = sign_in(adam).get(reverse("roadmap_dashboard", args=["letters"]))
    assert (answer.status_code, answer["Location"]) == (302, "/roadmaps/letters/poc/")


def test_it_goes_on_to_the_roadmap_where_no_phase_has_started(adam, sign_in):
    make_roadmap(Asker(adam), name="Later", owner=adam, start_on=timezone.localdate() + timedelta(days=9))
    answer = sign_in(adam).get(reverse("roadmap_dashboard", args=["later"]))
    assert answer["Location"] == "/roadmaps/later/"


def test_an_outsider_finds_nothing(letters, oscar, sign_in):
    assert sign_in(oscar).get(reverse("roadmap_dashboard", args=["letters"])).status_code == 404
