"""Choosing a file, and saying how it is to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from metrics.spoken import Speaking, spoken
from roadmap.imports.cells import DECIMAL_MARKS, Choices
from roadmap.imports.run import KINDS, Look, LookSheet
from roadmap.imports.tables import ENCODINGS, MAX_BYTES, too_large
from web.forms import Form

LEAVE_OUT = gettext_lazy("leave out")


class PlanFileForm(Speaking, Form):
    """A workbook or a CSV."""

    file = forms.FileField(
        label=gettext_lazy("Spreadsheet"),
        help_text=format_lazy(
            gettext_lazy("XLSX, or a CSV of one kind of row; at most {size} MiB."), size=MAX_BYTES // 2**20
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".xlsx,.csv,.tsv,.txt"}),
    )

    def clean_file(self) -> Any:
        """Refuses what is too large before it is read."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(spoken(too_large()), code="too_large")
        return file


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column of the file with the field that maps it."""

    header: str
    samples: Sequence[str]
    why: str
    bound: forms.BoundField


class ChoicesForm(Form):
    """How a file is read: what it holds, its encoding, days and numbers, and what each column is."""

    kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("It holds"),
        choices=[("", gettext_lazy("as it says")), *((kind.name, kind.title) for kind in KINDS)],
    )
    encoding = forms.ChoiceField(
        required=False, label=gettext_lazy("Encoding"), choices=[("", gettext_lazy("as it says")), *ENCODINGS.items()]
    )
    date_order = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Days like 03/04/2026"),
        choices=[
            ("", gettext_lazy("as they show")),
            ("dmy", gettext_lazy("31/12/2026, day first")),
            ("mdy", gettext_lazy("12/31/2026, month first")),
        ],
    )
    decimal_mark = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Numbers like 1.234"),
        choices=[("", gettext_lazy("as they show")), *DECIMAL_MARKS.items()],
    )

    def __init__(self, *args: Any, look: Look, choices: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.look = look
        if not look.is_csv:
            del self.fields["encoding"]
        if not look.is_csv and look.sheets:
            del self.fields["kind"]
        for name, value in choices.as_json().items():
            if name in self.fields:
                self.initial[name] = value
        for sheet in look.sheets:
            options = [("", LEAVE_OUT), *((column.field, column.label) for column in sheet.kind.importer.columns)]
            for name, use in zip(self._names(sheet), sheet.columns, strict=True):
                self.fields[name] = forms.ChoiceField(required=False, choices=options, label=use.header)
                self.initial[name] = use.field

    def clean(self) -> dict[str, Any]:
        """A field is one column's."""
        data = super().clean() or self.cleaned_data
        for sheet in self.look.sheets:
            taken: dict[str, str] = {}
            labels = {column.field: column.label for column in sheet.kind.importer.columns}
            for name, use in zip(self._names(sheet), sheet.columns, strict=True):
                field = data.get(name)
                if field and field in taken:
                    self.add_error(name, spoken(f"{labels[field]} is chosen for '{taken[field]}' already."))
                elif field:
                    taken[field] = use.header
        return data

    def general(self) -> Iterator[forms.BoundField]:
        """The fields that are no columns."""
        return (self[name] for name in ("kind", "encoding", "date_order", "decimal_mark") if name in self.fields)

    def sheets(self) -> list[tuple[str, list[ColumnRow], bool]]:
        """(title, columns, whether one of them needs a look) of each sheet."""
        return [
            (
                sheet.title,
                [
                    ColumnRow(use.header, samples, use.why, self[name])
                    for name, use, samples in zip(self._names(sheet), sheet.columns, sheet.samples, strict=True)
                ],
                bool(sheet.unknown) or any(name in self.errors for name in self._names(sheet)),
            )
            for sheet in self.look.sheets
        ]

    def said(self) -> Choices:
        """What the person chose, as far as it is not what the file says anyway."""
        data = self.cleaned_data
        columns = {
            sheet.kind.name: {
                use.header: data[name]
                for name, use in zip(self._names(sheet), sheet.guess, strict=True)
                if data[name] != use.field
            }
            for sheet in self.look.sheets
        }
        names = ("kind", "encoding", "date_order", "decimal_mark")
        return Choices.of({name: data.get(name, "") for name in names} | {"columns": columns})

    @staticmethod
    def _names(sheet: LookSheet) -> list[str]:
        return [f"{sheet.kind.name}-{place}" for place in range(len(sheet.columns))]
