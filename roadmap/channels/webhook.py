"""A person's own webhook: one JSON document, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from typing import Any

from standardwebhooks import Webhook

from metrics.webhooks import post_document, secret_of
from roadmap.channel import Destination, Message
from web.wording import Words


class WebhookChannel:
    """`webhook-id` stays the same when a document is repeated."""

    code: str = "webhook"
    label: Words = "Webhook"

    def send(self, message: Message, to: Destination) -> None:
        """Raises ConnectorError."""
        body = json.dumps(document(message))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(message.at.timestamp())),
        }
        secret = secret_of(to.sealed)
        if secret:
            headers["webhook-signature"] = Webhook(secret).sign(message.id, message.at, body)
        post_document(to.sealed, body.encode(), headers=headers, may_be_private=to.may_be_private)


def document(message: Message) -> dict[str, Any]:
    """What is posted. docs/notifications.md describes it."""
    return {
        "type": "notices",
        "timestamp": message.at.isoformat(),
        "data": {
            "to": message.to,
            "subject": message.subject,
            "notices": [
                {
                    "kind": line.kind,
                    "title": line.title,
                    "text": line.text,
                    "note": line.note,
                    "roadmap": line.roadmap,
                    "url": line.url,
                }
                for line in message.lines
            ],
        },
    }


def new_secret() -> str:
    """A signing secret as receivers paste it: 'whsec_' and 32 bytes in base64."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()
