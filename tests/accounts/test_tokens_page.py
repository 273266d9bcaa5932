"""`/tokens/`: made once, shown once, revoked by their owner or an admin."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Token
from accounts.tokens import find_token, make_token

FORM = {"name": "ci", "scopes": ["push"], "measured_at": "application"}


def text_of(answer) -> str:
    return answer.context["text"]


def test_it_asks_to_sign_in(client, db):
    assert client.get("/tokens/").headers["Location"] == "/accounts/login/?next=/tokens/"


def test_it_shows_the_text_once_and_keeps_only_a_hash(sign_in, bob, claims):
    client = sign_in(bob)
    answer = client.post("/tokens/", {**FORM, "workload": claims.pk})
    text = text_of(answer)
    assert text in answer.content.decode()
    assert find_token(text).workload == claims
    assert text not in client.get("/tokens/").content.decode()
    assert AuditEvent.objects.get().action == "make_token"
    assert "no-store" in answer.headers["Cache-Control"]


def test_it_binds_to_visible_roadmaps_only(sign_in, oscar, claims):
    answer = sign_in(oscar).post("/tokens/", {**FORM, "workload": claims.pk})
    assert answer.status_code == 422
    assert not Token.objects.exists()


def test_a_viewer_may_make_a_token_that_reads_but_not_one_that_pushes(sign_in, vera, claims):
    client = sign_in(vera)
    refused = client.post("/tokens/", {**FORM, "workload": claims.pk})
    assert refused.status_code == 422
    assert "You may only read" in refused.content.decode()
    assert client.post("/tokens/", {**FORM, "scopes": ["read"], "workload": claims.pk}).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["rule"]}, "scopes"),
        ({"measured_at": "moon"}, "measured_at"),
        ({"expires_on": "2020-01-01"}, "expires_on"),
        ({"expires_on": "soon"}, "expires_on"),
        ({"through": "not a slug"}, "through"),
    ],
)
def test_bad_input_is_shown_at_its_field(sign_in, bob, change, field):
    answer = sign_in(bob).post("/tokens/", {**FORM, **change})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not Token.objects.exists()


def test_it_lists_ones_own_tokens_and_everybodys_to_an_admin(sign_in, bob, oscar, adam):
    make_token(name="of bob", owner=bob, scopes=["push"])
    assert "of bob" not in sign_in(oscar).get("/tokens/").content.decode()
    assert "of bob" in sign_in(bob).get("/tokens/").content.decode()
    assert "of bob" in sign_in(adam).get("/tokens/").content.decode()


def test_revoking_ends_it_at_once(sign_in, bob):
    token, text = make_token(name="x", owner=bob, scopes=["push"])
    answer = sign_in(bob).post(f"/tokens/{token.pk}/revoke/")
    assert answer.status_code == 303
    assert find_token(text) is None


def test_nobody_revokes_a_token_of_somebody_else(sign_in, bob, oscar):
    token, text = make_token(name="x", owner=bob, scopes=["push"])
    assert sign_in(oscar).post(f"/tokens/{token.pk}/revoke/").status_code == 404
    assert find_token(text) is not None


def test_revoking_needs_a_post(sign_in, bob):
    token, _ = make_token(name="x", owner=bob, scopes=["push"])
    assert sign_in(bob).get(f"/tokens/{token.pk}/revoke/").status_code == 405


def test_the_last_day_counts_whole(sign_in, bob, settings):
    tomorrow = (timezone.now().astimezone(settings.REPORTING_ZONE) + timedelta(days=1)).date()
    sign_in(bob).post("/tokens/", {**FORM, "expires_on": tomorrow.isoformat()})
    end = Token.objects.get().expires_at.astimezone(settings.REPORTING_ZONE)
    assert (end.date() - tomorrow).days == 1
    assert (end.hour, end.minute) == (0, 0)


@pytest.mark.parametrize("day", ["2100-01-01", "9999-12-31"])
def test_a_last_day_that_is_meant_as_never_is_refused_in_words(sign_in, bob, day):
    answer = sign_in(bob).post("/tokens/", {**FORM, "expires_on": day})
    assert answer.status_code == 422
    assert "Give a day up to 2099, or none" in answer.content.decode()
    assert not Token.objects.exists()


def test_the_latest_day_is_taken(sign_in, bob):
    sign_in(bob).post("/tokens/", {**FORM, "expires_on": "2099-12-31"})
    assert Token.objects.get().expires_at.year == 2100


def test_the_list_costs_the_same_queries_with_more_tokens(sign_in, bob, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = sign_in(bob)
    make_token(name="x", owner=bob, scopes=["push"])
    with CaptureQueriesContext(connection) as few:
        client.get("/tokens/")
    for index in range(10):
        make_token(name=f"x{index}", owner=bob, scopes=["push"])
    with django_assert_num_queries(len(few)):
        client.get("/tokens/")


def test_it_makes_a_token_with_the_signal_that_counts(sign_in, bob, claims):
    client = sign_in(bob)
    client.post("/tokens/", FORM)
    client.post("/tokens/", {**FORM, "name": "tracer", "signal": "traces", "counts_step_tokens": "on"})
    assert list(Token.objects.order_by("pk").values_list("signal", "counts_step_tokens")) == [
        ("metrics", False),
        ("traces", True),
    ]
    assert client.post("/tokens/", {**FORM, "signal": "logs"}).status_code == 422


def test_its_signal_is_changed_on_its_page_by_who_may(sign_in, alice, bob, vera, oscar, claims):
    token, _ = make_token(name="bot", owner=bob, scopes=["push"], workload=claims)
    address = f"/tokens/{token.pk}/"
    for person in (vera, oscar):
        client = sign_in(person)
        for answer in (
            client.get(address),
            client.post(address, {"signal": "traces"}),
            client.post(f"{address}signal/", {"signal": "traces"}),
        ):
            assert answer.status_code == 404
    client = sign_in(bob)
    assert 'name="signal"' in client.get(address).content.decode()
    assert client.post(address, {"signal": "logs"}).status_code == 422
    assert client.post(address, {"signal": "traces", "counts_step_tokens": "on"}).status_code == 303
    token.refresh_from_db()
    assert (token.signal, token.counts_step_tokens) == ("traces", True)
    # A manager of the roadmap decides for a contributor's token, and leaves the rest of it alone.
    client = sign_in(alice)
    assert client.post(f"{address}signal/", {"signal": "metrics"}).status_code == 303
    assert client.post(f"{address}signal/", {"signal": "x\0"}).status_code == 303
    token.refresh_from_db()
    assert (token.signal, token.counts_step_tokens) == ("metrics", True)
    assert AuditEvent.objects.filter(action="change_token").count() == 2


def test_a_revoked_token_has_nothing_to_change(sign_in, bob, claims):
    token, _ = make_token(name="bot", owner=bob, scopes=["push"])
    Token.objects.update(revoked_at=timezone.now())
    client = sign_in(bob)
    assert "Nothing can arrive" in client.get(f"/tokens/{token.pk}/").content.decode()
    assert client.post(f"/tokens/{token.pk}/", {"signal": "traces"}).status_code == 422
    assert client.post(f"/tokens/{token.pk}/signal/", {"signal": "traces"}).status_code == 303
    assert Token.objects.get().signal == "metrics"
