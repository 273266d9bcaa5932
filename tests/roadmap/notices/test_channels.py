"""What Slack, Teams and webhooks are sent: nothing that people wrote becomes a link, a mention or a format."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from metrics.webhooks import seal_address
from roadmap.channel import Destination, Line, Message, Section
from roadmap.channels import slack, teams, webhook
from roadmap.channels.webhook import WebhookChannel, new_secret

AT = datetime(2026, 11, 30, 7, tzinfo=UTC)
EVIL = "<!channel> <https://evil.example|win> @here [x](https://evil.example) & |"


def message_of(*sections: Section, subject: str = "2 things", id: str = "one") -> Message:
    return Message(
        id=id,
        to="bob",
        subject=subject,
        lede="Lede.",
        sections=sections,
        home_url="https://phaseline.example/me/",
        home_text="My week",
        settings_url="https://phaseline.example/me/notifications/",
        at=AT,
    )


def line(number: int = 1, **fields) -> Line:
    return Line(f"Title {number}", url=f"https://phaseline.example/{number}", **fields)


def test_slack_is_sent_what_people_wrote_as_text():
    found = slack.document(message_of(Section("Head", [Line(EVIL, EVIL, "https://phaseline.example/x"), line()])))
    for block in found["blocks"]:
        for part in [block.get("text"), *block.get("elements", [])]:
            if part is None:
                continue
            assert part["verbatim"] is True
            assert "<!channel>" not in part["text"]
            assert "<https://evil" not in part["text"]
    assert "<https://phaseline.example/x|&lt;!channel&gt; &lt;https://evil.example/win&gt;" in json.dumps(found)
    assert found["text"] == "2 things"


def test_slack_gets_no_more_blocks_than_it_takes():
    found = slack.document(message_of(Section("Head", [line(number, text="x" * 9000) for number in range(70)])))
    assert len(found["blocks"]) <= 50
    assert max(len(block["text"]["text"]) for block in found["blocks"] if "text" in block) <= 3000
    assert "and 30 more" in json.dumps(found)


def test_teams_is_sent_a_card_without_markdown():
    found = teams.document(message_of(Section("Head", [Line(EVIL, EVIL, "https://phaseline.example/x"), line()])))
    [attachment] = found["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert [action["url"] for action in card["actions"]] == [
        "https://phaseline.example/me/",
        "https://phaseline.example/me/notifications/",
    ]


def test_teams_gets_no_more_than_it_takes():
    found = teams.document(message_of(Section("Head", [line(number, text="x" * 9000) for number in range(70)])))
    assert len(json.dumps(found).encode()) < 28_000
    assert "and 50 more" in json.dumps(found)


@pytest.mark.parametrize("make", [slack.document, teams.document], ids=["slack", "teams"])
def test_one_thing_is_said_once(make):
    only = Line("Somebody mentions you", "look", "https://phaseline.example/x")
    text = json.dumps(make(message_of(Section("", [only]), subject=only.title)))
    body = text if make is teams.document else text.partition('"blocks"')[2]
    assert body.count("Somebody mentions you") == 1
    assert "https://phaseline.example/x" in text
    assert "look" in text


def test_a_webhook_s_document_can_be_verified_with_its_secret(hooks):
    secret = new_secret()
    sealed, _ = seal_address(hooks.url + "/x", secret=secret, may_be_private=True)
    now = datetime.now(UTC)
    message = message_of(Section("", [line(kind="mention", roadmap="claims")]), id="msg-1")
    message = Message(**{name: getattr(message, name) for name in message.__slots__} | {"at": now})
    WebhookChannel().send(message, Destination(sealed=sealed, may_be_private=True))
    [asked] = hooks.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["webhook-id"] == "msg-1"
    document = Webhook(secret).verify(asked.body, headers)
    assert document["data"]["notices"] == [
        {
            "kind": "mention",
            "title": "Title 1",
            "text": "",
            "note": "",
            "roadmap": "claims",
            "url": "https://phaseline.example/1",
        }
    ]
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(asked.body, headers)


def test_a_document_for_programs_has_a_type_and_a_time():
    found = webhook.document(message_of(Section("", [line()])))
    assert (found["type"], found["timestamp"]) == ("notices", "2026-11-30T07:00:00+00:00")
