"""The channels, in the order in which they are offered. Implementations never import each other."""

from __future__ import annotations

from roadmap.channel import Channel
from roadmap.channels.mail import MailChannel
from roadmap.channels.slack import SlackChannel
from roadmap.channels.teams import TeamsChannel
from roadmap.channels.webhook import WebhookChannel

CHANNELS: tuple[Channel, ...] = (MailChannel(), SlackChannel(), TeamsChannel(), WebhookChannel())


def channel_for(code: str) -> Channel:
    """The channel of a code. Raises KeyError."""
    return {channel.code: channel for channel in CHANNELS}[code]
