"""A tile that a kind of server cannot fill says so, by name, and what to do instead."""

from __future__ import annotations

import pytest
from django.utils.html import escape

from metrics.connectors.presets.catalogue import DCGM, PRESETS
from metrics.models import Allocation, Backend, Series

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_the_latency_tile_names_the_server_and_the_way_out(preset, plan, poc, alice, sign_in):
    backend = Backend.objects.create(
        slug="box",
        name="Box",
        connector="metrics_endpoint",
        provider=preset.provider,
        parameters={"preset": preset.name, "addresses": ["http://10.0.0.5"]},
    )
    series = Series.objects.create(digest=b"1" * 16, provider=preset.provider, backend=backend, model="m")
    Allocation.objects.create(series=series, workload=plan.workload, share_ratio=1, valid_from_on=poc.planned_start_on)
    text = sign_in(alice).get(poc.get_absolute_url()).text
    instead = dict(preset.not_offered).get("duration")
    said = f"Latency: not offered by Box. {escape(instead)}" if instead else "not offered by Box. Latency"
    assert (said in text) is (instead is not None)


def test_the_exporter_is_no_kind_of_server():
    assert DCGM not in PRESETS
