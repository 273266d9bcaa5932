"""Asking Azure: Microsoft's MSAL signs in with the secret that was given, our own client sends.

No other credentials are looked for: no environment, no managed identity, no files. MSAL's requests go to the sign-in
address and nowhere else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from metrics.answers import Reader
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.words import N_

FILE = "requirements-clouds.txt"
PACKAGES = ("msal",)
LOGIN = "https://login.microsoftonline.com"
MANAGEMENT = "https://management.azure.com"
READ = Reader("Azure")
SIGN_IN = Reader("Microsoft Entra ID")
CLIENT_HINT = N_(
    "Microsoft Entra admin center, App registrations, the registration, Certificates & secrets: make a client secret "
    "and enter its value, not its id."
)
RIGHT_HINT = (
    "Give the app registration the roles Monitoring Reader on the resources and Cost Management Reader on the "
    "subscription; a new role takes some minutes."
)
HINTS = {401: CLIENT_HINT, 403: RIGHT_HINT, 404: "Check the resource id: copy it from the resource's properties."}
# Codes of Microsoft Entra ID that a person can do something about.
_SIGN_IN = {
    7000215: (N_("Microsoft Entra ID does not accept the client secret."), CLIENT_HINT),
    7000222: (N_("Microsoft Entra ID says that the client secret has expired."), CLIENT_HINT),
    700016: (
        N_("Microsoft Entra ID knows no app registration with this client id in the tenant."),
        N_("Check client id and tenant id."),
    ),
    90002: (
        N_("Microsoft Entra ID knows no such tenant."),
        N_("Check the tenant id: Microsoft Entra admin center, Overview."),
    ),
    900023: (
        N_("Microsoft Entra ID knows no such tenant."),
        N_("Check the tenant id: Microsoft Entra admin center, Overview."),
    ),
}


@dataclass(frozen=True, slots=True)
class _Response:
    """What MSAL reads of an answer."""

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ValueError(f"status {self.status_code}")


class _MsalClient:
    """MSAL's `http_client`: sends what is meant for the authority to the sign-in address, and refuses the rest."""

    def __init__(self, http: HttpClient, *, host: str, address: str) -> None:
        self._http, self._host, self._address = http, host, address.rstrip("/")

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> _Response:
        return self._send("GET", url, params, b"", headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> _Response:
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", url, params, urlencode(data or {}).encode(), form)

    def close(self) -> None:
        """The connections belong to whoever gave the client."""

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        content: bytes,
        headers: Mapping[str, str] | None,
    ) -> _Response:
        parts = urlsplit(url)
        if parts.hostname != self._host:
            raise SIGN_IN.malformed(f"it sends us to {parts.hostname}, where nothing is sent")
        try:
            answer = self._http.send(
                method,
                f"{self._address}{parts.path}",
                content=content,
                params=[*(params or {}).items()],
                headers={name: str(value) for name, value in (headers or {}).items()},
                hints=HINTS,
            )
        except StatusError as error:
            # Refusals in OAuth's words are for MSAL to read.
            if error.status in {400, 401} and '"error"' in error.body:
                return _Response(error.status, error.body)
            raise
        document = SIGN_IN.mapping(answer.json(), "the answer")
        return _Response(answer.status, json.dumps(document, default=str), dict(answer.headers))


@dataclass(slots=True)
class Azure:
    """Azure's management API, signed in as an app registration."""

    http: HttpClient
    tenant_id: str
    client_id: str
    client_secret: str
    login_address: str = LOGIN
    address: str = MANAGEMENT
    _token: str = ""

    def get(self, path: str, params: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
        """Return the document at a path. Raises ConnectorError."""
        # Before `self.http` is looked at, since signing in changes what it takes out of its errors.
        headers = self._headers()
        answer = self.http.get(f"{self._base}{path}", params=params, headers=headers, hints=HINTS)
        return READ.mapping(answer.json(), "the answer")

    def query(self, path_or_link: str, question: Mapping[str, Any], params: Iterable[tuple[str, str]] = ()) -> Any:
        """Return the answer to a question that is posted to a path, or to the link of its next page."""
        url = path_or_link
        if path_or_link.startswith("/"):
            url = f"{self._base}{path_or_link}"
        elif _place(path_or_link) != _place(self._base):
            raise READ.malformed("its next page lies at another address, where nothing is sent")
        headers = {**self._headers(), "Content-Type": "application/json"}
        content = json.dumps(question, separators=(",", ":")).encode()
        answer = self.http.send("POST", url, content=content, params=params, headers=headers, hints=HINTS)
        return READ.mapping(answer.json(), "the answer")

    @property
    def _base(self) -> str:
        return self.address.rstrip("/")

    def _headers(self) -> dict[str, str]:
        if not self._token:
            self._token = self._sign_in()
            self.http = self.http.with_secrets([self._token])
        return {"Authorization": f"Bearer {self._token}"}

    def _sign_in(self) -> str:
        import msal  # noqa: PLC0415 - an optional package

        logging.getLogger("msal").setLevel(logging.WARNING)
        # MSAL knows authorities over https only; a double or a private endpoint stands in for the public one.
        login = urlsplit(self.login_address)
        host = (login.hostname if login.scheme == "https" else urlsplit(LOGIN).hostname) or ""
        client = _MsalClient(self.http, host=host, address=self.login_address)
        try:
            application = msal.ConfidentialClientApplication(
                self.client_id,
                client_credential=self.client_secret,
                authority=f"https://{host}/{self.tenant_id}",
                http_client=client,
                instance_discovery=False,
            )
            result = application.acquire_token_for_client(scopes=[f"{self._audience}/.default"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            if "authority" in str(error).lower():
                message, hint = _SIGN_IN[90002]
                raise ConnectorError(message, permanent=True, hint=hint) from None
            raise SIGN_IN.malformed("the sign-in broke off") from None
        token = result.get("access_token") if isinstance(result, dict) else None
        if isinstance(token, str) and token:
            return token
        raise self._refused(result if isinstance(result, dict) else {})

    @property
    def _audience(self) -> str:
        """Whom the token is for: the public cloud's management API, or that of the address's own cloud."""
        host = urlsplit(self.address).hostname or ""
        return f"https://{host}" if host.startswith("management.") else MANAGEMENT

    def _refused(self, result: Mapping[str, Any]) -> ConnectorError:
        codes = result.get("error_codes")
        for code in codes if isinstance(codes, list) else []:
            if code in _SIGN_IN:
                message, hint = _SIGN_IN[code]
                return ConnectorError(message, permanent=True, hint=hint)
        said = str(result.get("error_description") or result.get("error") or "no reason given").splitlines()[0][:240]
        return ConnectorError(
            self.http.redact(f"Microsoft Entra ID refuses the sign-in: {said.rstrip('.')}."),
            permanent=True,
            hint=CLIENT_HINT,
        )


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
