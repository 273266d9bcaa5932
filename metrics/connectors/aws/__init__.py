"""Asking AWS: botocore signs with the key that was given, our own client sends. No other credentials are looked for.

Only botocore's signer is used. Its clients would look into the environment, files and the metadata service, and send
by themselves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from metrics.answers import Reader
from metrics.errors import ConnectorError
from metrics.http import HttpClient, StatusError
from metrics.meter import Meter
from metrics.words import N_, phrase

FILE = "requirements-clouds.txt"
PACKAGES = ("botocore",)
KEY_HINT = (
    "Make an access key for a user that has the policy of the documentation: AWS console, IAM, Users, the user, "
    "Security credentials, Create access key. Enter its id and its secret."
)
# What AWS says about a time that is too far from its own: of a signature that is too old or not valid yet.
_CLOCK_WORDS = ("Signature expired", "not yet current", "RequestTimeTooSkewed", "RequestExpired")
_KEY_CODES = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
}
_RIGHT_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}


class _Key(NamedTuple):
    """What botocore's signer reads."""

    access_key: str
    secret_key: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class AwsService:
    """One service in one region, spoken to in AWS JSON.

    `name`: the one that is signed for. `target`: prefix of the X-Amz-Target header. `rights`: what a policy calls it.
    """

    name: str
    target: str
    version: str
    region: str
    address: str
    title: str
    read: Reader

    def ask(self, http: HttpClient, key: tuple[str, str], action: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer's document. Raises ConnectorError, with what a person should do about it."""
        content = json.dumps(question, separators=(",", ":")).encode()
        headers = self._signed(key, action, content)
        try:
            document = http.send("POST", self.address, content=content, headers=headers).json()
        except StatusError as error:
            raise self._explained(error, action, http.meter) from None
        if not isinstance(document, dict):
            raise self.read.malformed("it is not an object")
        return document

    def _signed(self, key: tuple[str, str], action: str, content: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - an optional package
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        # What it signs is written to its debug log.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        request = AWSRequest(
            method="POST",
            url=self.address,
            data=content,
            headers={
                "Content-Type": f"application/x-amz-json-{self.version}",
                "X-Amz-Target": f"{self.target}.{action}",
            },
        )
        SigV4Auth(_Key(*key), self.name, self.region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}

    def _explained(self, error: StatusError, action: str, meter: Meter) -> ConnectorError:
        """The same error in the words of what is wrong: the clock, the key, a right, the region, too many requests."""
        code = _code_of(error.body)
        where = f"{self.title} in {self.region}"
        if any(word in error.body for word in _CLOCK_WORDS):
            return ConnectorError(
                phrase(
                    "%(where)s refuses the request because this machine's clock is wrong%(by)s.",
                    where=where,
                    by=_by_how_much(meter),
                ),
                permanent=True,
                hint=N_(
                    "Set the clock of the machine that runs the worker (turn on NTP); nothing is wrong with the key."
                ),
            )
        if error.status == 429 or "Throttl" in code or code in {"LimitExceededException", "TooManyRequestsException"}:
            return ConnectorError(
                phrase("%(where)s asks to slow down.", where=where),
                permanent=False,
                hint=N_("It is tried again later by itself."),
                retry_after_seconds=error.retry_after_seconds,
            )
        if code in _KEY_CODES or (not code and error.status in {401, 403}):
            said = f": {_message_of(error.body)}" if error.body else ""
            hint = f"{KEY_HINT} A region that has to be enabled for the account refuses keys in the same way."
            return ConnectorError(
                phrase("%(where)s does not accept the access key%(said)s.", where=where, said=said),
                permanent=True,
                hint=hint,
            )
        if code in _RIGHT_CODES:
            service = "ce" if self.name == "ce" else "cloudwatch"
            return ConnectorError(
                phrase("%(where)s does not allow %(action)s with this access key.", where=where, action=action),
                permanent=True,
                hint=phrase(
                    "Give its user the right %(service)s:%(action)s; the documentation has the whole policy.",
                    service=service,
                    action=action,
                ),
            )
        return error


def _code_of(body: str) -> str:
    """The error's code: `__type` of AWS JSON with or without its namespace, `Code` of others."""
    document = _document_of(body)
    code = document.get("__type") or document.get("code") or document.get("Code") or ""
    return str(code).rpartition("#")[2].partition(":")[0]


def _message_of(body: str) -> str:
    document = _document_of(body)
    words = " ".join(str(document.get("message") or document.get("Message") or "").split())
    return words[:200].rstrip(".") or "no reason given"


def _document_of(body: str) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _by_how_much(meter: Meter) -> str:
    ahead = meter.ahead_seconds
    if ahead is None or abs(ahead) < 60:
        return ""
    return f" by {abs(ahead) / 60:.0f} minutes ({'ahead' if ahead > 0 else 'behind'})"
