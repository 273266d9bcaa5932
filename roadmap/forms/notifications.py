"""What a person is told of and where."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from accounts.models import PersonAddress
from roadmap.rules.notices import CHANNELS, KINDS
from web.forms import Form

# Names without a slash are aliases and offsets, but for this one.
ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))


class NoticeForm(Form):
    """A field of channels for each kind; drawn as one table."""

    zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        required=False,
        help_text=gettext_lazy("When your Monday and your mornings begin."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organisation = gettext("The organisation's (%(zone)s)") % {"zone": settings.REPORTING_TIME_ZONE}
        self.fields["zone"].choices = [("", organisation), ("UTC", "UTC"), *((name, name) for name in ZONES)]  # type: ignore[attr-defined]
        for kind in KINDS:
            self.fields[kind.code] = forms.MultipleChoiceField(
                label=str(kind.label), choices=[(code, code) for code in CHANNELS], required=False
            )

    def channels(self) -> dict[str, list[str]]:
        """The channels that were ticked for each kind."""
        return {kind.code: self.cleaned_data[kind.code] for kind in KINDS}


class AddressForm(Form):
    """The address of a person's webhook; write only."""

    address = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=2_000,
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}),
    )

    HELP = {
        PersonAddress.Channel.SLACK: gettext_lazy(
            "In Slack: Incoming Webhooks of an app, Add New Webhook. Mattermost has the same."
        ),
        PersonAddress.Channel.TEAMS: gettext_lazy(
            "In Teams: Workflows, 'Post to a chat when a webhook request is received'."
        ),
        PersonAddress.Channel.WEBHOOK: gettext_lazy("Any https address that takes JSON; each message is signed."),
    }

    def __init__(self, *args: Any, channel: str, is_change: bool, **kwargs: Any) -> None:
        super().__init__(*args, auto_id=f"{channel}-%s", **kwargs)
        self.fields["address"].help_text = self.HELP[PersonAddress.Channel(channel)]
        if is_change:
            self.fields["address"].label = gettext_lazy("Another address")
