"""Allocation rules: the first that matches places a series, by hand wins, and a preview is what then happens."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.conf import settings as conf
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AuditEvent, Workload
from metrics import allocating, ledger
from metrics import series as read_door
from metrics.actions.allocations import allocate, allocate_by_rules
from metrics.actions.rule_preview import preview_change
from metrics.actions.rules import RuleFields, adding, change_rules, changing, fields_of, moving, ordering, removing
from metrics.errors import RuleViolation
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Allocation, AllocationRule, Backend, Receipt, Series
from metrics.placing import ALWAYS, Placed, Rule, Traits, fits, matches, timeline
from metrics.usage import FeedKind

D = Decimal
NOV = date(2026, 11, 1)
DEC = date(2026, 12, 1)
ALL = ((1, D(1)),)


# --- The rule, pure


@pytest.mark.parametrize(
    ("pattern", "value", "does"),
    [
        ("claims", "claims", True),
        ("claims", "Claims", True),
        ("claims", "claims-2", False),
        ("claims*", "claims-2", True),
        ("*", "", True),
        ("gpt-4*mini", "gpt-4o-mini", True),
        ("gpt-4.1", "gpt-4x1", False),
        ("a[bc]", "ab", False),
    ],
)
def test_a_pattern_is_exact_but_for_the_star(pattern, value, does):
    assert fits(pattern, value) is does


def test_everything_that_a_rule_names_must_hold():
    traits = Traits(7, "openai", "gpt-4o", {"team": "claims", "api_key_name": "ck-1", "project": "p9"})
    assert matches(Rule(1, backend_id=7, provider="openai", model="gpt-*", label_name="team"), traits)
    assert matches(Rule(1, api_key="ck-*", project="p9"), traits)
    assert not matches(Rule(1, backend_id=8), traits)
    assert not matches(Rule(1, label_name="team", label_value="fraud"), traits)
    assert not matches(Rule(1, label_name="region"), traits)
    assert not matches(Rule(1, model="*"), Traits(7, "openai", ""))


def test_the_first_that_matches_wins_day_by_day():
    """A rule valid from November stands before one of all time: each has its days."""
    rules = [Rule(1, ((1, D(1)),), NOV, provider="openai"), Rule(2, ((2, D(1)),), provider="*")]
    assert timeline(Traits(1, "openai", "m"), rules) == [
        Placed(ALWAYS, NOV, 2, ((2, D(1)),)),
        Placed(NOV, None, 1, ((1, D(1)),)),
    ]
    assert timeline(Traits(1, "vllm", "m"), rules) == [Placed(ALWAYS, None, 2, ((2, D(1)),))]


def test_the_default_comes_after_the_rules_and_a_rule_of_nobody_keeps_it_away():
    rules = [Rule(1, (), NOV, model="m")]
    assert timeline(Traits(1, "p", "m"), rules, 9) == [Placed(ALWAYS, NOV, None, ((9, D(1)),))]
    assert timeline(Traits(1, "p", "x"), rules, 9) == [Placed(ALWAYS, None, None, ((9, D(1)),))]


DAYS = [ALWAYS, NOV, DEC]
RULES = st.lists(
    st.builds(
        lambda pk, day, model, shares: Rule(pk, shares, day, model=model),
        st.integers(1, 9),
        st.sampled_from(DAYS),
        st.sampled_from(["*", "a*", "ab", "b"]),
        st.sampled_from([(), ALL, ((1, D("0.6")), (2, D("0.3")))]),
    ),
    max_size=5,
    unique_by=lambda rule: rule.pk,
)


@given(RULES, st.sampled_from(["ab", "b", "c"]), st.sampled_from([None, 5]))
def test_on_each_day_it_is_the_first_valid_rule(rules, model, default):
    traits = Traits(1, "p", model)
    placed = timeline(traits, rules, default)
    for day in [*DAYS, date(2026, 11, 15), date(2030, 1, 1)]:
        here = [one for one in placed if one.from_on <= day and (one.until_on is None or day < one.until_on)]
        assert len(here) <= 1
        first = next((rule for rule in rules if matches(rule, traits) and rule.valid_from_on <= day), None)
        expected = first.shares if first else (((default, D(1)),) if default else ())
        assert (here[0].shares if here else ()) == expected
    assert all(one.until_on is None or one.from_on < one.until_on for one in placed)


# --- Series


@pytest.fixture
def admin(adam, asker):
    return asker(adam)


@pytest.fixture
def fraud(db) -> Workload:
    return Workload.objects.create(slug="fraud", name="Fraud desk")


@pytest.fixture
def add(admin):
    """`add({claims: "0.6"}, model="m")`: a rule, last."""

    def _add(shares, **fields) -> AllocationRule:
        pairs = [(workload, D(share)) for workload, share in shares.items()]
        return change_rules(admin, adding(RuleFields(shares=pairs, **fields)))[0]

    return _add


def rows_of(series_id: int) -> list[tuple]:
    rows = Allocation.objects.filter(series=series_id).order_by("valid_from_on", "workload__slug")
    return [(one.workload.slug, one.share_ratio, one.valid_from_on, one.valid_until_on) for one in rows]


def test_a_rule_places_what_is_there_and_what_comes(add, make_series, claims):
    there = make_series("m1", labels=(("team", "claims"),))
    add({claims: 1}, label_name="team", label_value="claims")
    come = make_series("m2", labels=(("team", "claims"),))
    assert rows_of(there) == rows_of(come) == [("claims", D(1), ALWAYS, None)]
    assert rows_of(make_series("m1")) == []


def test_a_push_without_a_roadmap_is_placed_and_one_with_a_roadmap_is_not(add, make_series, claims, fraud):
    add({claims: 1}, model="m1")
    assert rows_of(make_series("m1", is_pushed=True)) == [("claims", D(1), ALWAYS, None)]
    named = make_series("m1", is_pushed=True, workload_id=fraud.pk)
    assert rows_of(named) == [("fraud", D(1), ALWAYS, None)]
    allocating.place_all()
    assert rows_of(named) == [("fraud", D(1), ALWAYS, None)]


def test_the_backends_default_comes_after_the_rules(add, make_series, backend, claims, fraud):
    backend.default_workload = fraud
    backend.save()
    first, second = make_series("m1"), make_series("m2")
    rule = add({claims: 1}, model="m1", valid_from_on=NOV)
    assert rows_of(first) == [("fraud", D(1), ALWAYS, NOV), ("claims", D(1), NOV, None)]
    assert rows_of(second) == [("fraud", D(1), ALWAYS, None)]
    # Another default is for series that are new from then on.
    backend.default_workload = claims
    backend.save()
    allocating.place_all()
    assert rows_of(second) == [("fraud", D(1), ALWAYS, None)]
    assert rule.allocations.get().source == Allocation.Source.RULE


def test_by_hand_wins_from_its_day_on_until_it_is_given_back(add, make_series, admin, claims, fraud):
    one = make_series("m1")
    add({claims: 1}, model="m1")
    allocate(admin, Series.objects.get(pk=one), shares=[(fraud, D("0.5"))], from_on=NOV)
    expected = [("claims", D(1), ALWAYS, NOV), ("fraud", D("0.5"), NOV, None)]
    assert rows_of(one) == expected
    add({fraud: 1}, provider="*")
    allocating.place_all()
    assert rows_of(one) == expected
    allocate_by_rules(admin, Series.objects.get(pk=one))
    assert rows_of(one) == [("claims", D(1), ALWAYS, None)]


def test_a_series_that_a_person_took_back_stays_unallocated(add, make_series, admin, claims):
    one = make_series("m1")
    allocate(admin, Series.objects.get(pk=one), shares=[])
    add({claims: 1}, model="m1")
    assert rows_of(one) == []


def test_changing_moving_and_removing_places_again(add, make_series, admin, claims, fraud):
    one = make_series("m1")
    first, second = add({claims: 1}, model="m*"), add({fraud: "0.4"}, model="m1")
    assert rows_of(one) == [("claims", D(1), ALWAYS, None)]
    change_rules(admin, moving(second, up=True))
    assert rows_of(one) == [("fraud", D("0.4"), ALWAYS, None)]
    second.refresh_from_db()
    change_rules(admin, changing(second, RuleFields(**{**as_dict(second), "valid_from_on": NOV})))
    assert rows_of(one) == [("claims", D(1), ALWAYS, NOV), ("fraud", D("0.4"), NOV, None)]
    change_rules(admin, removing(first))
    assert rows_of(one) == [("fraud", D("0.4"), NOV, None)]
    assert [rule.position for rule in AllocationRule.objects.all()] == [1]
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions == [
        "add_allocation_rule",
        "add_allocation_rule",
        "order_allocation_rules",
        "change_allocation_rule",
        "remove_allocation_rule",
    ]


def as_dict(rule: AllocationRule) -> dict:
    fields = fields_of(rule)
    return {name: getattr(fields, name) for name in RuleFields.__dataclass_fields__}


def test_idle_capacity_and_the_demo_are_not_placed(add, backend, make_series, claims):
    from metrics.capacity import idle_series

    backend.default_workload = claims
    backend.save()
    idle = idle_series(backend)
    tried = make_series("m1")
    Series.objects.filter(pk=tried).update(is_demo=True)
    Allocation.objects.filter(series=tried).delete()
    add({claims: 1}, provider="*")
    assert (rows_of(idle), rows_of(tried)) == ([], [])


# --- Refusals


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "matches_everything"),
        ({"model": " "}, "matches_everything"),
        ({"label_value": "x"}, "required"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(admin, fields, code):
    with pytest.raises(RuleViolation) as caught:
        adding(RuleFields(**fields))
    assert caught.value.code == code


def test_shares_are_at_most_all(admin, claims, fraud):
    with pytest.raises(RuleViolation) as caught:
        adding(RuleFields(model="m", shares=[(claims, D("0.7")), (fraud, D("0.4"))]))
    assert caught.value.code == "more_than_all"


def test_an_order_names_every_rule(add, claims):
    rule = add({claims: 1}, model="m")
    for ids in ([], [rule.pk, rule.pk], [rule.pk + 1]):
        with pytest.raises(RuleViolation):
            ordering(ids)
    with pytest.raises(RuleViolation):
        moving(rule, up=True)


@pytest.mark.parametrize("who", ["alice", "bob", "vera", "oscar", "erin"])
def test_only_admins_change_rules(who, request, asker, claims):
    person = asker(request.getfixturevalue(who))
    change = adding(RuleFields(model="m", shares=[(claims, D(1))]))
    for door in (change_rules, preview_change):
        with pytest.raises(PermissionDenied):
            door(person, change)
    assert not AllocationRule.objects.exists()


# --- What moves


@pytest.fixture
def spend(make_series):
    """`spend("m1", back=40, amount="3")`: so much on a series, so many days ago; returns the series' id."""

    def _spend(model, *, back=1, amount="1", tokens=100, **key):
        series_id = make_series(model, **key)
        one = Series.objects.get(pk=series_id)
        hour = (timezone.now() - timedelta(days=back)).replace(minute=0, second=0, microsecond=0)
        sums = {"input_tokens": tokens, "output_tokens": 0, "estimated_cost": D(amount)}
        feed = ledger.feed(FeedKind.USAGE, one.backend)
        ledger.post(
            Receipt(kind=FeedKind.USAGE, backend=one.backend),
            feed,
            [PostedCell(series_id, hour, sums, {}, conf.REPORTING_CURRENCY)],
        )
        return series_id

    return _spend


