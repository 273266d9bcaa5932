"""Who gets reports by mail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from roadmap.rules.report_mail import addresses_in
from web.forms import Form

LONGEST_PASTE = 100_000


class SubscribeForm(Form):
    """In which language."""

    language = forms.ChoiceField(label=_("Language"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", _("The reader's own")), *settings.LANGUAGES]  # type: ignore[attr-defined]


class AddReadersForm(SubscribeForm):
    """People and addresses, as many as are pasted."""

    readers = forms.CharField(
        label=_("People and addresses"),
        max_length=LONGEST_PASTE,
        widget=forms.Textarea(attrs={"rows": "6", "spellcheck": "false", "autocomplete": "off"}),
        help_text=_("User names or mail addresses, one a line. An address needs no account."),
    )
    field_order = ("readers", "language")

    def clean_readers(self) -> list[str]:
        """What was pasted, one after the other."""
        return addresses_in(self.cleaned_data["readers"])
