"""Calendar files (RFC 5545) of a panel: one event per seat, nothing of the patient in it.

METHOD is PUBLISH while it takes place and CANCEL when it does not; the same UID with a higher SEQUENCE replaces what a
calendar holds. There is no ATTENDEE: answers are given here, not by mail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Alarm, Calendar, Event, vCalAddress, vText

PRODID = "-//Huizhen//panels//ZH"


@dataclass(frozen=True, slots=True)
class Meeting:
    """`uid`: the seat's own id. `title`: kind of consult and the houses; never a person or an illness."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    title: str
    organiser: str
    organiser_id: str
    url: str
    stamped_at: datetime
    cancelled: bool
    tentative: bool = False  # not accepted yet


def calendar_file(meeting: Meeting) -> bytes:
    """One VCALENDAR with one VEVENT, UTC, CRLF."""
    calendar = Calendar()
    calendar.add("prodid", PRODID)
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if meeting.cancelled else "PUBLISH")
    event = Event()
    event.add("uid", f"{meeting.uid}@huizhen")
    event.add("sequence", meeting.sequence)
    event.add("dtstamp", meeting.stamped_at)
    event.add("dtstart", meeting.starts_at)
    event.add("dtend", meeting.ends_at)
    event.add("summary", meeting.title)
    event.add("status", "CANCELLED" if meeting.cancelled else "TENTATIVE" if meeting.tentative else "CONFIRMED")
    organiser = vCalAddress(f"urn:huizhen:institution:{meeting.organiser_id}")
    organiser.params["CN"] = vText(meeting.organiser)
    event.add("organizer", organiser)
    event.add("url", meeting.url)
    event.add("class", "CONFIDENTIAL")
    if not meeting.cancelled:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", meeting.title)
        alarm.add("trigger", timedelta(minutes=-15))
        event.add_component(alarm)
    calendar.add_component(event)
    return bytes(calendar.to_ical())
