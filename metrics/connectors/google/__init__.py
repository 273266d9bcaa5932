"""Asking Google Cloud: google-auth signs in with the key that was given, our own client sends.

No other credentials are looked for: no environment, no metadata service, no files; the key's own addresses are not
used either. google-auth's requests go to the token address and nowhere else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metrics.answers import Reader
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.words import N_, phrase

FILE = "requirements-clouds.txt"
PACKAGES = ("google.auth",)
MONITORING = "https://monitoring.googleapis.com"
TOKENS = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/monitoring.read"
READ = Reader("Cloud Monitoring")
SIGN_IN = Reader("Google")
KEY_HINT = N_(
    "Google Cloud console, IAM & Admin, Service accounts, the account, Keys: make a JSON key and paste the whole file."
)
HINTS = {
    401: KEY_HINT,
    403: "Give the service account the role Monitoring Viewer (roles/monitoring.viewer) in the project, and enable the "
    "Cloud Monitoring API there.",
    404: "Check the project id, and the address where one is given.",
}
# What Google says about a signed request from a machine with a wrong clock.
_CLOCK_WORDS = ("reasonable timeframe", "short-lived token")


@dataclass(frozen=True, slots=True)
class _Response:
    """What google-auth reads of an answer."""

    status: int
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Google:
    """Google Cloud's APIs, signed in as a service account. `key`: its JSON key."""

    http: HttpClient
    key: Mapping[str, Any]
    token_address: str = TOKENS
    _token: str = ""

    def get(self, url: str, params: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
        """Return the document at an address. Raises ConnectorError."""
        if not self._token:
            self._token = self._sign_in()
            self.http = self.http.with_secrets([self._token])
        headers = {"Authorization": f"Bearer {self._token}"}
        return READ.mapping(self.http.get(url, params=params, headers=headers, hints=HINTS).json(), "the answer")

    def _sign_in(self) -> str:
        from google.auth import exceptions  # noqa: PLC0415 - an optional package
        from google.oauth2 import service_account  # noqa: PLC0415

        logging.getLogger("google").setLevel(logging.WARNING)
        try:
            credentials = service_account.Credentials.from_service_account_info(
                {**self.key, "token_uri": self.token_address, "universe_domain": "googleapis.com"}, scopes=[SCOPE]
            )
        except (ValueError, TypeError, exceptions.GoogleAuthError):
            raise ConnectorError(N_("The service account key cannot be read."), permanent=True, hint=KEY_HINT) from None
        try:
            credentials.refresh(self._request)
        except exceptions.GoogleAuthError as error:
            raise self._refused(error) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise SIGN_IN.malformed("the sign-in broke off") from None
        token = credentials.token
        if not isinstance(token, str) or not token:
            raise SIGN_IN.malformed("it gives no token")
        return token

    def _request(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> _Response:
        """google-auth's `transport.Request`."""
        if url != self.token_address:
            raise SIGN_IN.malformed("it sends us to another address, where nothing is sent")
        try:
            answer = self.http.send(method, url, content=body or b"", headers=headers, hints=HINTS)
        except StatusError as error:
            # Refusals in OAuth's words are for google-auth to read.
            if error.status in {400, 401} and '"error"' in error.body:
                return _Response(error.status, error.body.encode())
            raise
        document = SIGN_IN.mapping(answer.json(), "the answer")
        return _Response(answer.status, json.dumps(document, default=str).encode(), dict(answer.headers))

    def _refused(self, error: Exception) -> ConnectorError:
        said = " ".join(str(error.args[0] if error.args else error).split())[:240].rstrip(".")
        if any(word in str(error) for word in _CLOCK_WORDS):
            return ConnectorError(
                N_("Google refuses the sign-in because this machine's clock is wrong."),
                permanent=True,
                hint=N_(
                    "Set the clock of the machine that runs the worker (turn on NTP); nothing is wrong with the key."
                ),
            )
        return ConnectorError(
            self.http.redact(f"Google refuses the sign-in: {said}."),
            permanent=True,
            hint=phrase("The key may have been deleted or its account disabled. %(hint)s", hint=KEY_HINT),
        )


def parse_key(lines: Iterable[str]) -> dict[str, Any] | None:
    """Return the service account key that was pasted, None where it is none."""
    try:
        key = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    needed = ("client_email", "private_key")
    if not isinstance(key, dict) or not all(isinstance(key.get(name), str) and key[name] for name in needed):
        return None
    return key
