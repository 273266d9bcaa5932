"""Finds English that a Dutch page still shows: texts of the catalogue whose Dutch is another one."""

from __future__ import annotations

import html
import re
from functools import cache

from django.test import Client

from config.messages import catalogue_files, language_of, read

# What is no prose: code, what a person is to paste, scripts, values that are sent.
NO_PROSE = re.compile(r"<(code|pre|script|style|textarea)\b.*?</\1>", re.S)
SHOWN_ATTRIBUTE = re.compile(r'\s(?:aria-label|data-head|title|placeholder|alt)="([^"]*)"')
CELL = re.compile(
    r"</?(?:td|th|tr|li|p|h\d|dt|dd|div|section|option|button|label|span|a|caption)\b[^>]*>",
)
TAG = re.compile(r"<[^>]*>")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]")
# Shorter texts are words that Dutch has as well, or that stand in names.
SHORTEST = 12


@cache
def english_texts(language: str = "nl") -> tuple[str, ...]:
    """Every text of the catalogue that reads differently there, without placeholders and of some length."""
    (file,) = (file for file in catalogue_files() if language_of(file) == language)
    found = []
    for message in read(file):
        texts = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for text, string in zip(texts, strings, strict=False):
            if text and string and text not in string and len(text) >= SHORTEST and not PLACEHOLDER.search(text):
                found.append(" ".join(text.split()))
    return tuple(found)


def visible_text(page: str) -> str:
    """What a reader sees or hears of a page's markup, blanks made one."""
    prose = NO_PROSE.sub(" ", page)
    spoken = [match.group(1) for match in SHOWN_ATTRIBUTE.finditer(prose)]
    # A tag within a sentence parts nothing; one between cells does.
    words = re.sub(
        r"</?(?:td|th|tr|li|p|h\d|dt|dd|div|section|option|button|label|span|a|caption)\b[^>]*>", " | ", prose
    )
    return " ".join(html.unescape(" | ".join([TAG.sub("", words), *spoken])).split())


def left_in_english(page: str, *, language: str = "nl") -> list[str]:
    """The English texts that this page shows though the catalogue has them in its language."""
    shown = visible_text(page)
    return [
        text
        for text in english_texts(language)
        if text in shown and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", shown)
    ]


def dutch_page(client: Client, url: str, *, data: dict[str, object] | None = None, expected: int = 200) -> str:
    """The page as a browser that asks for Dutch gets it. `data`: what is posted to it. No English may be left."""
    ask = client.get if data is None else client.post
    answer = ask(url, data, follow=True, headers={"accept-language": "nl"})
    page = answer.content.decode()
    assert answer.status_code == expected, (url, answer.status_code)
    assert re.search(r'<html[^>]*\blang="nl"', page), url
    left = left_in_english(page)
    assert not left, f"{url}: {left[:12]}"
    return page
