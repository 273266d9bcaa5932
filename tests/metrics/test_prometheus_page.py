"""/metrics: for whoever watches this installation, with a token of its own."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics.models import Backend, Receipt

pytestmark = pytest.mark.django_db


def test_it_is_not_there_without_a_token_of_its_own(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_it_refuses_another_token(client, settings):
    settings.METRICS_TOKEN = "watch"
    for given in ({}, {"Authorization": "Bearer other"}, {"Authorization": "watch"}):
        assert client.get("/metrics", headers=given).status_code == 401


def test_it_counts_receipts_and_backends_in_prometheus_own_format(client, settings):
    settings.METRICS_TOKEN = "watch"
    Receipt.objects.create(kind="push", accepted=7, rejected_count=2)
    Receipt.objects.create(kind="push", accepted=1, duplicates=3)
    Backend.objects.create(slug="gpu", name="GPU", connector="metrics", failures_in_a_row=4, is_problem_permanent=True)
    Backend.objects.create(slug="push-openai", name="Pushed", connector="push_only", is_enabled=False)
    text = client.get("/metrics", headers={"Authorization": "Bearer watch"}).content.decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["phaseline_receipts_total", "push"] == 2
    assert samples["phaseline_records_accepted_total", "push"] == 8
    assert samples["phaseline_records_rejected_total", "push"] == 2
    assert samples["phaseline_records_duplicates_total", "push"] == 3
    assert samples["phaseline_backend_failures_in_a_row", "gpu"] == 4
    assert samples["phaseline_backend_needs_a_person", "gpu"] == 1
    assert not any("push-openai" in key for key in samples)
