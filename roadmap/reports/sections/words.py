"""What the manager wrote for this report, asked for before the month was closed."""

from __future__ import annotations

from roadmap.reports.section import Json


def words_section(words: Json | None) -> Json | None:
    """`author`, `on` (ISO date) and `text` (paragraphs parted by an empty line), as typed; None where nothing was."""
    text = str((words or {}).get("text") or "").strip()
    if words is None or not text:
        return None
    return {"author": words.get("author", ""), "on": words.get("on"), "text": text}
