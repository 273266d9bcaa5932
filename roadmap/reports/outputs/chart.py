"""A drawing of a report as PNG, for mails: nothing else is shown by every mail program."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typst

from roadmap.reports.outputs.pdf import fonts
from web.pieces import Bars, Course

# Shown 560 px wide at most, with two pixels of the picture for each.
WIDTH_PX = 560
_WIDTH_PT = 340
_SHEET = Path(__file__).with_name("chart.typ")


class ChartRefusedError(Exception):
    """The drawing could not be made; `args[0]` says what typst said."""


def png_of(block: Course | Bars) -> bytes:
    """The drawing as PNG, 1120 px wide; the same bytes from the same block. Raises ChartRefusedError."""
    try:
        drawn: bytes = typst.compile(
            _SHEET.read_bytes(),
            format="png",
            ppi=72 * 2 * WIDTH_PX / _WIDTH_PT,
            font_paths=fonts(),
            sys_inputs={"drawing": json.dumps({"kind": block.kind, **asdict(block)}, sort_keys=True)},
        )
    except (typst.TypstError, ValueError) as error:
        raise ChartRefusedError(str(error)) from error
    return drawn
