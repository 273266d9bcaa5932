"""A person's private calendar address, and what a calendar program reads there."""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from gunicorn.config import Config
from icalendar import Calendar

from accounts.models import AuditEvent, Membership
from config.logs import GunicornLogger, NoSecretAddresses, without_secret_addresses
from metrics.errors import RuleViolation
from roadmap.actions.calendars import make_calendar_address, renew_calendar_address, revoke_calendar_address
from roadmap.actions.gates import decide_gate
from roadmap.actions.milestones import add_milestone, change_milestone, drop_milestone, tick_milestone
from roadmap.actions.undoing import undo_decision
from roadmap.ical import ical_of
from roadmap.models import CalendarAddress, Milestone, Roadmap
from roadmap.queries.calendar import KEPT_DAYS, CalendarEntry, PlanCalendar
from roadmap.queries.kpi_values import kpi_values

DAY = timedelta(days=1)
PAGE = "/me/calendar/"


def read(secret: str):
    """The answer to somebody who is not signed in."""
    return Client().get(reverse("calendar_file", args=[secret]))


def events(secret: str) -> dict[str, dict]:
    """(day, title, status, sequence) by UID."""
    answer = read(secret)
    assert answer.status_code == 200, answer.status_code
    calendar = Calendar.from_ical(answer.content)
    return {
        str(event["UID"]): {
            "on": event["DTSTART"].dt,
            "until": event["DTEND"].dt,
            "title": str(event["SUMMARY"]),
            "status": str(event["STATUS"]),
            "sequence": int(event["SEQUENCE"]),
            "text": str(event["DESCRIPTION"]),
        }
        for event in calendar.walk("VEVENT")
    }


def titles(secret: str) -> set[str]:
    return {event["title"] for event in events(secret).values()}


@pytest.fixture
def secret(plan, vera, asker) -> str:
    return make_calendar_address(asker(vera))[1]


def test_it_shows_milestones_and_gates_as_whole_days(plan, poc, gate, alice, asker, secret, today):
    milestone = add_milestone(asker(alice), poc, name="Pilot; with ä, and more", due_on=today + 9 * DAY, owner=alice)
    found = events(secret)
    event = found[f"milestone-{milestone.pk}@127.0.0.1"]
    assert (event["on"], event["until"]) == (today + 9 * DAY, today + 10 * DAY)
    assert isinstance(event["on"], date)
    assert not isinstance(event["on"], datetime)
    assert event["title"] == "Pilot; with ä, and more (Contact centre)"
    assert event["status"] == "CONFIRMED"
    assert "Owner: Alice Manager." in event["text"]
    assert found[f"gate-{gate.pk}@127.0.0.1"]["title"] == "Gate: PoC (Contact centre)"
    assert len(found) == Milestone.objects.count() + 3


def test_a_moved_one_keeps_its_id_and_counts_up(poc, alice, asker, secret, today):
    milestone = add_milestone(asker(alice), poc, name="Pilot", due_on=today + 9 * DAY)
    uid = f"milestone-{milestone.pk}@127.0.0.1"
    before = events(secret)[uid]
    change_milestone(asker(alice), milestone, due_on=today + 20 * DAY)
    after = events(secret)[uid]
    assert after["on"] == today + 20 * DAY
    assert after["sequence"] > before["sequence"]
    assert "first promised" in after["text"]


def test_done_stands_on_its_day_and_dropped_is_cancelled(poc, alice, asker, secret, today):
    done = add_milestone(asker(alice), poc, name="Data", due_on=today + 9 * DAY)
    dropped = add_milestone(asker(alice), poc, name="Tour", due_on=today + 9 * DAY)
    tick_milestone(asker(alice), done)
    drop_milestone(asker(alice), dropped, reason="No budget")
    found = events(secret)
    event = found[f"milestone-{done.pk}@127.0.0.1"]
    assert (event["on"], event["title"], event["status"]) == (today, "Done: Data (Contact centre)", "CONFIRMED")
    event = found[f"milestone-{dropped.pk}@127.0.0.1"]
    assert (event["title"], event["status"]) == ("Dropped: Tour (Contact centre)", "CANCELLED")
    assert "No budget" in event["text"]


