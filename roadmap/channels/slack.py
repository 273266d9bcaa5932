"""Slack's incoming webhooks, which Mattermost and Rocket.Chat take as well.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: a JSON object with `text`, what notifications
show, and `blocks` (at most 50; a section's text at most 3,000 letters). What people wrote has & < > escaped.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from metrics.webhooks import post_document
from roadmap.channel import Destination, Line, Message
from web.wording import Words

MOST_LINES = 40
LONGEST_TEXT = 600
HINTS = {
    400: "Slack does not take this message; the address may be of another kind of webhook.",
    403: "Slack does not allow posting there; ask whoever manages the workspace.",
    404: "The webhook or its channel is gone. Make a new one and enter its address.",
    410: "The channel is archived. Make a webhook of another and enter its address.",
}


class SlackChannel:
    """One message of sections."""

    code: str = "slack"
    label: Words = "Slack"

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
    """The message as Slack takes it."""
    if message.only:
        return _whole(message, [_section(_words(message.only))])
    blocks = [_section(f"*{escaped(message.subject)}*" + (f"\n{escaped(message.lede)}" if message.lede else ""))]
    left = MOST_LINES
    for section in message.sections:
        if section.title and left:
            blocks.append(_section(f"*{escaped(section.title)}*"))
        for line in section.lines[:left]:
            blocks.append(_section(_words(line)))
        left -= min(left, len(section.lines))
    if len(message.lines) > MOST_LINES:
        blocks.append(_section(_("and %(count)s more") % {"count": len(message.lines) - MOST_LINES}))
    return _whole(message, blocks)


def _whole(message: Message, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    choose = escaped(_("choose what you are told"))
    links = f"<{message.home_url}|{escaped(message.home_text)}>, <{message.settings_url}|{choose}>"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links, "verbatim": True}]})
    return {"text": escaped(message.subject), "blocks": blocks, "unfurl_links": False}


def escaped(text: str) -> str:
    """Text in which nothing is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    # Verbatim: '@here' and addresses in what somebody wrote stay text.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000], "verbatim": True}}


def _words(line: Line) -> str:
    # A '|' would end the address, and a '>' the link.
    title = f"<{line.url}|{escaped(line.title).replace('|', '/')}>" if line.url else escaped(line.title)
    note = f"  {escaped(line.note)}" if line.note else ""
    text = f"\n>{escaped(shortened(line.text))}" if line.text else ""
    return title + note + text.replace("\n", "\n>").replace("\n>>", "\n>")


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
