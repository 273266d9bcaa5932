"""A tile that a kind of server cannot fill says so, by the server's name, and what to do instead."""

from __future__ import annotations

import pytest

from metrics import series
from metrics.connectors.presets.catalogue import DCGM, PRESETS
from metrics.models import Allocation, Backend, Series
from roadmap.kpi import KpiValue
from roadmap.kpis import COMPUTED
from roadmap.queries.phase_tiles import NEEDS, missing_text

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("name", NEEDS)
def test_a_tile_names_the_server_and_the_way_out(preset, name, plan, poc):
    backend = Backend.objects.create(
        slug="box",
        name="Box",
        connector="metrics_endpoint",
        provider=preset.provider,
        parameters={"preset": preset.name, "addresses": ["http://10.0.0.5"]},
    )
    one = Series.objects.create(digest=b"1" * 16, provider=preset.provider, backend=backend, model="m")
    Allocation.objects.create(series=one, workload=plan.workload, share_ratio=1, valid_from_on=poc.planned_start_on)
    measure = next(kpi for kpi in COMPUTED if kpi.name == name)
    needed, what = NEEDS[name]
    text = missing_text(measure, KpiValue(None, ""), series.freshness((plan.workload.pk,)))
    instead = dict(preset.not_offered).get(needed)
    assert text == (f"{what}: not offered by Box. {instead}" if instead else measure.source)


def test_the_exporter_is_no_kind_of_server():
    assert DCGM not in PRESETS