def test_a_decided_gate_says_so_until_that_is_taken_back(gate, adam, asker, secret, today):
    uid = f"gate-{gate.pk}@127.0.0.1"
    decide_gate(asker(adam), gate, outcome="hold", reason="x", new_due_on=today + 30 * DAY, values_of=kpi_values)
    held = events(secret)[uid]
    assert (held["on"], held["title"]) == (today + 30 * DAY, "Gate: PoC (Contact centre)")
    assert "Hold" in held["text"]
    decide_gate(asker(adam), gate, outcome="stop", reason="x", values_of=kpi_values)
    stopped = events(secret)[uid]
    assert (stopped["on"], stopped["title"]) == (today, "Gate decided, stop: PoC (Contact centre)")
    assert stopped["sequence"] > held["sequence"]
    undo_decision(asker(adam), gate, reason="x", new_due_on=today + 40 * DAY, values_of=kpi_values)
    assert events(secret)[uid]["on"] == today + 40 * DAY


@pytest.mark.parametrize(
    ("state", "before", "status"), [("stopped", "Stopped: ", "CANCELLED"), ("paused", "Paused: ", "TENTATIVE")]
)
def test_what_is_open_on_a_roadmap_that_does_not_run_says_so(plan, gate, secret, state, before, status):
    Roadmap.objects.filter(pk=plan.pk).update(state=state)
    event = events(secret)[f"gate-{gate.pk}@127.0.0.1"]
    assert (event["title"], event["status"]) == (f"{before}Gate: PoC (Contact centre)", status)


def test_what_is_long_over_is_left_out(poc, alice, asker, secret, today):
    for name, days in (("old", KEPT_DAYS + 1), ("new", KEPT_DAYS)):
        Milestone.objects.create(
            phase=poc, name=name, state="done", done_on=today - days * DAY, due_on=today - days * DAY,
            baseline_due_on=today,
        )  # fmt: skip
    Milestone.objects.create(phase=poc, name="late", due_on=today - 900 * DAY, baseline_due_on=today)
    shown = titles(secret)
    assert "Done: new (Contact centre)" in shown
    assert "late (Contact centre)" in shown
    assert "Done: old (Contact centre)" not in shown


def test_of_very_many_the_nearest_are_shown_and_the_rest_is_told(poc, secret, monkeypatch):
    monkeypatch.setattr("roadmap.queries.calendar.MOST_ENTRIES", 5)
    there = Milestone.objects.count() + 3
    assert len(events(secret)) == 5
    assert f"The 5 days nearest to today\\; {there - 5} are left out." in read(secret).content.decode()


def test_it_shows_what_the_person_sees_today_and_nothing_else(plan, vera, oscar, adam, asker, secret):
    assert titles(secret)
    assert titles(make_calendar_address(asker(oscar))[1]) == set()
    one = make_calendar_address(asker(vera), roadmap=plan)[1]
    assert titles(one) == titles(secret)
    assert b"Contact centre" in read(one).content
    Membership.objects.filter(user=vera, workload=plan.workload).delete()
    assert titles(secret) == titles(one) == set()
    # Nor its name any more.
    assert b"Contact centre" not in read(one).content
    admin = make_calendar_address(asker(adam))[1]
    assert any("Contact centre" in title for title in titles(admin))


def test_who_may_not_sign_in_has_no_calendar(vera, secret):
    vera.is_active = False
    vera.save()
    assert read(secret).status_code == 404


@pytest.mark.parametrize("wrong", ["x", "a" * 43, "ä", "a" * 2000, "%00", "..%2fetc"])
def test_another_address_is_not_there(secret, wrong):
    answer = Client().get(f"/calendar/{wrong}.ics")
    assert answer.status_code == 404


def test_renewed_and_revoked_addresses_are_refused(vera, asker, secret):
    address = CalendarAddress.objects.get()
    second = renew_calendar_address(asker(vera), address)
    assert read(secret).status_code == 404
    assert read(second).status_code == 200
    revoke_calendar_address(asker(vera), address)
    assert read(second).status_code == 404
    with pytest.raises(RuleViolation):
        renew_calendar_address(asker(vera), address)


def test_it_is_read_and_not_changed_and_says_what_it_is(secret):
    address = reverse("calendar_file", args=[secret])
    answer = Client().get(address)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "private" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert Client().head(address).status_code == 200
    assert Client().post(address).status_code == 405
    assert CalendarAddress.objects.get().last_used_at is not None


def test_it_costs_the_same_queries_with_more_roadmaps(
    plan, poc, alice, asker, secret, today, django_assert_num_queries
):
    for number in range(20):
        add_milestone(asker(alice), poc, name=f"m{number}", due_on=today)
    read(secret)
    # The address, milestones, gates, decisions.
    with django_assert_num_queries(4):
        assert len(events(secret)) > 20


