"""`bin/messages`: finds every marked text, brings the catalogues in line and compiles them. No GNU gettext is needed.

locale/<language>/LC_MESSAGES/django.po is sorted by text, without places and without line breaks, so that two people's
changes meet in few lines; what no source marks any more is dropped. The compiled .mo is made where it is older than its
.po, by every start and every test run, and never committed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from babel import Locale
from babel.messages import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from config.message_sources import Marked, NotLiteralError, marked_texts

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|\{(\w*)\}|%[sd]")
# The header's time: none that changes, so that a catalogue changes where its texts do.
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def catalogue_files(locale: Path = LOCALE) -> list[Path]:
    """The .po file of each language that has one."""
    return sorted(locale.glob("*/LC_MESSAGES/django.po"))


def language_of(file: Path) -> str:
    """'nl' of locale/nl/LC_MESSAGES/django.po."""
    return file.parent.parent.name


def read(file: Path) -> Catalog:
    """The catalogue of a file; an empty one where it holds nothing yet."""
    locale = Locale.parse(language_of(file))
    if not file.is_file() or not file.stat().st_size:
        return _empty(locale, f"# Phaseline in {locale.english_name}. Kept in line by bin/messages.")
    with file.open("rb") as opened:
        return read_po(opened, locale=locale, domain="django", abort_invalid=True)


def _empty(locale: Locale | None, header: str) -> Catalog:
    return Catalog(
        locale,
        "django",
        header,
        "Phaseline",
        "1",
        msgid_bugs_address="",
        last_translator="Phaseline",
        language_team="Phaseline",
        creation_date=SINCE,
        revision_date=SINCE,
        fuzzy=False,
    )


def updated(old: Catalog, marked: Mapping[Marked, str]) -> Catalog:
    """The catalogue with exactly the marked texts, and the translations that it had."""
    new = _empty(old.locale, old.header_comment)
    # A text that is said alone and counted elsewhere is one message, with its plural.
    keys: dict[tuple[str, str], str | tuple[str, str]] = {}
    for text in sorted(marked):
        if text.many or (text.text, text.context) not in keys:
            keys[text.text, text.context] = (text.text, text.many) if text.many else text.text
    for (said, context), key in keys.items():
        message = Message(key, context=context or None)
        before = old.get(said, context or None)
        if before is not None:
            message.string = _fitting(before.string or "", is_plural=isinstance(key, tuple), forms=new.num_plurals)
            message.flags |= before.flags & {"fuzzy"}
            message.user_comments = before.user_comments
        new[key] = message
    return new


def _fitting(string: str | Sequence[str], *, is_plural: bool, forms: int) -> str | tuple[str, ...]:
    if is_plural:
        return tuple(string) if not isinstance(string, str) else (string,) * forms if string else ("",) * forms
    return string if isinstance(string, str) else string[0]


def problems(catalogue: Catalog, marked: Mapping[Marked, str]) -> Iterator[str]:
    """What is wrong with the translations of the marked texts, one sentence each."""
    for text, place in sorted(marked.items()):
        message = catalogue.get(text.text, text.context or None)
        if message is None:
            yield f"{place}: '{text.text}' is not in the catalogue."
            continue
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        wanted = catalogue.num_plurals if text.many else 1
        if len(strings) < wanted or not all(strings):
            yield f"{place}: '{text.text}' has no translation, or not all its plurals."
        elif message.fuzzy:
            yield f"{place}: '{text.text}' is marked fuzzy: somebody looks at it, and takes the mark away."
        else:
            sources = [_placeholders(text.text), *([_placeholders(text.many)] if text.many else [])]
            most, least = set.union(*sources), set.intersection(*sources)
            for string in strings:
                if not least <= _placeholders(string) <= most:
                    yield f"{place}: '{string}' has not the placeholders of '{text.text}'."


def _placeholders(text: str) -> set[str]:
    return {match.group(0) for match in PLACEHOLDER.finditer(text)}


def write(file: Path, catalogue: Catalog) -> bool:
    """Writes the catalogue as text; whether that changed the file."""
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as opened:
        write_po(opened, catalogue, width=0, sort_output=True, no_location=True, ignore_obsolete=True)
    is_new = not file.is_file() or file.read_bytes() != temporary.read_bytes()
    temporary.replace(file)
    return is_new


def compile_stale(locale: Path = LOCALE) -> list[Path]:
    """Compiles each catalogue whose .mo is missing or older, as one step, so that a reader never meets half of one.

    Raises OSError where it cannot be written; the .mo that was there is left.
    """
    done = []
    for file in catalogue_files(locale):
        compiled = file.with_suffix(".mo")
        if compiled.is_file() and compiled.stat().st_mtime_ns >= file.stat().st_mtime_ns:
            continue
        temporary = file.with_suffix(f".{os.getpid()}.mo.tmp")
        try:
            with temporary.open("wb") as opened:
                write_mo(opened, read(file))
                # Else a power cut may leave the name with nothing behind it, and it would not be made again.
                opened.flush()
                os.fsync(opened.fileno())
            temporary.replace(compiled)
        finally:
            temporary.unlink(missing_ok=True)
        done.append(compiled)
    return done


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bin/messages",
        description="Bring the catalogues of translations in line with the sources, and compile them.",
    )
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help="a new language to begin, such as de")
    parser.add_argument("--check", action="store_true", help="change nothing; say what is not translated")
    parser.add_argument("--compile", action="store_true", help="only compile what is older than its text")
    options = parser.parse_args(argv)
    if not options.compile:
        try:
            marked = marked_texts(ROOT)
        except (NotLiteralError, SyntaxError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        new = [LOCALE / language / "LC_MESSAGES" / "django.po" for language in options.languages]
        is_bad = False
        for file in sorted({*catalogue_files(), *new}):
            catalogue = read(file) if options.check else updated(read(file), marked)
            if not options.check:
                file.parent.mkdir(parents=True, exist_ok=True)
                write(file, catalogue)
            found = list(problems(catalogue, marked))
            is_bad |= bool(found)
            lines = [*found, f"{language_of(file)}: {len(marked)} texts, {len(found)} to see to.", ""]
            sys.stdout.write("\n".join(lines))
        if options.check:
            return int(is_bad)
    try:
        compile_stale()
    except OSError as error:
        # The disk is full, or nobody may write here.
        sys.stderr.write(f"{error.filename or LOCALE}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
