"""A drawing of a report as PNG, for mails: nothing else is shown by every mail program."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typst

from roadmap.reports.outputs.pdf import fonts
from web.pieces import Course

# Shown 560 px wide at most, with two pixels of the picture for each.
WIDTH_PX = 560
_WIDTH_PT = 340
_SHEET = Path(__file__).with_name("chart.typ")


def png_of(course: Course) -> bytes:
    """The course as PNG, 1120 px wide; the same bytes from the same course."""
    drawn: bytes = typst.compile(
        _SHEET.read_bytes(),
        format="png",
        ppi=72 * 2 * WIDTH_PX / _WIDTH_PT,
        font_paths=fonts(),
        sys_inputs={"course": json.dumps(asdict(course), sort_keys=True)},
    )
    return drawn
