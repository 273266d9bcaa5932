"""KPIs over other KPIs: worked out over their own window, carried into the next phase, refused where they cannot be."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from metrics.errors import RuleViolation
from roadmap.actions.gates import decide_gate, remove_criterion
from roadmap.actions.kpis import add_kpi, change_kpi, delete_kpi, record_reading
from roadmap.models import CostEntry, Kpi
from roadmap.queries.kpi_values import kpi_values, last_value

D = Decimal
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def reported_in_euros(settings):
    settings.REPORTING_CURRENCY = "EUR"


@pytest.fixture
def hours(poc, alice, asker) -> Kpi:
    """Hours saved, summed: 30 + 50 within the last four weeks and 1,000 before."""
    kpi = add_kpi(asker(alice), poc, name="Hours saved", unit="hours", direction="higher", combine="sum")
    now = timezone.now()
    for days, value in ((2, 30), (9, 50), (35, 1000)):
        record_reading(asker(alice), kpi, at=now - days * DAY, value=D(value))
    return kpi


@pytest.fixture
def rate(poc, hours, alice, asker, today) -> Kpi:
    """Money per hour saved over the phase to date: 2,160 for 1,080 hours."""
    CostEntry.objects.create(
        roadmap=poc.roadmap, phase=poc, name="People", category="people", amount=D(2160), currency="EUR",
        start_on=today - 3 * DAY,
    )  # fmt: skip
    if not poc.kpis.filter(key="spend").exists():
        add_kpi(asker(alice), poc, name="Spend", measure="spend")
    return add_kpi(
        asker(alice), poc, name="Money per hour", formula=" spend  / hours_saved", direction="lower", unit="EUR",
        window_days=None, target=D("2.5"), baseline=D(10),
    )  # fmt: skip


def test_it_is_worked_out_over_its_own_window(rate, poc, alice, asker):
    value = kpi_values(poc)[rate.pk]
    assert rate.source == "formula"
    assert rate.formula == "spend / hours_saved"
    assert value.value == 2
    assert value.judgement.status == "on_target"
    assert value.basis == "Hours saved 1,080; Spend 2,160"
    changed = change_kpi(asker(alice), rate, window_days=28)
    # The operand's own window of the phase does not matter: 80 hours in these 28 days.
    assert kpi_values(poc)[changed.pk].value == 27


def test_no_reading_is_no_data_and_a_zero_divisor_says_so(rate, hours, poc, alice, asker):
    hours.readings.all().delete()
    value = kpi_values(poc)[rate.pk]
    assert value.value is None
    assert value.reason == "Hours saved: no reading yet"
    record_reading(asker(alice), hours, at=timezone.now() - DAY, value=D(0))
    value = kpi_values(poc)[rate.pk]
    assert value.value is None
    assert value.reason == "divides by zero: Hours saved is 0"
    assert value.judgement.status == "no_data"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"formula": "spend / hours_saved / money_per_hour"}, "formula_names_itself"),
        ({"formula": "spend / hours_saver"}, "formula_unknown_key"),
        ({"formula": "spend /"}, "formula_unreadable"),
        ({"formula": "spend / 0"}, "formula_divides_by_zero"),
        ({"formula": "__import__('os')"}, "formula_not_taken"),
        ({"formula": ""}, "formula_empty"),
    ],
)
def test_it_refuses_a_formula_that_cannot_be(rate, alice, asker, changes, code):
    with pytest.raises(RuleViolation) as refused:
        change_kpi(asker(alice), rate, **changes)
    assert refused.value.code == code
    rate.refresh_from_db()
    assert rate.formula == "spend / hours_saved"


def test_what_a_formula_names_stays_what_it_needs(rate, hours, alice, asker):
    with pytest.raises(RuleViolation, match="a divisor must be a sum"):
        change_kpi(asker(alice), hours, combine="last")
    with pytest.raises(RuleViolation, match="names 'hours_saved'"):
        delete_kpi(asker(alice), hours)
    # Its name may change: the key stays.
    assert change_kpi(asker(alice), hours, name="Hours won").key == "hours_saved"
    second = add_kpi(asker(alice), rate.phase, name="Twice", formula="money_per_hour * 2", direction="lower")
    with pytest.raises(RuleViolation, match="twice > money_per_hour > twice"):
        change_kpi(asker(alice), rate, formula="twice / hours_saved")
    assert kpi_values(rate.phase)[second.pk].value is not None


def test_a_kpi_may_be_given_a_key_that_is_free(hours, alice, asker):
    given = add_kpi(asker(alice), hours.phase, name="Documents", direction="higher", key="KPI-7")
    assert given.key == "kpi_7"
    with pytest.raises(RuleViolation, match="has the key kpi_7"):
        add_kpi(asker(alice), hours.phase, name="Others", direction="higher", key="KPI 7")


def test_it_takes_no_readings(rate, hours, alice, asker):
    with pytest.raises(RuleViolation, match="computed by a formula"):
        record_reading(asker(alice), rate, at=timezone.now(), value=D(1))
    with pytest.raises(RuleViolation, match="with readings cannot become"):
        change_kpi(asker(alice), hours, formula="spend * 2", source="formula")


def test_a_go_carries_it_over_and_offers_where_it_ended(rate, poc, plan, alice, adam, asker, sign_in, today):
    for criterion in poc.gate.criteria.all():
        remove_criterion(asker(alice), criterion)
    # A KPI of the next phase has the key already.
    following = plan.phases.get(kind="scale_up")
    add_kpi(asker(alice), following, name="Hours saved!", direction="higher", combine="sum")
    decide_gate(asker(adam), poc.gate, outcome="go", reason="Good", values_of=kpi_values)
    carried = following.kpis.get(name="Money per hour")
    assert carried.carried_from == rate
    assert carried.key == "money_per_hour"
    assert carried.formula == f"{following.kpis.get(measure='spend').key} / hours_saved_2"
    assert last_value(carried).value == 2
    client = sign_in(alice)
    page = client.get(reverse("kpi", args=[carried.pk])).content.decode()
    assert "which ended at 2" in page
    assert "Take it as baseline" in page
    client.post(reverse("kpi_baseline", args=[carried.pk]))
    carried.refresh_from_db()
    assert carried.baseline == 2
    page = client.get(reverse("kpi", args=[carried.pk])).content.decode()
    assert "Take it as baseline" not in page


def test_the_form_takes_one_and_says_which_keys_there_are(rate, poc, alice, sign_in):
    client = sign_in(alice)
    page = client.get(reverse("kpi_new", args=[poc.pk])).content.decode()
    assert "hours_saved" in page
    data = {
        "name": "Hours a day",
        "formula": "hours_saved / 0",
        "direction": "higher",
        "window": "28",
        "combine": "last",
    }
    answer = client.post(reverse("kpi_new", args=[poc.pk]), data)
    assert answer.status_code == 422
    assert "The formula divides by zero." in answer.content.decode()
    answer = client.post(reverse("kpi_new", args=[poc.pk]), data | {"formula": "hours_saved / 28", "measure": "spend"})
    assert "not both" in answer.content.decode()
    answer = client.post(reverse("kpi_new", args=[poc.pk]), data | {"formula": "hours_saved / 28"})
    assert answer.status_code == 303
    page = client.get(reverse("kpi", args=[Kpi.objects.get(name="Hours a day").pk])).content.decode()
    assert "<code>hours_saved / 28</code>" in page
    assert "Hours saved 80" in page


def test_a_baseline_at_the_target_is_said_to_be_a_limit(poc, alice, sign_in):
    data = {
        "name": "Complaints", "direction": "lower", "window": "28", "combine": "last", "baseline": "4", "target": "4",
    }  # fmt: skip
    answer = sign_in(alice).post(reverse("kpi_new", args=[poc.pk]), data, follow=True)
    assert "the target is a limit that must hold" in answer.content.decode()


def test_the_same_over_rest(rate, poc, alice, api):
    client = api(alice, scopes=["manage"])
    body = {"phase": poc.pk, "name": "Half", "formula": "money_per_hour / 2", "direction": "lower"}
    made = client.post("/api/v1/kpis/", body, format="json")
    assert made.status_code == 201, made.content
    assert made.json()["key"] == "half"
    assert made.json()["source"] == "formula"
    refused = client.patch(f"/api/v1/kpis/{made.json()['id']}", {"formula": "half + 1"}, format="json")
    assert refused.status_code == 422
    assert "names itself" in refused.content.decode()
