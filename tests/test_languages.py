"""The catalogues of translations: whole, in line with the sources, and compiled."""

import errno
import gettext as plain_gettext
import os
import subprocess
import sys

import pytest
from babel.messages import Catalog
from django.conf import settings

from config import messages
from config.message_sources import Marked, NotLiteralError, in_python, in_template, marked_texts
from config.messages import (
    ROOT,
    catalogue_files,
    compile_stale,
    language_of,
    problems,
    read,
    updated,
    write,
)

FILES = {language_of(file): file for file in catalogue_files()}


@pytest.fixture(scope="module")
def marked():
    return marked_texts(ROOT)


def test_each_language_but_english_has_a_catalogue():
    assert {code for code, _ in settings.LANGUAGES} - {"en-gb"} == set(FILES)


@pytest.mark.parametrize("language", FILES)
def test_every_marked_text_is_translated(language, marked):
    """With the same placeholders and every plural. To put right: bin/messages, then write what is empty."""
    found = list(problems(read(FILES[language]), marked))
    assert not found, "\n".join(found[:40])


@pytest.mark.parametrize("language", FILES)
def test_the_catalogue_is_in_line_with_the_sources(language, marked, tmp_path):
    """No text that nothing marks any more, and written as bin/messages writes it: it is to be run."""
    file = tmp_path / language / "LC_MESSAGES" / "django.po"
    file.parent.mkdir(parents=True)
    write(file, updated(read(FILES[language]), marked))
    assert FILES[language].read_text() == file.read_text()


@pytest.mark.parametrize("language", FILES)
def test_it_compiles(language, tmp_path):
    file = tmp_path / language / "LC_MESSAGES" / "django.po"
    file.parent.mkdir(parents=True)
    file.write_bytes(FILES[language].read_bytes())
    assert compile_stale(tmp_path) == [file.with_suffix(".mo")]
    assert compile_stale(tmp_path) == []
    with file.with_suffix(".mo").open("rb") as opened:
        compiled = plain_gettext.GNUTranslations(opened)
    assert compiled.gettext("no data") == {"nl": "geen gegevens"}.get(language, compiled.gettext("no data"))


@pytest.fixture
def dutch(tmp_path):
    """A catalogue whose .mo is older than its .po."""
    file = tmp_path / "nl" / "LC_MESSAGES" / "django.po"
    file.parent.mkdir(parents=True)
    file.write_bytes(FILES["nl"].read_bytes())
    compile_stale(tmp_path)
    os.utime(file.with_suffix(".mo"), (1, 1))
    return file


def test_a_full_disk_leaves_what_was_compiled_before_and_nothing_by_its_side(dutch, tmp_path, monkeypatch, capsys):
    before = dutch.with_suffix(".mo").read_bytes()

    def half(opened, catalogue):
        opened.write(b"half of it")
        opened.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(messages, "write_mo", half)
    with pytest.raises(OSError, match="No space left"):
        compile_stale(tmp_path)
    assert sorted(file.name for file in dutch.parent.iterdir()) == ["django.mo", "django.po"]
    assert dutch.with_suffix(".mo").read_bytes() == before
    monkeypatch.setattr(messages, "compile_stale", lambda: compile_stale(tmp_path))
    assert messages.main(["--compile"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    assert compile_stale(tmp_path) == [dutch.with_suffix(".mo")]


def test_two_that_compile_at_once_are_in_no_ones_way(dutch, tmp_path):
    code = "import sys, pathlib; from config.messages import compile_stale; compile_stale(pathlib.Path(sys.argv[1]))"
    begun = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in begun] == [0, 0, 0]
    assert sorted(file.name for file in dutch.parent.iterdir()) == ["django.mo", "django.po"]
    with dutch.with_suffix(".mo").open("rb") as opened:
        assert plain_gettext.GNUTranslations(opened).gettext("no data") == "geen gegevens"


def test_it_finds_what_templates_mark():
    source = """{% load i18n %}{% translate "One" %}{% translate "May" context "month" %}{% tag _("Two") %}
    {% blocktranslate trimmed with name=x.name %}
      Hello
      {{ name }}, 100%
    {% endblocktranslate %}
    {% blocktranslate count n=total %}{{ n }} gate{% plural %}{{ n }} gates{% endblocktranslate %}
    {{ n|plural:"day" }} {{ n|plural:"entry,entries" }} {{ x|default:_("Three") }}"""
    assert {marked for _, marked in in_template(source)} == {
        Marked("One"),
        Marked("May", context="month"),
        Marked("Two"),
        Marked("Three"),
        Marked("Hello %(name)s, 100%%"),
        Marked("%(n)s gate", many="%(n)s gates"),
        Marked("%(count)s day", many="%(count)s days"),
        Marked("%(count)s entry", many="%(count)s entries"),
    }


def test_it_finds_what_python_marks():
    source = """from django.utils.translation import gettext as _
a = _("One " "sentence."); b = gettext_lazy("Two"); c = pgettext("month", "May")
d = ngettext("%(n)s gate", "%(n)s gates", n); e = wording.plural(n, "day"); f = plural(n, one)"""
    assert {marked for _, marked in in_python(source)} == {
        Marked("One sentence."),
        Marked("Two"),
        Marked("May", context="month"),
        Marked("%(n)s gate", many="%(n)s gates"),
        Marked("%(count)s day", many="%(count)s days"),
    }


@pytest.mark.parametrize("call", ['_(f"Hello {name}")', "gettext(name)", 'ngettext("one", many, n)', '_("a" + b)'])
def test_a_text_that_is_no_literal_is_refused(call):
    with pytest.raises(NotLiteralError):
        list(in_python(f"from django.utils.translation import gettext\n{call}", "somewhere.py"))


def test_what_is_wrong_with_a_translation_is_said():
    marked = {
        Marked("Empty"): "a:1",
        Marked("Absent"): "a:2",
        Marked("%(n)s of %(m)s"): "a:3",
        Marked("%(n)s day", many="%(n)s days"): "a:4",
        Marked("Fuzzy"): "a:5",
        Marked("Good %(n)s"): "a:6",
    }
    catalogue = Catalog("nl")
    catalogue.add("Empty", "")
    catalogue.add("%(n)s of %(m)s", "%(n)s van %(p)s")
    catalogue.add(("%(n)s day", "%(n)s days"), ("%(n)s dag", ""))
    catalogue.add("Fuzzy", "Vaag", flags=["fuzzy"])
    catalogue.add("Good %(n)s", "Goed %(n)s")
    assert [line.partition(":")[2][0] for line in problems(catalogue, marked)] == list("43215"), "sorted by text"


def test_an_update_keeps_translations_and_drops_what_nobody_marks():
    old = Catalog("nl")
    old.add("Kept", "Gehouden")
    old.add("Dropped", "Weg")
    old.add("%(n)s day", "%(n)s dag")
    new = updated(old, {Marked("Kept"): "", Marked("New"): "", Marked("%(n)s day", many="%(n)s days"): ""})
    assert {str(message.id): message.string for message in new if message.id} == {
        "Kept": "Gehouden",
        "New": "",
        "('%(n)s day', '%(n)s days')": ("%(n)s dag", "%(n)s dag"),
    }
