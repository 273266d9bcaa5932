"""The FOCUS export of the Spend page, read back by the import: the same totals, to the cent."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from django.db.models import Sum

from metrics.actions.imports import Choices
from metrics.models import UsageHour
from tests.metrics.billing_files import bring

CENT = Decimal("0.01")


@pytest.mark.parametrize("grain", ["day", "month"])
def test_our_export_read_back_gives_the_same_totals(mixed, sign_in, erin, adam, grain):
    answer = sign_in(erin).get(f"/spend/focus.csv?grain={grain}")
    data = b"".join(answer.streaming_content) if answer.streaming else answer.content
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    exported = sum(Decimal(row["BilledCost"]) for row in rows)
    assert exported
    one = bring(adam, data, name="spend.csv", choices=Choices(services=["*"], pays_for=[]), source_name="Read back")
    assert one.state == "done", one.problem
    assert (one.focus_version, one.rows_accepted, one.rows_rejected) == ("1.2", len(rows), 0), one.rejected
    # What it brought stands on series of its own, as on an installation without any other source.
    hours = UsageHour.objects.filter(series__backend=one.source.backend)
    back = hours.aggregate(total=Sum("billed_cost"))["total"]
    assert back.quantize(CENT) == exported.quantize(CENT)
    by_model: dict[str, Decimal] = {}
    for row in rows:
        by_model[row["SkuId"]] = by_model.get(row["SkuId"], Decimal(0)) + Decimal(row["BilledCost"])
    for model, amount in by_model.items():
        if model:
            found = hours.filter(series__model=model).aggregate(total=Sum("billed_cost"))["total"]
            assert found.quantize(CENT) == amount.quantize(CENT), model