def test_each_line_is_one_that_rfc_5545_allows(poc, alice, asker, secret, today):
    """Lines of at most 75 bytes that end in CRLF, no control characters, required properties present."""
    add_milestone(asker(alice), poc, name="Lang: ä, ö; \\ " + "ü" * 150, due_on=today)
    content = read(secret).content
    assert content.endswith(b"END:VCALENDAR\r\n")
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line for line in lines)
    head = content.decode().partition("BEGIN:VEVENT")[0]
    assert "VERSION:2.0\r\n" in head
    assert "PRODID:" in head
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT6H" in head
    # Every event: an id, a moment it was written, a day.
    for name in ("UID:", "DTSTAMP:", "DTSTART;VALUE=DATE:", "DTEND;VALUE=DATE:"):
        assert content.count(b"\r\n" + name.encode()) == content.count(b"BEGIN:VEVENT")
    assert not Calendar.from_ical(content).errors


def test_a_text_cannot_break_out_of_its_line():
    nasty = "x\r\nEND:VEVENT\r\nBEGIN:VALARM\r\n\x00\x1b[0m"
    entry = CalendarEntry("milestone-1", date(2026, 11, 26), nasty, nasty, "/x", "Milestone", "confirmed", 1)
    content = ical_of(
        PlanCalendar("N\r\nX:1", [entry]), base_url="https://p.example", now=datetime(2026, 11, 26, tzinfo=UTC)
    )
    calendar = Calendar.from_ical(content)
    assert len(calendar.walk("VEVENT")) == 1
    assert calendar.walk("VALARM") == []
    assert b"\r\nX:1" not in content
    assert b"\x00" not in content
    assert b"\x1b" not in content
    assert calendar.walk("VEVENT")[0]["UID"] == "milestone-1@p.example"


# --- The page ---------------------------------------------------------------------------------------------------------


def shown_address(answer) -> str:
    return re.search(r"http://[^<]*/calendar/([\w-]{43})\.ics", answer.content.decode()).group(1)


def test_the_page_makes_renews_and_revokes_and_shows_an_address_once(plan, vera, sign_in):
    client = sign_in(vera)
    assert "No address yet" in client.get(PAGE).content.decode()
    made = client.post(PAGE, {"roadmap": ""})
    first = shown_address(made)
    assert "no-store" in made.headers["Cache-Control"]
    assert first not in client.get(PAGE).content.decode()
    assert read(first).status_code == 200
    again = client.post(PAGE, {"roadmap": ""})
    assert again.status_code == 422
    assert "Renew it below" in again.content.decode()
    pk = CalendarAddress.objects.get().pk
    second = shown_address(client.post(f"{PAGE}{pk}/renew/"))
    assert (read(first).status_code, read(second).status_code) == (404, 200)
    assert client.post(f"{PAGE}{pk}/revoke/").status_code == 303
    assert read(second).status_code == 404
    assert not CalendarAddress.objects.exists()
    assert client.post(f"{PAGE}{pk}/revoke/").status_code == 404
    told = AuditEvent.objects.filter(action__contains="calendar_address").order_by("pk")
    assert [row.action.partition("_")[0] for row in told] == ["make", "renew", "revoke"]
    for secret in (first, second):
        assert all(secret not in f"{row.before}{row.after}{row.subject_name}" for row in told)


def test_one_roadmap_can_be_chosen_beforehand(plan, vera, oscar, sign_in):
    client = sign_in(vera)
    assert f'value="{plan.pk}" selected' in client.get(f"{PAGE}?roadmap={plan.slug}").content.decode()
    for odd in ("nowhere", "%00", "9" * 300):
        assert client.get(f"{PAGE}?roadmap={odd}").status_code == 200
    client.post(PAGE, {"roadmap": plan.pk})
    assert CalendarAddress.objects.get().roadmap == plan
    page = sign_in(oscar).get(PAGE).content.decode()
    assert "Contact centre" not in page


@pytest.mark.parametrize("value", ["0", "x", "999999999999999999999"])
def test_an_odd_choice_is_said(plan, vera, sign_in, value):
    assert sign_in(vera).post(PAGE, {"roadmap": value}).status_code == 422


def test_nobody_touches_another_s_address(plan, vera, alice, adam, oscar, asker, sign_in, secret):
    pk = CalendarAddress.objects.get().pk
    for person in (alice, adam, oscar):
        client = sign_in(person)
        assert client.post(f"{PAGE}{pk}/renew/").status_code == 404
        assert client.post(f"{PAGE}{pk}/revoke/").status_code == 404
        with pytest.raises(RuleViolation):
            revoke_calendar_address(asker(person), CalendarAddress.objects.get())
    assert sign_in(oscar).post(PAGE, {"roadmap": plan.pk}).status_code == 422
    assert read(secret).status_code == 200


