"""Messages to patients and staff: what they say, when they are tried again, and the one port they leave by (HZ-15).

A message holds the house, the time, the telephone number and the link; no name, department or reason of the visit. The
link's secret is in the sealed content only: rows, events and logs hold ids and states.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import Consult, Seat
from clinic.errors import NoticeClosed
from clinic.people import Institution
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

LOCALES = ("zh", "en")
HOLES = frozenset({"house", "when", "url", "phone"})  # all a message may hold


class NoticeKind(StrEnum):
    INVITATION = "invitation"
    REMINDER = "reminder"
    TIME_CHANGED = "time_changed"
    CANCELLED = "cancelled"
    REQUEST_UNANSWERED = "request_unanswered"  # to staff, from here on
    PANEL_NEAR = "panel_near"
    OPINION_DUE = "opinion_due"
    TASK_DUE = "task_due"


TO_STAFF = frozenset(
    {NoticeKind.REQUEST_UNANSWERED, NoticeKind.PANEL_NEAR, NoticeKind.OPINION_DUE, NoticeKind.TASK_DUE}
)


class Channel(StrEnum):
    SMS = "sms"
    EMAIL = "email"
    WECHAT = "wechat"  # template message
    ACCOUNT = "account"  # the house's own staff messenger; the address is the login


class NoticeState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"  # a gateway took it
    FOR_STAFF = "for_staff"  # in the outbox: a person hands it over
    DEAD = "dead"  # every try failed
    DROPPED = "dropped"  # not true any more before it left


OUTCOMES: Mapping[NoticeState, EventCode] = {
    NoticeState.SENT: EventCode.NOTICE_SENT,
    NoticeState.FOR_STAFF: EventCode.NOTICE_SENT,
    NoticeState.DEAD: EventCode.NOTICE_DEAD,
    NoticeState.DROPPED: EventCode.NOTICE_DROPPED,
    NoticeState.QUEUED: EventCode.NOTICE_FAILED,  # back in the queue after a failed try
}


@dataclass(frozen=True, slots=True)
class Notice:
    """`id` is computed from what must happen once, so the database refuses a second one. `content` is sealed."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str  # the patient's; of a message to staff the person's id (`TO_STAFF`)
    kind: NoticeKind
    key: str
    channel: Channel
    locale: str
    address_hint: str  # masked
    content: str  # sealed JSON of a Letter; empty once erased
    held: bool  # content is still there
    state: NoticeState
    attempts: int
    queued_at: datetime
    queued_by: str
    next_try_at: datetime | None
    settled_at: datetime | None = None
    last_code: str | None = None  # why the last try failed
    revealed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a channel carries. `id` is the same at every try: a gateway drops the second one."""

    id: str
    channel: Channel
    address: str
    subject: str
    text: str
    url: str = ""


class DeliveryFailed(Exception):
    """A channel did not take the letter; `code` is a stable word, `final`: trying again is useless."""

    def __init__(self, code: str, *, final: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.final = final


class Notifier(Protocol):
    """The one way out for messages, whatever the channel."""

    async def deliver(self, letter: Letter) -> NoticeState:
        """SENT or FOR_STAFF. Raises DeliveryFailed."""
        ...


class Envelope(Protocol):
    """Seals letters at rest, bound to their notice."""

    def close(self, notice_id: str, plain: bytes) -> str: ...
    def open(self, notice_id: str, sealed: str) -> bytes: ...


@cache
def words(locale: str) -> Mapping[str, Mapping[str, str]]:
    """Templates by name, each with subject and text."""
    name = f"messages.{locale if locale in LOCALES else LOCALES[0]}.json"
    loaded: dict[str, dict[str, str]] = json.loads(files("clinic.policies").joinpath(name).read_text("utf-8"))
    return loaded


def notice_id(seat_id: str, kind: NoticeKind, key: str) -> str:
    return hashlib.sha256(f"huizhen-notice\x00{seat_id}\x00{kind.value}\x00{key}".encode()).hexdigest()[:32]


def local_time(moment: datetime, time_zone: str, locale: str) -> str:
    """As a message says it: 3月2日 09:00, or Mon 2 Mar, 09:00."""
    local = moment.astimezone(ZoneInfo(time_zone))
    if locale == "en":
        return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}, {local:%H:%M}"
    return f"{local.month}月{local.day}日 {local:%H:%M}"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def compose(kind: NoticeKind, consult: Consult, house: Institution, *, locale: str, url: str = "") -> tuple[str, str]:
    """Subject and text of a message."""
    name = "reminder_no_link" if kind is NoticeKind.REMINDER and not url else kind.value
    template = words(locale)[name]
    title = house.name_en if locale == "en" and house.name_en else house.short_name or house.name
    holes = {
        "house": title,
        "when": local_time(consult.starts_at, house.time_zone, locale),
        "url": url,
        "phone": house.phone,
    }
    return template["subject"], template["text"].format(**holes)


def compose_for_staff(  # noqa: PLR0917
    kind: NoticeKind, asking: Institution, until: datetime, time_zone: str, url: str, locale: str = LOCALES[0]
) -> tuple[str, str]:
    """Subject and text: which institution asks, the hour, what kind of thing, the page; nothing of the patient."""
    template = words(locale)[kind.value]
    title = (
        asking.name_en if locale == "en" and asking.name_en else asking.name
    )  # colleagues elsewhere know no short one
    holes = {"house": title, "when": local_time(until, time_zone, locale), "url": url}
    return template["subject"], template["text"].format(**holes)


def pause_after(attempts: int, policy: RuleSet) -> timedelta | None:
    """How long to wait after so many failed tries; None when it was the last."""
    if attempts >= policy.value("HZ-15", "attempts"):
        return None
    first, most = policy.value("HZ-15", "first_pause_seconds"), policy.value("HZ-15", "longest_pause_seconds")
    return timedelta(seconds=min(most, first * 2 ** (attempts - 1)))


@dataclass(frozen=True, slots=True)
class NewNotice:
    kind: NoticeKind
    key: str
    channel: Channel
    address: str
    address_hint: str
    locale: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """Whose outbox it lies in, and for whom: a seat, or a member of staff."""

    institution_id: str
    consult_id: str
    whom: str


async def queue(
    tx: ClinicTransaction, envelope: Envelope, new: NewNotice, by: Actor, *, consult: Consult, seat: Seat
) -> Notice | None:
    """Into the outbox, once: None when the same message was queued before."""
    house = await tx.institutions.get(consult.institution_id)
    said = compose(new.kind, consult, house, locale=new.locale, url=new.url)
    return await put(tx, envelope, new, Bound(consult.institution_id, consult.id, seat.id), said, by)


async def put(  # noqa: PLR0917
    tx: ClinicTransaction, envelope: Envelope, new: NewNotice, to: Bound, said: tuple[str, str], by: Actor
) -> Notice | None:
    """A message whose subject and text are composed, once: None when it was queued before."""
    known_id = notice_id(to.whom, new.kind, new.key)
    if await tx.notices.find(id=known_id):
        return None
    subject, text = said
    plain = {"address": new.address, "subject": subject, "text": text, "url": new.url}
    notice = Notice(
        id=known_id,
        institution_id=to.institution_id,
        consult_id=to.consult_id,
        seat_id=to.whom,
        kind=new.kind,
        key=new.key,
        channel=new.channel,
        locale=new.locale,
        address_hint=new.address_hint,
        content=envelope.close(known_id, json.dumps(plain, ensure_ascii=False).encode()),
        held=True,
        state=NoticeState.QUEUED,
        attempts=0,
        queued_at=tx.now,
        queued_by=by.seat_id or by.id,
        next_try_at=tx.now,
    )
    await tx.notices.add(notice)
    await tx.append(_event(EventCode.NOTICE_QUEUED, notice, by))
    return notice


def letter_of(notice: Notice, envelope: Envelope) -> Letter:
    """The content. Raises NoticeClosed when it was erased."""
    if not notice.content:
        raise NoticeClosed()
    plain: dict[str, str] = json.loads(envelope.open(notice.id, notice.content))
    return Letter(notice.id, notice.channel, plain["address"], plain["subject"], plain["text"], plain["url"])


async def settle(
    tx: ClinicTransaction,
    notice_id_: str,
    policy: RuleSet,
    *,
    state: NoticeState,
    failed: DeliveryFailed | None = None,
) -> Notice:
    """What became of a try. A failure goes back into the queue or, after the last one, is dead and shown to staff.

    Content nobody needs any more is erased with the same write; an invitation's is kept for its reminders (`erase`).
    """
    notice = await tx.notices.get(notice_id_)
    if notice.state is not NoticeState.QUEUED:
        return notice
    attempts, pause = notice.attempts, None
    if failed is not None:
        attempts += 1
        pause = None if failed.final else pause_after(attempts, policy)
        state = NoticeState.DEAD if pause is None else NoticeState.QUEUED
    settled = state is not NoticeState.QUEUED
    done = state is NoticeState.DROPPED or (state is NoticeState.SENT and notice.kind is not NoticeKind.INVITATION)
    notice = replace(
        notice,
        state=state,
        attempts=attempts,
        next_try_at=tx.now + pause if pause is not None else None,
        settled_at=tx.now if settled else None,
        last_code=failed.code if failed is not None else notice.last_code,
        content="" if done else notice.content,
        held=not done,
    )
    await tx.notices.save(notice)
    outcome = "ok" if failed is None else failed.code
    await tx.append(_event(OUTCOMES[state], notice, Actor.system(notice.institution_id), outcome))
    return notice


async def reveal(tx: ClinicTransaction, envelope: Envelope, notice: Notice, by: Actor) -> Letter:
    """A person reads the content, secret and all, to hand it over: on record. Raises NoticeClosed."""
    letter = letter_of(notice, envelope)
    notice = replace(notice, revealed_at=tx.now)
    await tx.notices.save(notice)
    await tx.append(_event(EventCode.NOTICE_REVEALED, notice, by))
    return letter


async def erase(tx: ClinicTransaction, notice: Notice) -> None:
    """The visit is over: the link and the address are not kept."""
    notice = replace(notice, content="", held=False)
    await tx.notices.save(notice)
    await tx.append(_event(EventCode.NOTICE_ERASED, notice, Actor.system(notice.institution_id)))


async def try_again(tx: ClinicTransaction, notice: Notice, by: Actor) -> Notice:
    """A dead letter gets another round. Raises NoticeClosed when it is not dead."""
    if notice.state is not NoticeState.DEAD or not notice.held:
        raise NoticeClosed(notice.state.value)
    notice = replace(notice, state=NoticeState.QUEUED, attempts=0, next_try_at=tx.now, settled_at=None)
    await tx.notices.save(notice)
    await tx.append(_event(EventCode.NOTICE_QUEUED, notice, by))
    return notice


def _event(code: EventCode, notice: Notice, by: Actor, outcome: str = "ok") -> AuditEvent:
    public: dict[str, Any] = {
        "kind": notice.kind.value,
        "channel": notice.channel.value,
        "state": notice.state.value,
        "attempts": notice.attempts,
    }
    who = by.seat_id or by.id
    return AuditEvent(code, notice.institution_id, who, notice.consult_id, notice.seat_id, outcome, public)
