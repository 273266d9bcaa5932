"""One view, one address: page, partial, and what follows a POST."""

from django.contrib.messages import get_messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from web.htmx import done, is_partial, with_message


def ask(method: str = "get", **headers: str):
    request = getattr(RequestFactory(), method)("/place/", **headers)
    request.htmx = HtmxDetails(request)
    request.session = {}
    request._messages = FallbackStorage(request)
    return request


def test_a_plain_request_gets_the_page():
    assert not is_partial(ask())


def test_htmx_gets_a_part_but_a_boosted_link_and_history_the_page():
    assert is_partial(ask(HTTP_HX_REQUEST="true"))
    assert not is_partial(ask(HTTP_HX_REQUEST="true", HTTP_HX_BOOSTED="true"))
    assert not is_partial(ask(HTTP_HX_REQUEST="true", HTTP_HX_HISTORY_RESTORE_REQUEST="true"))


def test_a_plain_form_is_redirected_and_told_once():
    request = ask("post")
    answer = done(request, "/there/", "Saved.")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/there/")
    assert [str(message) for message in get_messages(request)] == ["Saved."]
    assert "HX-Request" in answer.headers["Vary"]


def test_htmx_is_sent_there_or_reloads_where_it_is():
    away = done(ask("post", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/here/"), "/there/")
    assert away.headers["HX-Redirect"] == "/there/"
    same = done(ask("post", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/there/"), "/there/")
    assert same.headers["HX-Refresh"] == "true"


def test_a_message_joins_other_events():
    answer = HttpResponse(headers={"HX-Trigger": '{"saved": {}}'})
    assert with_message(answer, "Done.").headers["HX-Trigger"] == (
        '{"saved": {}, "phaseline:message": {"text": "Done.", "tone": "green"}}'
    )


def test_a_session_that_ended_sends_htmx_to_sign_in(client, db):
    answer = client.get(
        "/tokens/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/tokens/?page=2"}
    )
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Ftokens%2F%3Fpage%3D2"
