"""Problem documents (RFC 9457) of the REST API."""

import pytest
from django.db import OperationalError
from django.http import Http404
from django.urls import path
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from web.problems import CONTENT_TYPE, field_errors


class Violation(Exception):  # noqa: N818
    def __init__(self, code: str, field: str | None) -> None:
        super().__init__(code)
        self.code, self.field, self.message = code, field, "A phase ends after it starts."


RAISED = {
    "missing": Http404(),
    "invalid": exceptions.ValidationError({"milestones": [{}, {"due_on": ["Give a date."]}], "name": ["Too long."]}),
    "rule": Violation("ends_before_start", "ends_on"),
    "state": Violation("already_decided", None),
    "throttled": exceptions.Throttled(wait=3),
    "down": OperationalError("connection refused"),
}


class Raising(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request, what: str) -> Response:
        raise RAISED[what]


urlpatterns = [path("api/v1/raise/<str:what>/", Raising.as_view())]
handler404 = "web.views.page_not_found"


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = __name__


def ask(what: str):
    return APIClient(raise_request_exception=False).get(f"/api/v1/raise/{what}/")


def test_it_answers_a_document_with_its_own_content_type():
    answer = ask("missing")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert {"type", "title", "status", "detail"} <= answer.json().keys()


def test_it_points_at_each_field():
    body = ask("invalid").json()
    assert body["status"] == 422
    assert [row["pointer"] for row in body["errors"]] == ["#/milestones/1/due_on", "#/name"]


def test_it_shows_a_rule_at_its_field():
    body = ask("rule").json()
    assert (body["status"], body["type"]) == (422, "urn:phaseline:ends_before_start")
    assert body["errors"] == [
        {"pointer": "#/ends_on", "code": "ends_before_start", "detail": "A phase ends after it starts."}
    ]


def test_it_tells_a_conflict_from_bad_input():
    assert ask("state").status_code == 409


def test_it_says_when_to_come_back():
    assert ask("throttled").headers["Retry-After"] == "3"
    down = ask("down")
    assert (down.status_code, down.headers["Retry-After"]) == (503, "5")


def test_an_unknown_api_address_is_a_document_too(client):
    answer = client.get("/api/v1/nothing/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == CONTENT_TYPE


def test_a_pointer_escapes_its_parts():
    assert field_errors({"a/b~c": ["Bad."]})[0]["pointer"] == "#/a~1b~0c"