def test_the_page_asks_for_signing_in(client, db):
    assert client.get(PAGE).status_code == 302


def test_an_address_is_no_event_of_the_roadmap(plan, vera, asker, api):
    make_calendar_address(asker(vera), roadmap=plan)
    told = api(vera, scopes=["read"]).get(f"/api/v1/roadmaps/{plan.slug}/activity").content.decode()
    assert "calendar" not in told


# --- Logs -------------------------------------------------------------------------------------------------------------

SECRET = "s3cr3t-" + "x" * 36
LINES = [
    f"GET /calendar/{SECRET}.ics HTTP/1.1",
    f"GET http://h.example:8000/calendar/{SECRET}.ics?x=1 HTTP/1.1",
    f'"http://h.example/setup/{SECRET}/"',
    f"Not Found: /calendar/{SECRET}",
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_an_address_is_taken_out_of_a_line(line):
    clean = without_secret_addresses(line)
    assert SECRET not in clean
    assert "•••" in clean


def test_other_addresses_stay_as_they_are():
    for line in ("GET /me/calendar/?roadmap=x HTTP/1.1", "POST /me/calendar/12/renew/", "/settings/people/3/"):
        assert without_secret_addresses(line) == line


def test_django_does_not_log_it(secret, caplog, settings):
    handler = settings.LOGGING["handlers"]["console"]
    assert handler["filters"] == ["no_secret_addresses"]
    caplog.handler.addFilter(NoSecretAddresses())
    with caplog.at_level(logging.DEBUG):
        Client().get(f"/calendar/{SECRET}.ics")
        Client().post(reverse("calendar_file", args=[secret]))
    assert "/calendar/•••" in caplog.text
    assert SECRET not in caplog.text
    assert secret not in caplog.text


def test_gunicorn_does_not_log_it(capsys):
    from config import gunicorn

    assert gunicorn.logger_class == "config.logs.GunicornLogger"
    config = Config()
    config.set("accesslog", "-")
    config.set("access_log_format", '%(r)s "%(f)s" %(U)s')
    log = GunicornLogger(config)
    path = f"/calendar/{SECRET}.ics"
    environ = {
        "REQUEST_METHOD": "GET", "RAW_URI": path, "PATH_INFO": path, "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": f"http://h.example{path}",
    }  # fmt: skip

    class Answer:
        status, sent, headers = "404 Not Found", 5, ()

    class Asked:
        headers = ()

    log.access(Answer, Asked, environ, timedelta(seconds=1))
    log.exception("Error handling request %s", path)
    logging.getLogger("gunicorn.error.child").error("Broken pipe at %s", path)
    written = capsys.readouterr()
    assert written.out.count("•••") == 3
    assert "Broken pipe at /calendar/•••" in written.err
    assert "Error handling request /calendar/•••" in written.err
    assert SECRET not in written.out + written.err


def test_it_is_in_the_language_of_whose_it_is(plan, poc, gate, vera, alice, asker, secret, today):
    add_milestone(asker(alice), poc, name="Pilot", due_on=today + 9 * DAY, owner=alice)
    english = read(secret)
    assert english.headers["Content-Language"] == "en-gb"
    vera.language = "nl"
    vera.save()
    answer = Client().get(reverse("calendar_file", args=[secret]), headers={"accept-language": "en"})
    assert answer.headers["Content-Language"] == "nl"
    pilot = next(one for one in Calendar.from_ical(answer.content).walk("VEVENT") if "Pilot" in one["SUMMARY"])
    due = f"{(today + 9 * DAY).day} "
    assert f"Uiterlijk {due}" in pilot["DESCRIPTION"]
    assert "Eigenaar: Alice Manager." in pilot["DESCRIPTION"]
    assert pilot["CATEGORIES"].to_ical() == b"Mijlpaal"
    # Ids and standings are a program's.
    kept = ("UID", "STATUS", "DTSTART", "URL")
    both = [Calendar.from_ical(one.content).walk("VEVENT") for one in (english, answer)]
    assert [[one[name].to_ical() for name in kept] for one in both[0]] == [
        [one[name].to_ical() for name in kept] for one in both[1]
    ]
    tick_milestone(asker(alice), Milestone.objects.get(name="Pilot"))
    assert f"Gereed: Pilot ({plan.name})" in titles(secret)


def test_a_decided_gate_is_said_in_the_owner_s_language(plan, poc, gate, vera, adam, asker, secret, today):
    vera.language = "nl"
    vera.save()
    decide_gate(asker(adam), gate, outcome="stop", reason="x", values_of=kpi_values)
    assert any(title.startswith("Gate besloten, ") for title in titles(secret))
