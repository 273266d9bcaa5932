"""What nobody read of a small body is thrown away, so that the connection takes the next request."""

from __future__ import annotations

import io

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from web.middleware import ReadsToTheEnd


class Source(io.BytesIO):
    """A body that counts what was taken of it; it may break."""

    def __init__(self, size: int, *, breaks: bool = False) -> None:
        super().__init__(b"x" * size)
        self.breaks = breaks

    def read(self, size: int | None = -1) -> bytes:
        if self.breaks:
            raise OSError("the client fell silent")
        return super().read(size)


def left_of(size: int, *, method: str = "POST", headers: dict[str, str] | None = None, breaks: bool = False) -> int:
    """How much of a body of this size is left after a refusal that read nothing."""
    source = Source(size, breaks=breaks)
    request = RequestFactory().generic(method, "/api/v1/usage", **(headers or {"CONTENT_LENGTH": str(size)}))
    request.META["wsgi.input"] = source
    answer = ReadsToTheEnd(lambda _: HttpResponse(status=429))(request)
    assert answer.status_code == 429
    return size - source.tell()


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 1_000_000])
def test_a_small_body_is_read_to_its_end(size):
    assert left_of(size) == 0


def test_one_in_pieces_is_read_to_its_end():
    assert left_of(200_000, headers={"HTTP_TRANSFER_ENCODING": "chunked"}) == 0


def test_one_that_is_too_large_is_left():
    size = ReadsToTheEnd.MOST + 1
    assert left_of(size) == size


def test_no_more_is_read_than_the_bound():
    size = ReadsToTheEnd.MOST + 5
    assert left_of(size, headers={"HTTP_TRANSFER_ENCODING": "chunked"}) == 5


@pytest.mark.parametrize("length", ["", "many", "-1", "9" * 30])
def test_a_length_that_is_no_number_changes_no_answer(length):
    assert left_of(10, headers={"CONTENT_LENGTH": length}) == 10


def test_a_client_that_fell_silent_gets_its_answer():
    assert left_of(10, breaks=True) == 10
