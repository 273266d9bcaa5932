"""The sentence that opens a phase's page."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from roadmap.kpi import KpiStatus
from roadmap.rules.forecast import forecast, run_rate
from roadmap.rules.health import Money, Schedule, lede

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)
D = Decimal


def schedule(**fields) -> Schedule:
    defaults = {
        "today": TODAY,
        "state": "active",
        "start_on": date(2026, 4, 1),
        "end_on": date(2027, 3, 31),
        "gate_due_on": date(2027, 3, 31),
    }
    return Schedule(**(defaults | fields))


def money(spent, budget, rate=None) -> Money:
    plan = None
    if rate is not None:
        days = [TODAY - DAY * back for back in range(28, 0, -1)]
        plan = forecast(
            spent=D(spent),
            rate=run_rate(dict.fromkeys(days, D(rate)), days),
            today=TODAY,
            end_on=date(2027, 3, 31),
            budget=D(budget),
        )
    return Money("EUR", None if spent is None else D(spent), None if budget is None else D(budget), plan)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_budget_that_runs_out_says_when_and_how_long_before_the_gate():
    found, rest = lede(money(498_300, 820_000, 2_800), schedule(), [("p95 latency", KpiStatus.ON_TARGET)])
    # 321,700 left / 2,800 a day: 114.9 days, so the budget is passed on the 115th, 16 Mar 2027, 15 days before.
    assert plain(found.text) == "At the present rate the budget ends on 16 Mar 2027, 2 weeks before the gate."
    assert (found.tone, rest) == ("amber", "The KPI is on target.")


def test_a_budget_that_lasts():
    found, _ = lede(money(100_000, 820_000, 1_000), schedule(), [])
    assert plain(found.text) == "The budget lasts: 230 k EUR of 820 k EUR are forecast for 31 Mar 2027."


def test_a_budget_that_was_passed_is_red():
    found, _ = lede(money(88_100, 80_000, 100), schedule(), [])
    assert found.tone == "red"
    assert plain(found.text) == "The budget was passed: 88.1 k EUR of 80 k EUR are spent."


def test_an_overdue_gate_comes_before_a_budget_that_lasts():
    found, rest = lede(money(1, 100, 0), schedule(gate_due_on=TODAY - 7 * DAY, late=["Runbook"]), [])
    assert found.text == "The gate is 7 days overdue. 1 milestone is late: Runbook."
    assert rest.startswith("The budget lasts")


def test_too_little_data_is_said_and_nothing_is_not_zero():
    found, _ = lede(money(10, 100), schedule(), [])
    assert plain(found.text) == "10.00 EUR of 100.00 EUR spent; too little data for a forecast."
    nothing, rest = lede(money(None, 100), schedule(), [("quality", KpiStatus.NO_DATA)])
    assert nothing.text == "Nothing was spent or measured yet."
    assert rest == "No KPI has data yet."


def test_a_phase_that_has_not_started():
    found, rest = lede(money(None, None), schedule(state="planned"), [])
    assert plain(found.text) == "Not started; planned for 1 Apr 2026 to 31 Mar 2027."
    assert rest == ""
