"""The texts that the sources mark for translation: in Python by gettext's functions, in templates by Django's tags.

Also what wording.plural counts, `plural(n, "day")` and `{{ n|plural:"entry,entries" }}`: the message '%(count)s day'.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.extract import extract_python
from django.utils.translation.template import templatize

APPS = ("accounts", "config", "metrics", "roadmap", "web")
# Which arguments hold what: the context, the text, its plural.
CALLS: dict[str, tuple[str, ...]] = {
    "_": ("text",),
    "gettext": ("text",),
    "gettext_lazy": ("text",),
    "gettext_noop": ("text",),
    "pgettext": ("context", "text"),
    "pgettext_lazy": ("context", "text"),
    "ngettext": ("text", "many"),
    "ngettext_lazy": ("text", "many"),
    "npgettext": ("context", "text", "many"),
    "npgettext_lazy": ("context", "text", "many"),
    # Plain values' (metrics.words): said where they are shown.
    "N_": ("text",),
    "phrase": ("text",),
}
TEMPLATE_CALLS: dict[str, None] = dict.fromkeys(("_", "gettext", "ngettext", "pgettext", "npgettext"))
PRESET_TABLES = Path("metrics", "connectors", "presets", "tables")
PLURAL_FILTER = re.compile(r"\|plural:\"([^\"]+)\"")


@dataclass(frozen=True, slots=True, order=True)
class Marked:
    """One text as the sources have it; `many` is its plural, empty where it has none."""

    text: str
    context: str = ""
    many: str = ""


class NotLiteralError(ValueError):
    """A marked text that nobody can translate, because it is only known when it is said."""


def marked_texts(root: Path) -> dict[Marked, str]:
    """Every marked text with a place where it stands. Raises NotLiteralError."""
    found: dict[Marked, str] = {}
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            if "migrations" not in path.parts:
                for line, marked in in_python(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
                    found.setdefault(marked, f"{path.relative_to(root)}:{line}")
    for path in sorted((root / PRESET_TABLES).glob("*.toml")):
        for text in in_preset(path.read_text(encoding="utf-8")):
            found.setdefault(Marked(text), f"{path.relative_to(root)}:1")
    for path in sorted((root / "templates").rglob("*")):
        if path.suffix in {".html", ".txt"}:
            for line, marked in in_template(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
                found.setdefault(marked, f"{path.relative_to(root)}:{line}")
    return found


def in_python(source: str, name: str = "") -> Iterator[tuple[int, Marked]]:
    """Line and text of each call of gettext's functions and of wording.plural with literal words."""
    if not any(word in source for word in ("gettext", "plural", "metrics.words")):
        return
    for node in ast.walk(ast.parse(source, filename=name)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in CALLS:
            parts = dict(zip(CALLS[called], node.args, strict=False))
            if len(parts) < len(CALLS[called]) or not all(_is_text(part) for part in parts.values()):
                raise NotLiteralError(
                    f"{name}:{node.lineno}: {called}() takes a literal text, no variable and no f-string."
                )
            yield node.lineno, Marked(**{key: str(part.value) for key, part in parts.items()})  # type: ignore[attr-defined]
        elif called == "plural" and all(_is_text(part) for part in node.args[1:]) and len(node.args) in (2, 3):
            yield node.lineno, _counted(*(str(part.value) for part in node.args[1:]))  # type: ignore[attr-defined]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _counted(one: str, many: str = "") -> Marked:
    return Marked(text=f"%(count)s {one}", many=f"%(count)s {many or one + 's'}")


def in_preset(source: str) -> Iterator[str]:
    """The sentences of a preset's file that its form shows: what to switch on, and what to do about what is missing."""
    table = tomllib.loads(source)
    yield from filter(None, (table.get("setup"), *table.get("not_offered", {}).values()))


def in_template(source: str, name: str = "") -> Iterator[tuple[int, Marked]]:
    """Line and text of translate, blocktranslate, `_("...")` in tags and the filter `plural`."""
    for match in PLURAL_FILTER.finditer(source):
        yield source.count("\n", 0, match.start()) + 1, _counted(*match.group(1).split(",", 1))
    if "i18n" not in source and '_("' not in source:
        return
    # Django leaves the calls alone of a template; where they are indented means nothing.
    python = BytesIO("\n".join(line.strip() for line in templatize(source, origin=name).split("\n")).encode())
    for line, called, texts, _ in extract_python(python, TEMPLATE_CALLS, (), {"encoding": "utf-8"}):
        given = [texts] if isinstance(texts, str) else [text for text in texts if text]
        names = CALLS[str(called)]
        if len(given) < len(names):
            raise NotLiteralError(f"{name}:{line}: a marked text has a part that is no literal text.")
        yield line, Marked(**dict(zip(names, map(str, given), strict=False)))
