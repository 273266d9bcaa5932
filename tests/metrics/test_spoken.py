"""Sentences kept in English are said in the reader's language; what only looks like one takes no time."""

from __future__ import annotations

import time

import pytest
from django.utils import translation

from metrics.kept import KEPT, MOST_SENTENCES, sentences
from metrics.spoken import spoken


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (
            "a.example took more than 30 seconds to answer. It is tried again.",
            "a.example had meer dan 30 seconden nodig om te antwoorden. Het wordt opnieuw geprobeerd.",
        ),
        ("Somebody's own words. And others.", "Somebody's own words. And others."),
    ],
)
def test_a_kept_text_is_said_as_far_as_it_is_known(kept, said):
    with translation.override("nl"):
        assert spoken(kept) == said


def test_no_kept_sentence_is_longer_than_what_is_looked_at():
    assert max(len(sentences(template)) for template in KEPT) <= MOST_SENTENCES


@pytest.mark.parametrize(
    "text", [": takes x; got y" * 1_000, "Wait. Read no more, all known. " * 500, "a: is empty. " * 900]
)
def test_a_long_text_that_only_looks_like_kept_ones_takes_no_time(text):
    before = time.process_time()
    with translation.override("nl"):
        assert spoken(text).split()[-1] == text.split()[-1]
    assert time.process_time() - before < 2
