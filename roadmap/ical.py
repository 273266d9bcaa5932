"""A plan's calendar as RFC 5545 writes it, in the active language. Reads nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.utils.translation import gettext
from icalendar import Calendar, Event, vText

from roadmap.queries.calendar import CalendarEntry, PlanCalendar
from web import wording

# How often a program should ask again, where it heeds that.
ASK_AGAIN = timedelta(hours=6)


def ical_of(calendar: PlanCalendar, *, base_url: str, now: datetime) -> bytes:
    """The file. Days are all-day events that keep nobody busy; ids stay the same for good (RFC 7986, UID)."""
    document = Calendar()
    document.add("prodid", "-//Phaseline//Plan//EN")
    document.add("version", "2.0")
    document.add("method", "PUBLISH")
    # The library does not know these for texts, and would not escape them.
    for place in ("name", "x-wr-calname"):
        document.add(place, vText(_line(calendar.name)))
    if calendar.left_out:
        note = gettext("The %(count)s days nearest to today; %(left_out)s are left out.") % {
            "count": wording.count(len(calendar.entries)),
            "left_out": wording.count(calendar.left_out),
        }
        for place in ("description", "x-wr-caldesc"):
            document.add(place, vText(note))
    document.add("refresh-interval", ASK_AGAIN, parameters={"VALUE": "DURATION"})
    document.add("x-published-ttl", "PT6H")
    host = urlsplit(base_url).hostname or "phaseline"
    for entry in calendar.entries:
        document.add_component(_event(entry, base_url=base_url, host=host, now=now))
    return document.to_ical()


def _event(entry: CalendarEntry, *, base_url: str, host: str, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{entry.key}@{host}")
    event.add("dtstamp", now)
    event.add("dtstart", entry.on)
    event.add("dtend", entry.on + timedelta(days=1))
    event.add("summary", _line(entry.title))
    event.add("description", _printable(entry.text))
    event.add("url", f"{base_url}{entry.path}")
    event.add("categories", [entry.kind])
    event.add("status", entry.standing.upper())
    event.add("sequence", entry.revision)
    event.add("transp", "TRANSPARENT")
    return event


def _printable(text: str) -> str:
    """With plain spaces, and without control characters, which RFC 5545 has no way to write."""
    return "".join(
        letter for letter in text.replace(wording.NBSP, " ") if letter in "\n\t" or (letter >= " " and letter != "\x7f")
    )


def _line(text: str) -> str:
    """The same in one line."""
    return " ".join(_printable(text).split())
