"""Counted once: of linked sources one counts; unlinked ones that look alike are asked about. Worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import counting, ledger, series
from metrics.actions.links import decide_look_alike, link_backend, link_push
from metrics.counted import Place, Stream, uncounted_from
from metrics.counting import find_look_alikes, recount
from metrics.errors import RuleViolation
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Backend, LookAlike, Receipt, Series
from metrics.usage import FeedKind

DAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope(DAY, DAY + timedelta(days=2), None)


@pytest.fixture
def gateway(db) -> Backend:
    return Backend.objects.create(slug="gw", name="LiteLLM", connector="x", measured_at="gateway", provider="litellm")


def _post(series_id: int, tokens: int, hour: datetime = NOON) -> None:
    one = Series.objects.get(pk=series_id)
    kind = FeedKind.PUSH if one.is_pushed else FeedKind.USAGE
    cell = PostedCell(series_id, hour, {"requests": 10, "input_tokens": tokens, "output_tokens": 0})
    ledger.post(Receipt(kind=kind, backend=one.backend), ledger.feed(kind, one.backend), [cell])


def _counted() -> int:
    return sum(int(row.sums.total("tokens") or 0) for row in series.usage(SCOPE))


# --- The rule

APP, GATEWAY, SERVER = "application", "gateway", "server"
LATER = DAY + timedelta(days=5)
# GPU 1 and GPU 2 stand behind the gateway 10 since DAY.
PLACES = {1: Place(10, DAY), 2: Place(10, DAY), 10: Place()}


def _stream(key, place, measured_at, model="llama", first_on=DAY, *, is_own=True, **more) -> Stream:
    return Stream(key, place, measured_at, is_own, model, first_on, **more)


def _hidden(*streams, places=None) -> dict[int, date]:
    found = uncounted_from(streams, places or PLACES)
    assert found.keys() == {stream.key for stream in streams}
    return {key: day for key, day in found.items() if day is not None}


def test_the_gateway_counts_else_the_server_else_the_application():
    app, server = _stream(1, 1, APP, is_own=False), _stream(2, 1, SERVER)
    gateway = _stream(3, 10, GATEWAY)
    assert _hidden(app, server, gateway) == {1: DAY, 2: DAY}
    assert _hidden(app, server) == {1: DAY}
    assert _hidden(app) == {}


def test_a_source_that_reports_nothing_does_not_take_over():
    assert _hidden(_stream(1, 1, SERVER), _stream(2, 10, GATEWAY, first_on=None)) == {}


def test_it_counts_from_its_first_day_on_and_not_before_the_link():
    server = _stream(1, 1, SERVER)
    assert _hidden(server, _stream(2, 10, GATEWAY, first_on=LATER)) == {1: LATER}
    linked_later = {**PLACES, 1: Place(10, LATER)}
    assert _hidden(server, _stream(2, 10, GATEWAY), places=linked_later) == {1: LATER}


def test_it_is_decided_model_by_model():
    """A gateway-measured push of one model takes over that model, not all of the backend."""
    own = [_stream(1, 1, SERVER, "llama"), _stream(2, 1, SERVER, "qwen")]
    push = _stream(3, 1, GATEWAY, "llama", is_own=False)
    assert _hidden(*own, push, places={1: Place()}) == {1: DAY}
    front = [_stream(4, 10, GATEWAY, "llama"), _stream(5, 10, GATEWAY, "qwen", first_on=LATER)]
    assert _hidden(*own, front[0]) == {1: DAY}
    assert _hidden(*own, *front) == {1: DAY, 2: LATER}


def test_a_name_that_nobody_behind_the_gateway_has_may_be_any_that_it_does_not_name():
    """'fast' may be llama or qwen, and never counts twice; what is named alike is certain."""
    llama, qwen = _stream(1, 1, SERVER, "llama"), _stream(2, 2, SERVER, "qwen")
    fast = _stream(3, 10, GATEWAY, "fast", first_on=LATER)
    assert _hidden(llama, qwen, fast) == {1: LATER, 2: LATER}
    named = _stream(4, 10, GATEWAY, "llama")
    assert _hidden(llama, qwen, fast, named) == {1: DAY, 2: LATER}


def test_several_servers_behind_one_gateway_are_all_taken_over():
    servers = [_stream(1, 1, SERVER), _stream(2, 2, SERVER)]
    assert _hidden(*servers, _stream(3, 10, GATEWAY)) == {1: DAY, 2: DAY}


def test_of_two_gateways_the_one_in_front_counts():
    places = {1: Place(10, DAY), 10: Place(11, LATER), 11: Place()}
    server, near, front = _stream(1, 1, SERVER), _stream(2, 10, GATEWAY), _stream(3, 11, GATEWAY)
    assert _hidden(server, near, front, places=places) == {1: DAY, 2: LATER}
    # The near one reports nothing: the server gives way to the one in front, since both links hold.
    assert _hidden(server, front, places=places) == {1: LATER}


def test_what_passes_a_gateway_gives_way_to_the_server_behind_it_by_name_only():
    push = _stream(1, 10, APP, "llama", is_own=False)
    other = _stream(2, 10, APP, "gpt-4o", is_own=False)
    assert _hidden(push, other, _stream(3, 1, SERVER, "llama")) == {1: DAY}


def test_what_a_gateway_pushes_takes_over_the_server_behind_it():
    assert _hidden(_stream(1, 1, SERVER), _stream(2, 10, GATEWAY, is_own=False)) == {1: DAY}
    # Pulled before pushed.
    assert _hidden(_stream(1, 10, GATEWAY), _stream(2, 10, GATEWAY, is_own=False)) == {2: DAY}


def test_a_backend_that_others_stand_behind_is_a_gateway_whatever_it_says():
    assert _hidden(_stream(1, 1, SERVER), _stream(2, 10, SERVER)) == {1: DAY}


def test_a_step_of_an_agent_always_counts():
    step = _stream(1, 1, APP, "llama", is_own=False, is_step=True)
    assert _hidden(step, _stream(2, 1, SERVER)) == {}


@given(
    st.lists(
        st.builds(
            _stream,
            st.integers(1, 10**6),
            st.sampled_from([1, 2, 10]),
            st.sampled_from([APP, GATEWAY, SERVER]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([None, DAY, LATER]),
            is_own=st.booleans(),
        ),
        max_size=8,
        unique_by=lambda stream: stream.key,
    )
)
def test_somebody_always_counts_whatever_the_order(streams):
    found = uncounted_from(streams, PLACES)
    assert uncounted_from(streams[::-1], PLACES) == found
    reporting = [stream for stream in streams if stream.first_on is not None]
    if reporting:
        assert any(found[stream.key] is None for stream in reporting)
    for stream in streams:
        if found[stream.key] is not None:
            # Whoever takes over reports from that day on.
            assert any(other.first_on and other.first_on <= found[stream.key] for other in reporting if other != stream)


# --- Links


def test_a_server_behind_a_gateway_is_counted_once(backend, gateway, make_series, adam, asker):
    """The gateway saw 1,000 tokens, the server 1,017: the total is 1,000, the server is the cross-check, gap 1.7%."""
    own, front = make_series("llama"), make_series("llama", on=gateway, measured_at="gateway")
    _post(own, 1017)
    _post(front, 1000)
    assert _counted() == 2017
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    assert _counted() == 1000
    check = series.cross_checks(SCOPE)[0]
    assert (check.counted_tokens, check.other_tokens) == (1000, 1017)
    assert round(check.gap_ratio, 3) == Decimal("0.017")


def test_a_link_taken_back_counts_both_again(backend, gateway, make_series, adam, asker):
    _post(make_series("llama"), 1017)
    _post(make_series("llama", on=gateway, measured_at="gateway"), 1000)
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    link_backend(asker(adam), backend, gateway=None)
    assert _counted() == 2017


def test_days_before_the_link_stay_as_they_were(backend, gateway, make_series, adam, asker):
    own, front = make_series("llama"), make_series("llama", on=gateway, measured_at="gateway")
    for series_id in (own, front):
        _post(series_id, 100)
        _post(series_id, 100, NOON + timedelta(days=1))
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY + timedelta(days=1))
    assert _counted() == 300


def test_a_gateway_that_reports_nothing_does_not_hide_the_server(backend, gateway, make_series, adam, asker):
    _post(make_series("llama"), 1000)
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    assert _counted() == 1000


def test_the_server_counts_until_the_gateway_has_figures(backend, gateway, make_series, adam, asker):
    _post(make_series("llama"), 500)
    _post(make_series("llama", on=gateway, measured_at="gateway"), 100, NOON + timedelta(days=1))
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    assert _counted() == 600


def test_a_push_that_only_names_a_backend_does_not_hide_one_that_goes_through_it(
    backend, make_series, claims, other, adam, asker
):
    fields = {"is_pushed": True, "measured_at": "application"}
    naming, passing = (make_series("llama", workload_id=one.pk, **fields) for one in (claims, other))
    _post(naming, 100)
    _post(passing, 200)
    link_push(asker(adam), Series.objects.get(pk=passing), backend=backend)
    assert _counted() == 300


def test_a_push_that_goes_through_a_pulled_server_is_counted_once(backend, make_series, claims, adam, asker):
    pushed = make_series("llama", is_pushed=True, workload_id=claims.pk, measured_at="application")
    _post(make_series("llama"), 1000)
    _post(pushed, 990)
    assert _counted() == 1990
    link_push(asker(adam), Series.objects.get(pk=pushed), backend=backend)
    assert _counted() == 1000


def test_a_new_series_of_a_linked_push_is_linked_too(backend, make_series, claims, adam, asker):
    pushed = make_series("llama", is_pushed=True, workload_id=claims.pk, measured_at="application")
    _post(make_series("llama"), 1000)
    _post(pushed, 990)
    link_push(asker(adam), Series.objects.get(pk=pushed), backend=backend)
    fields = {"is_pushed": True, "workload_id": claims.pk, "measured_at": "application"}
    again = make_series("llama", labels=(("team", "x"),), **fields)
    _post(again, 500)
    recount([backend.pk])
    assert _counted() == 1000


def test_a_backend_cannot_stand_behind_itself_in_a_circle(backend, gateway, adam, asker):
    link_backend(asker(adam), backend, gateway=gateway)
    with pytest.raises(RuleViolation) as caught:
        link_backend(asker(adam), gateway, gateway=backend)
    assert caught.value.code == "circle"


# --- What counts of whoever sends it


def _post_more(series_id: int, **sums) -> None:
    one = Series.objects.get(pk=series_id)
    ledger.post(
        Receipt(kind=FeedKind.PUSH, backend=one.backend),
        ledger.feed(FeedKind.PUSH, one.backend),
        [PostedCell(series_id, NOON, sums)],
    )


def test_quality_and_guardrails_count_of_whoever_sends_them(backend, make_series, claims, adam, asker):
    """The server counts 10 requests and 1,000 tokens; the application saw 8 of them, blocked 2 and scored 4 with 3.2.

    Blocked: 2 of the 8 that it saw, 250 per 1,000, over 8 of 10 requests. Tokens stay the server's.
    """
    pushed = make_series("llama", is_pushed=True, workload_id=claims.pk, measured_at="application")
    _post(make_series("llama"), 1000)
    _post_more(
        pushed, requests=8, input_tokens=900, output_tokens=0, blocked=2, quality_count=4, quality_sum=Decimal("3.2")
    )
    link_push(asker(adam), Series.objects.get(pk=pushed), backend=backend)
    sums = series.usage(SCOPE)[0].sums
    assert (sums.total("requests"), sums.total("tokens"), sums.total("blocked")) == (10, 1000, 2)
    blocked = sums.ratio("blocked", "requests", weight="requests")
    assert (blocked.value * 1000, blocked.coverage) == (250, Decimal("0.8"))
    quality = sums.ratio("quality_sum", "quality_count", weight="quality_count")
    assert (quality.value, quality.coverage) == (Decimal("0.8"), 1)
    assert sums.ratio("errors", "requests", weight="requests").value is None
    mine = series.usage(Scope(SCOPE.start_on, SCOPE.end_on, (claims.pk,)))[0].sums
    assert (mine.total("requests"), mine.total("blocked")) == (None, 2)
    assert mine.spend is None
    assert mine.tokens_without_cost == 0


def test_latency_is_shown_of_each_source_under_its_own_name(backend, gateway, make_series, adam, asker):
    """Two gateways in a row see the same requests; their histograms are never one."""
    front = Backend.objects.create(slug="front", name="Front", connector="x", measured_at="gateway", provider="p")
    ids = [make_series("llama", on=one, measured_at="gateway") for one in (gateway, front)]
    for series_id, milliseconds in zip(ids, (100, 300), strict=True):
        _post(series_id, 1000)
        _post_more(series_id, duration_count=10, duration_sum_ms=Decimal(10 * milliseconds))
    link_backend(asker(adam), gateway, gateway=front, from_on=DAY)
    means = {row.key["measured_at"]: row.mean_ms for row in series.latency(SCOPE)}
    assert sorted(means.values()) == [100, 300]
    assert means["gateway"] == 300


# --- Look-alikes


def _pair(make_series, claims, *, pushed: int, pulled: int) -> None:
    fields = {"is_pushed": True, "workload_id": claims.pk, "measured_at": "application"}
    _post(make_series("llama-3.gguf", **fields), pushed)
    _post(make_series("models/llama-3"), pulled)


def test_nearly_the_same_tokens_of_a_model_are_asked_about(make_series, claims):
    _pair(make_series, claims, pushed=1000, pulled=1040)
    assert find_look_alikes(DAY) == 1
    assert find_look_alikes(DAY) == 0
    found = LookAlike.objects.get()
    assert (found.first_tokens, found.second_tokens) == (1040, 1000)
    assert [item.code for item in series.attention(None)].count("look_alike") == 1


@pytest.mark.parametrize(("pushed", "pulled"), [(1000, 1200), (40, 41)])
def test_others_are_left_in_peace(make_series, claims, pushed, pulled):
    _pair(make_series, claims, pushed=pushed, pulled=pulled)
    assert find_look_alikes(DAY) == 0


def test_a_source_in_several_series_is_compared_as_a_whole(make_series, claims):
    fields = {"is_pushed": True, "workload_id": claims.pk, "measured_at": "application"}
    _post(make_series("llama", labels=(("team", "a"),), **fields), 600)
    _post(make_series("llama", labels=(("team", "b"),), **fields), 400)
    _post(make_series("llama"), 1000)
    assert find_look_alikes(DAY) == 1


def test_linking_them_counts_once_and_asks_no_more(make_series, claims, adam, asker):
    _pair(make_series, claims, pushed=1000, pulled=1040)
    find_look_alikes(DAY)
    decide_look_alike(asker(adam), LookAlike.objects.get(), decision="linked")
    assert _counted() == 1040
    assert find_look_alikes(DAY) == 0
    assert [item for item in series.attention(None) if item.code == "look_alike"] == []


def test_different_traffic_counts_both_and_asks_no_more(make_series, claims, adam, asker):
    _pair(make_series, claims, pushed=1000, pulled=1040)
    find_look_alikes(DAY)
    decide_look_alike(asker(adam), LookAlike.objects.get(), decision="different")
    assert _counted() == 2040
    assert find_look_alikes(DAY) == 0


def test_a_decision_is_taken_once(make_series, claims, adam, asker):
    _pair(make_series, claims, pushed=1000, pulled=1040)
    find_look_alikes(DAY)
    decide_look_alike(asker(adam), LookAlike.objects.get(), decision="different")
    with pytest.raises(RuleViolation) as caught:
        decide_look_alike(asker(adam), LookAlike.objects.get(), decision="linked")
    assert caught.value.code == "already_decided"


def test_linked_sources_are_not_asked_about(backend, gateway, make_series, adam, asker):
    _post(make_series("llama"), 1000)
    _post(make_series("llama", on=gateway, measured_at="gateway"), 1000)
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    assert find_look_alikes(DAY) == 0


def test_names_of_a_model_are_compared_without_folder_and_ending():
    assert counting.model_name("/models/Llama-3-8B.gguf") == counting.model_name("meta/llama-3-8b")
