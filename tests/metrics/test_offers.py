"""'What do you have?': every connector stands under the answer that it names, and each says what it needs."""

from __future__ import annotations

import re

import pytest

from accounts.models import Workload
from metrics.connector import Group
from metrics.connectors import REGISTRY
from metrics.views.offers import TO_TRY, WORDS

pytestmark = pytest.mark.django_db

SHOWN = {"cost", "tokens", "requests", "errors", "latency", "quality", "energy"}


def _tables(text: str) -> dict[str, str]:
    """The rows of each answer, by its words."""
    bodies = re.findall(r"<tbody>(.*?)</tbody>", text, flags=re.DOTALL)
    return {re.search(r'scope="rowgroup"[^>]*>\s*(.*?)\s*<', body)[1]: body for body in bodies}


def test_every_connector_is_offered_under_its_answer(adam, sign_in):
    found = _tables(sign_in(adam).get("/backends/new/").text)
    for connector in REGISTRY:
        title, _ = WORDS[connector.group]
        words = found[title.replace("'", "&#x27;")]
        assert f'href="/backends/new/{connector.kind}/"' in words
        assert set(connector.shows) <= SHOWN


def test_the_answers_come_in_their_order_and_none_is_empty(adam, sign_in):
    found = _tables(sign_in(adam).get("/backends/new/").text)
    in_order = [WORDS[group][0].replace("'", "&#x27;") for group in Group]
    assert list(found) == [title for title in in_order if title in found]
    assert list(found)[-1] == "None of these"
    assert all('class="button"' in body for body in found.values())


def test_whoever_has_nothing_that_can_be_asked_sends_data(adam, sign_in):
    found = _tables(sign_in(adam).get("/backends/new/").text)
    assert 'href="/send/"' in found["None of these"]


def test_what_is_there_to_try_comes_first(adam, sign_in, settings):
    settings.EXAMPLE_SERVER_URL = "http://127.0.0.1:9"
    Workload.objects.create(slug="demo", name="Demo", is_demo=True)
    found = _tables(sign_in(adam).get("/backends/new/").text)
    assert next(iter(found)) == TO_TRY[0]
    assert "Add<span" in found[TO_TRY[0]]
    assert "Example server" in found[TO_TRY[0]]
    assert sum("Example server" in body for body in found.values()) == 1
