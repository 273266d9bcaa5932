"""Importing and naming templates."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from roadmap.template import MAX_BYTES
from web import wording
from web.forms import Form


class NameForm(Form):
    """A template's name."""

    name = forms.CharField(max_length=120)


class ImportForm(Form):
    """A YAML file, or its text."""

    file = forms.FileField(
        required=False,
        label=gettext_lazy("YAML file"),
        help_text=format_lazy(gettext_lazy("At most {most} KiB."), most=MAX_BYTES // 1024),
    )
    pasted = forms.CharField(
        required=False, widget=forms.Textarea, label=gettext_lazy("Or its text"), max_length=MAX_BYTES
    )
    name = forms.CharField(max_length=120, required=False, help_text=gettext_lazy("Empty: as the file says."))

    def clean_file(self) -> Any:
        """Refuses what is too large or no text, before it is read."""
        file = self.cleaned_data["file"]
        if file is not None and file.size > MAX_BYTES:
            raise forms.ValidationError(
                gettext("A template has at most %(most)s KiB.") % {"most": wording.count(MAX_BYTES // 1024)}
            )
        return file

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            if bool(data.get("file")) == bool(data.get("pasted")):
                raise forms.ValidationError(gettext("Give a file or a text, one of the two."))
            if data.get("file"):
                try:
                    data["text"] = data["file"].read().decode("utf-8-sig")
                except UnicodeDecodeError:
                    self.add_error("file", gettext("This file is not UTF-8 text."))
            else:
                data["text"] = data["pasted"]
        return data

    def text(self) -> str:
        """The YAML."""
        return str(self.cleaned_data["text"])
