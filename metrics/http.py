"""The only outbound HTTP client. Every request of the product leaves through it; Django's side builds the policy.

The host is resolved once, every address is checked, and the connection goes to the address that was checked, so that a
name cannot point elsewhere a moment later. Redirects are not followed, proxies of the environment are not used, answers
are cut off by size and time, and what was declared secret is taken out of every error.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx
import stamina

from metrics.errors import ConnectorError
from metrics.meter import Meter
from metrics.outbound import OutboundPolicy, parse_networks
from metrics.redaction import all_spellings, redact, secrets_in, shown_address
from metrics.transport import CheckedTransport
from metrics.words import N_, phrase

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "HttpClient",
    "Meter",
    "OutboundPolicy",
    "StatusError",
    "parse_networks",
    "redact",
]

USER_AGENT = "Phaseline"
MEBIBYTE = 1024 * 1024
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 529})
LONGEST_PATIENCE_SECONDS = 30.0


class StatusError(ConnectorError):
    """The source answered with a status that is not success."""

    def __init__(
        self, message: str, *, status: int, permanent: bool, hint: str, retry_after: float | None, body: str = ""
    ) -> None:
        super().__init__(message, permanent=permanent, hint=hint, retry_after_seconds=retry_after)
        self.status = status
        # The beginning of the answer, secrets taken out, for a connector that knows the source's error codes.
        self.body = body


class AnswerTooLarge(ConnectorError):  # noqa: N818 - says what happened
    """The answer was cut off at the size limit; asking for less may help."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for connecting, for each wait on the network and for a whole answer; bytes after decompression."""

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 60.0
    max_bytes: int = 16 * MEBIBYTE
    attempts: int = 4
    first_wait_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer with a status of success. `address` has no query and is safe to show."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str

    def text(self) -> str:
        """Return the body as UTF-8, the one encoding of all formats read here. Raises ConnectorError."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            raise ConnectorError(
                phrase("%(address)s answered with text that is not UTF-8.", address=self.address),
                permanent=True,
                hint=N_("Check that the address is the one that the documentation names."),
            ) from None

    def json(self) -> Any:
        """Return the body's JSON, numbers with a fraction as Decimal. Raises ConnectorError."""
        text = self.text()
        if self.looks_like_html():
            raise self.is_a_web_page()
        try:
            return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise ConnectorError(
                phrase(
                    "%(address)s answered with something that is not valid JSON, perhaps cut off.", address=self.address
                ),
                permanent=False,
            ) from None

    def looks_like_html(self) -> bool:
        return self.body.lstrip()[:64].lower().startswith((b"<!doctype", b"<html", b"<?xml"))

    def is_a_web_page(self) -> ConnectorError:
        return ConnectorError(
            phrase("%(address)s answered with a web page instead of data.", address=self.address),
            permanent=True,
            hint=N_("Check the address: a sign-in page or a proxy may stand in front of it."),
        )


