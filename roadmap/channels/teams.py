"""Microsoft Teams: the webhook of a workflow ('When a Teams webhook request is received'), which takes Adaptive Cards.

https://learn.microsoft.com/power-automate/teams/create-flows (payload) and https://adaptivecards.io/explorer (1.4).
What people wrote stands in RichTextBlock, which knows no markdown, so that nothing in it becomes a link or a mention.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from metrics.webhooks import post_document
from roadmap.channel import Destination, Line, Message
from web.wording import Words

# A card is at most 28 KB.
MOST_LINES = 20
LONGEST_TEXT = 400
HINTS = {
    401: "The workflow asks for a sign-in; let it be triggered by anyone who has the address.",
    403: "The workflow does not take this; let it be triggered by anyone who has the address.",
    404: "The workflow is gone. Make a new one and enter its address.",
    410: "The old kind of webhook has ended. Make a workflow and enter its address.",
}


class TeamsChannel:
    """One message with one card."""

    code: str = "teams"
    label: Words = "Teams"

    def send(self, message: Message, to: Destination) -> None:
        """Raises ConnectorError."""
        post_document(
            to.sealed,
            json.dumps(document(message)).encode(),
            headers={"Content-Type": "application/json"},
            may_be_private=to.may_be_private,
            hints=HINTS,
        )


def document(message: Message) -> dict[str, Any]:
    """The message as a workflow takes it."""
    body = [_text([_run(message.subject, size="Large", weight="Bolder")])]
    if message.lede:
        body.append(_text([_run(message.lede, isSubtle=True)]))
    left = MOST_LINES
    home_url, home_text = message.home_url, message.home_text
    if message.only:
        # The card's first line says it already.
        body += _words(message.only)[1:]
        home_url, home_text, left = message.only.url or home_url, "Open it", 0
    for section in message.sections:
        if section.title and left:
            body.append(_text([_run(section.title, weight="Bolder")], separator=True))
        for line in section.lines[:left]:
            body += _words(line)
        left -= min(left, len(section.lines))
    if len(message.lines) > MOST_LINES:
        body.append(_text([_run(_("and %(count)s more") % {"count": len(message.lines) - MOST_LINES}, isSubtle=True)]))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": home_text, "url": home_url},
            {"type": "Action.OpenUrl", "title": _("Choose what you are told"), "url": message.settings_url},
        ],
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _text(inlines: list[dict[str, Any]], **look: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": inlines, **look}


def _words(line: Line) -> list[dict[str, Any]]:
    link = {"selectAction": {"type": "Action.OpenUrl", "url": line.url}} if line.url else {}
    inlines = [_run(line.title, **link)]
    if line.note:
        inlines.append(_run(f"  {line.note}", isSubtle=True))
    found = [_text(inlines)]
    if line.text:
        text = line.text if len(line.text) <= LONGEST_TEXT else line.text[: LONGEST_TEXT - 1] + "…"
        found.append(_text([_run(text, isSubtle=True)], spacing="Small"))
    return found