def by_month() -> dict[tuple, tuple]:
    today = timezone.now().date()
    rows = read_door.usage(Scope(date(2000, 1, 1), today + timedelta(days=1), None), by=("workload",), grain="month")
    return {(row.period, row.key["workload_slug"]): (row.sums.spend, row.sums.total("tokens")) for row in rows}


def told(preview) -> dict[tuple, tuple]:
    return {(row.month, row.slug): (row.spend_after, row.tokens_after) for row in preview.rows}


def test_the_preview_is_what_then_happens_and_changes_nothing(spend, add, admin, claims, fraud):
    spend("m1", back=1, amount="3.10", labels=(("team", "claims"),))
    spend("m1", back=70, amount="10.00", labels=(("team", "claims"),))
    spend("m2", back=1, amount="7.77")
    add({fraud: 1}, model="m2")
    before = by_month()
    change = adding(RuleFields(shares=[(claims, D("0.333"))], provider="*"), position=1)
    preview = preview_change(admin, change)
    assert by_month() == before
    assert AllocationRule.objects.count() == 1
    change_rules(admin, change)
    after = by_month()
    assert preview.series == 2
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            assert told(preview)[key] == after.get(key, (None, None))
    assert told(preview).keys() == {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert sum(row.spend_change for row in preview.rows) == 0
    # Claims and nobody get what the fraud desk had this month (7.77), claims a third of what was nobody's in the other.
    assert preview.spend_moved == D("7.77") + D("3.33")


def test_a_rule_that_moves_nothing_says_so(spend, add, admin, claims):
    spend("m1")
    preview = preview_change(admin, adding(RuleFields(shares=[(claims, D(1))], model="other")))
    assert (preview.series, preview.rows) == (0, [])


FIELDS = st.tuples(
    st.sampled_from([{"model": "m1"}, {"model": "m*"}, {"label_name": "team"}, {"provider": "*"}, {"project": "p*"}]),
    st.sampled_from(["", "claims", "both"]),
    st.sampled_from([None, -50, -10]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, min_size=1, max_size=4))
def test_every_preview_is_what_then_happens(spend, admin, claims, fraud, made_rules):
    AllocationRule.objects.all().delete()
    allocating.place_all()
    for number, back in enumerate((1, 30, 60)):
        spend("m1", back=back, amount="1.01", labels=(("team", "a"),))
        spend(f"m{number}", back=back, amount="2.03", labels=(("project", "p1"),))
    whole = {key[0]: D(0) for key in by_month()}
    for (month, _), (money, _) in by_month().items():
        whole[month] += money
    for fields, whose, days_back in made_rules:
        shares = {"": [], "claims": [(claims, D(1))], "both": [(claims, D("0.3333333333")), (fraud, D("0.6"))]}[whose]
        day = None if days_back is None else timezone.now().date() + timedelta(days=days_back)
        change = adding(RuleFields(shares=shares, valid_from_on=day, **fields), position=1)
        before, preview = by_month(), preview_change(admin, change)
        change_rules(admin, change)
        after = by_month()
        assert told(preview) == {
            key: after.get(key, (None, None))
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }
        for month, total in whole.items():
            assert sum(money for (one, _), (money, _) in after.items() if one == month) == total


def test_any_order_of_arrival_gives_the_same_allocation(add, backend, make_series, claims, fraud):
    """Series before, between and after the rules: the same rows."""
    wanted = None
    for number, order in enumerate(permutations(["series", "first", "second"])):
        on = Backend.objects.create(slug=f"b{number}", name=f"B{number}", connector="x", provider="p")
        AllocationRule.objects.all().delete()
        allocating.place_all()
        for what in order:
            if what == "series":
                series_id = make_series("m1", on=on)
            elif what == "first":
                add({claims: "0.5", fraud: "0.25"}, model="m1", valid_from_on=NOV)
            else:
                add({fraud: 1}, provider="p")
        # In the order in which they were asked for, the first stands first.
        rules = sorted(AllocationRule.objects.all(), key=lambda rule: rule.valid_from_on is None)
        change_rules_in_order = [rule.pk for rule in rules]
        for position, pk in enumerate(change_rules_in_order, start=1):
            AllocationRule.objects.filter(pk=pk).update(position=position)
        allocating.place_all()
        wanted = wanted or rows_of(series_id)
        assert rows_of(series_id) == wanted
    assert wanted == [
        ("fraud", D(1), ALWAYS, NOV),
        ("claims", D("0.5"), NOV, None),
        ("fraud", D("0.25"), NOV, None),
    ]


def test_placing_again_costs_the_same_queries_for_many_series(add, make_series, claims, django_assert_max_num_queries):
    for number in range(3):
        make_series(f"m{number}")
    add({claims: 1}, model="m*")
    for number in range(40):
        make_series(f"n{number}")
    with django_assert_max_num_queries(8):
        allocating.place_all()
    AllocationRule.objects.update(model="n*")
    with django_assert_max_num_queries(10):
        assert len(allocating.place_all().series_ids) == 43


def test_idle_capacity_follows_a_rule_also_in_months_that_are_over(add, backend, make_series, claims, fraud, admin):
    from metrics.capacity import post_capacity
    from metrics.models import RateCard
    from tests.metrics.test_capacity import _idle, _post

    now = datetime(2026, 11, 22, 12, 10, tzinfo=timezone.now().tzinfo)
    RateCard.objects.create(
        backend=backend,
        kind="rented",
        units=2,
        currency=conf.REPORTING_CURRENCY,
        rate_per_unit_hour=D("2.5"),
        valid_from_on=date(2026, 9, 1),
    )
    one = make_series("m1")
    _post(one, datetime(2026, 9, 5, 9, tzinfo=now.tzinfo), requests=1)
    post_capacity(now, backend_ids=[backend.pk], since=datetime(2026, 9, 1, tzinfo=now.tzinfo))
    assert rows_of(_idle(backend).pk) == []
    preview = preview_change(admin, adding(RuleFields(shares=[(claims, D("0.75"))], model="m1")))
    rule = add({claims: "0.75"}, model="m1")
    assert rows_of(_idle(backend).pk) == [("claims", D("0.75"), date(2026, 9, 1), date(2026, 10, 1))]
    september = by_month()[date(2026, 9, 1), "claims"][0]
    assert september == D("0.75") * 5 * 30 * 24
    assert told(preview)[date(2026, 9, 1), "claims"][0] == september
    change_rules(admin, changing(rule, RuleFields(shares=[(fraud, D(1))], model="m1")))
    assert rows_of(_idle(backend).pk) == [("fraud", D(1), date(2026, 9, 1), date(2026, 10, 1))]