class HttpClient:
    """Reads from sources. Make one per pull and close it; `with_secrets` and `with_limits` share its connections."""

    def __init__(self, policy: OutboundPolicy, *, secrets: Iterable[str] = (), limits: Limits | None = None) -> None:
        self.policy = policy
        self.limits = limits or Limits()
        self.meter = Meter()
        self._secrets = all_spellings(secrets)
        self._client = httpx.Client(
            transport=CheckedTransport(policy), follow_redirects=False, trust_env=False, cookies=None
        )

    def with_secrets(self, secrets: Iterable[str]) -> Self:
        twin = self._twin()
        twin._secrets = tuple(sorted({*self._secrets, *all_spellings(secrets)}, key=len, reverse=True))
        return twin

    def with_limits(self, **changes: float) -> Self:
        """Return a client with other Limits, by their names."""
        twin = self._twin()
        twin.limits = replace(self.limits, **changes)  # type: ignore[arg-type]
        return twin

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def redact(self, text: str) -> str:
        return redact(text, self._secrets)

    def get(
        self,
        url: str,
        *,
        params: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        hints: Mapping[int, str] | None = None,
    ) -> Answer:
        """Return the answer to a GET, tried again while the failure is transient. Raises ConnectorError.

        `hints` say for a status what a person should do.
        """
        return self._request("GET", url, params=tuple(params), form=None, headers=headers, hints=hints or {})

    def post_form(
        self,
        url: str,
        *,
        form: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        hints: Mapping[int, str] | None = None,
    ) -> Answer:
        """Return the answer to a form that only asks (a long query), repeated like a GET. Raises ConnectorError."""
        return self._request("POST", url, params=(), form=form, headers=headers, hints=hints or {})

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        params: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        hints: Mapping[int, str] | None = None,
    ) -> Answer:
        """Return the answer to a request with a body of its own that only asks, repeated like a GET.

        For JSON, and for requests that a vendor's library has signed: they leave as they are. Raises ConnectorError.
        """
        return self._request(
            method, url, params=tuple(params), form=None, headers=headers, hints=hints or {}, content=content
        )

    def _twin(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _request(
        self,
        method: str,
        url: str,
        *,
        params: tuple[tuple[str, str], ...],
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        hints: Mapping[int, str],
        content: bytes | None = None,
    ) -> Answer:
        address = shown_address(url)
        try:
            request = self._client.build_request(
                method,
                httpx.URL(url).copy_merge_params(list(params)) if params else url,
                data=form,
                content=content,
                headers={"User-Agent": USER_AGENT, **(headers or {})},
                timeout=httpx.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds),
            )
        except (httpx.InvalidURL, UnicodeError, ValueError, TypeError):
            raise self._unsendable(address) from None
        told = self.with_secrets(secrets_in(headers)) if headers else self
        for attempt in stamina.retry_context(
            on=_pause_before_retry,
            attempts=self.limits.attempts,
            timeout=LONGEST_PATIENCE_SECONDS + self.limits.total_seconds,
            wait_initial=self.limits.first_wait_seconds,
            wait_max=10.0,
            wait_jitter=self.limits.first_wait_seconds,
        ):
            with attempt:
                return told._once(request, address, hints)
        raise AssertionError("retry_context always returns or raises")

    def _once(self, request: httpx.Request, address: str, hints: Mapping[int, str]) -> Answer:
        self.meter.on_request()
        deadline = time.monotonic() + self.limits.total_seconds
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response, address, deadline)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise ConnectorError(
                phrase("%(address)s did not answer in time.", address=address),
                permanent=False,
                hint=N_("Check that the server runs and that a firewall lets the worker through."),
            ) from None
        except httpx.ConnectError as error:
            raise _not_connected(address, error) from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            raise self._unsendable(address) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise ConnectorError(
                self.redact(f"The connection to {address} broke off ({type(error).__name__})."), permanent=False
            ) from None
        self.meter.on_answer(response.headers.get("date"))
        if 200 <= response.status_code < 300:
            return Answer(response.status_code, response.headers, body, address)
        raise self._status_error(response, body, address, hints)

    def _unsendable(self, address: str) -> ConnectorError:
        return ConnectorError(
            self.redact(f"{address} or one of the headers cannot be sent as it is."),
            permanent=True,
            hint=N_("Look for blanks, line breaks and letters outside ASCII."),
        )

    def _body(self, response: httpx.Response, address: str, deadline: float) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise AnswerTooLarge(
                    phrase(
                        "%(address)s answered with more than %(count)s MiB, which was cut off.",
                        address=address,
                        count=format(self.limits.max_bytes / MEBIBYTE, ".0f"),
                    ),
                    permanent=True,
                    hint=N_("Check the address, or narrow down what is asked for."),
                )
            if time.monotonic() > deadline:
                raise ConnectorError(
                    phrase(
                        "%(address)s took more than %(count)s seconds to answer.",
                        address=address,
                        count=format(self.limits.total_seconds, ".0f"),
                    ),
                    permanent=False,
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _status_error(
        self, response: httpx.Response, body: bytes, address: str, hints: Mapping[int, str]
    ) -> StatusError:
        status = response.status_code
        # Azure says it once for each of its limits: the longest of them holds.
        waits = (
            _retry_after_seconds(value) for name, value in response.headers.items() if name.endswith("retry-after")
        )
        retry_after = max((wait for wait in waits if wait is not None), default=None)
        text = self.redact(body[:20_000].decode("utf-8", "replace"))
        # AWS asks to slow down with status 400 and a code ('ThrottlingException').
        permanent = status not in TRANSIENT_STATUSES and not (status == 400 and "Throttl" in text)
        said = _said(text)
        if 300 <= status < 400:
            target = self.redact(shown_address(response.headers.get("location", "")) or "another address")
            message = f"{address} redirects to {target}, which is not followed."
            hint = "Give the address that it redirects to, if you trust it."
        else:
            message = f"{address} {_MEANING.get(status, f'answered with status {status}')}{said}."
            hint = _HINTS.get(status, "")
        return StatusError(
            self.redact(message),
            status=status,
            permanent=permanent,
            hint=hints.get(status, hint),
            retry_after=retry_after,
            body=text[:2_000],
        )


def _pause_before_retry(error: Exception) -> bool | float:
    """Say whether, and after how long, to try again. A source that wants a long rest gets it from the schedule."""
    if not isinstance(error, ConnectorError) or error.permanent:
        return False
    if error.retry_after_seconds is None:
        return True
    return error.retry_after_seconds if error.retry_after_seconds <= LONGEST_PATIENCE_SECONDS else False


def _retry_after_seconds(value: str | None) -> float | None:
    """RFC 9110, 10.2.3: seconds or a date."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _not_connected(address: str, error: httpx.ConnectError) -> ConnectorError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConnectorError(
            phrase("The certificate of %(address)s could not be verified.", address=address),
            permanent=True,
            hint=N_("Use the name that the certificate is for, or install your company's authority on this machine."),
        )
    if "SSL" in str(error):
        return ConnectorError(
            phrase("%(address)s does not speak https there.", address=address),
            permanent=True,
            hint=N_("Check the port, or use http://."),
        )
    return ConnectorError(
        phrase("%(address)s refuses the connection or cannot be reached.", address=address),
        permanent=False,
        hint=N_(
            "Check that the server runs, that address and port are right, and that it listens on more than localhost."
        ),
    )


def _said(text: str) -> str:
    """What the source says of the error, shortened; nothing of a web page."""
    if text.lstrip()[:1] != "{":
        return ""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    found = next((document[name] for name in ("error", "message", "Message", "detail") if name in document), "")
    if isinstance(found, dict):
        found = found.get("message") or found.get("error") or ""
    words = " ".join(str(found).split())[:240].rstrip(".")
    return f": {words}" if words else ""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


_MEANING = {
    400: "does not accept the request",
    401: "does not accept the key or token",
    403: "does not allow this with the key or token given",
    404: "has nothing at this address",
    429: "asks to slow down",
    500: "failed inside (status 500)",
    503: "is not available at the moment (status 503)",
}
_HINTS = {
    401: "Make a new key or token at the source and enter it here.",
    403: "Ask whoever manages the source to give the key the right to read this.",
    404: "Check the address and its path.",
}
