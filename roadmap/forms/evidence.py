"""A file to keep with a milestone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from roadmap.rules.evidence import ALLOWED, ENDINGS, MEBIBYTE, MOST_BYTES, too_large
from web.forms import Form


class EvidenceForm(Form):
    """One file."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        max_length=None,
        allow_empty_file=True,
        help_text=format_lazy(
            gettext_lazy("{allowed}; at most {most} MiB."), allowed=ALLOWED, most=MOST_BYTES // MEBIBYTE
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ",".join(f".{ending}" for ending in ENDINGS)}),
    )

    def clean_file(self) -> Any:
        """Refuses what is too large before it is read into memory; what is empty is said by the rule."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(too_large(), code="too_large")
        return file
