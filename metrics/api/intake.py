"""What every push's address does first: reads the body within bounds, and lets no token send too much at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cramjam
from django.conf import settings
from django.http import HttpRequest
from gunicorn.http.errors import ParseException
from isal import isal_zlib
from rest_framework.exceptions import APIException, UnsupportedMediaType

from metrics.format import Unreadable
from web.problems import RETRY_AFTER_SECONDS

# Of one token in one process: more than that many only wait for one another in the database.
MAX_IN_FLIGHT = 6
# Of all tokens in one process: fewer than its threads, so that pages are answered while everybody pushes.
MAX_IN_FLIGHT_OF_ALL = 7
# Decompressed in pieces, so that a small body that expands to gigabytes is refused after the first 16 MiB. Most bodies
# are one piece, which need not be put together.
_PIECE = 4 * 1024 * 1024
# What is given of a body to the members behind the first. Each copies what it leaves: a million empty ones in 16 MiB,
# given the whole, would take minutes.
_WINDOW = 16 * 1024
# How a member begins (RFC 1952), and the bits of its fourth byte that shall be zero.
_GZIP, _FLAGS, _UNKNOWN_FLAGS = b"\x1f\x8b", 3, 0xE0


class StorageDown(APIException):
    """The database does not answer: 503, never 500."""

    status_code = 503
    default_code = "storage_down"
    default_detail = "The database does not answer. Send the same again."
    wait = RETRY_AFTER_SECONDS


class NoRoom(StorageDown):
    """What is read through a temporary file found no room for it."""

    default_detail = "The server's disk takes no file: it may be full. Send the same again."


class TooFast(APIException):
    """The token has as many pushes in flight as one may have."""

    status_code = 429
    default_code = "too_fast"
    default_detail = "This token has too many pushes in flight. Send fewer at once, or larger batches."
    wait = 1


class TooBusy(TooFast):
    """This process has as many pushes in flight as it works on at once."""

    default_code = "too_busy"
    default_detail = "The server works on as many pushes as it can. Send the same again in a second."


# --- The body


def body_of(request: HttpRequest) -> bytes:
    """The body, unzipped, of a request that nobody has read.

    Raises Unreadable where it is too large, cut or damaged, UnsupportedMediaType where it is encoded otherwise.
    """
    encoding = _encoding_of(request)
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMediaType(encoding, detail=f"Content-Encoding is gzip or none, not '{encoding}'.")
    body = _read(request)
    return _unzip(body, settings.PUSH_MAX_BYTES) if encoding == "gzip" else body


def snappy_body_of(request: HttpRequest) -> bytes:
    """As `body_of`, of a body that has to be a block of snappy, which says at its beginning how long it is inside."""
    encoding = _encoding_of(request)
    if encoding != "snappy":
        raise UnsupportedMediaType(encoding, detail=f"Content-Encoding is snappy, not '{encoding}'.")
    body = _read(request)
    limit = settings.PUSH_MAX_BYTES
    try:
        if cramjam.snappy.decompress_raw_len(body) > limit:
            raise _too_large(limit)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise Unreadable(400, "broken_snappy", "The body is said to be snappy's block format and is not.") from None


def _encoding_of(request: HttpRequest) -> str:
    return request.headers.get("Content-Encoding", "identity").strip().lower()


def _read(request: HttpRequest) -> bytes:
    limit = settings.PUSH_MAX_BYTES
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise _too_large(limit)
    try:
        if not length and "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            # Django reads as far as Content-Length says; the server behind it has put the pieces together.
            body = request.META["wsgi.input"].read(limit + 1)
        else:
            body = request.read(limit + 1)
    except (OSError, ParseException):
        # A piece that is none, a line that was cut, a client that fell silent.
        raise _cut() from None
    if len(body) > limit:
        raise _too_large(limit)
    if length and len(body) < length:
        raise _cut()
    return body


def _unzip(body: bytes, limit: int) -> bytes:
    unzip = _member_of(body)
    pieces: list[bytes] = []
    size = 0
    # What is unzipped next, and how far into the body that reaches.
    given, end = body, len(body)
    try:
        while True:
            piece = unzip.decompress(given, _PIECE)
            size += len(piece)
            pieces.append(piece)
            if size > limit:
                raise _too_large(limit)
            given = unzip.unconsumed_tail
            if unzip.eof:
                # A gzip file may have several members, one after the other.
                end -= len(unzip.unused_data)
                if end == len(body):
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                unzip = _member_of(body[end : end + _FLAGS + 1])
                given = b""
            if not given and end < len(body):
                given = body[end : end + _WINDOW]
                end += len(given)
            elif not given and not piece:
                break
    except isal_zlib.error:
        raise _damaged() from None
    raise Unreadable(400, "broken_gzip", "The gzip body ends too early.")


def _member_of(body: bytes) -> Any:
    """What unzips a member that begins here. The library waits for more of three bytes that are none, and takes flags
    that mean nothing yet."""
    if not body.startswith(_GZIP[: max(1, len(body))]) or (len(body) > _FLAGS and body[_FLAGS] & _UNKNOWN_FLAGS):
        raise _damaged()
    return isal_zlib.decompressobj(wbits=31)


def _damaged() -> Unreadable:
    return Unreadable(400, "broken_gzip", "The body is said to be gzip and is not, or is damaged.")


def _cut() -> Unreadable:
    return Unreadable(400, "truncated", "The connection ended before the whole body was here. Send the same again.")


def _too_large(limit: int) -> Unreadable:
    return Unreadable(413, "too_large", f"At most {limit // 2**20} MiB decoded a request; send several requests.")


# --- Pushes in flight

_in_flight: Counter[int] = Counter()
_lock = threading.Lock()


@contextmanager
def in_flight(token_id: int) -> Iterator[None]:
    """Counts a push of this token in this process while it is worked on. Raises TooFast, TooBusy."""
    with _lock:
        if _in_flight[token_id] >= MAX_IN_FLIGHT:
            raise TooFast
        if _in_flight.total() >= MAX_IN_FLIGHT_OF_ALL:
            raise TooBusy
        _in_flight[token_id] += 1
    try:
        yield
    finally:
        with _lock:
            _in_flight[token_id] -= 1
            if not _in_flight[token_id]:
                del _in_flight[token_id]
