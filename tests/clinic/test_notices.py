"""Messages say little, reminders come once, failures are tried again and end in sight."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import EventCode
from clinic import notices, reminders
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import ConsultStatus
from clinic.errors import NoticeClosed
from clinic.notices import (
    HOLES,
    Channel,
    DeliveryFailed,
    NewNotice,
    NoticeKind,
    NoticeState,
    compose,
    local_time,
    pause_after,
)
from clinic.reminders import due, horizon, schedule
from clinic.rulebook import in_force
from tests.support.builders import World
from tests.support.clock import START

POLICY = in_force(START.date())


@pytest.mark.parametrize("locale", notices.LOCALES)
def test_every_kind_has_words_and_they_hold_nothing_personal(locale: str) -> None:
    words = notices.words(locale)
    assert set(words) == {*(kind.value for kind in NoticeKind), "reminder_no_link"}
    for template in words.values():
        assert template["subject"].strip()
        assert set(re.findall(r"\{(\w+)\}", template["text"])) <= HOLES
        assert bool(re.search(r"[一-鿿]", template["text"])) is (locale == "zh")


async def test_a_message_says_house_time_link_and_phone_only(world: World) -> None:
    booked = await world.book()
    for locale in notices.LOCALES:
        for kind in set(NoticeKind) - notices.TO_STAFF:
            subject, text = compose(kind, booked.consult, world.home, locale=locale, url="https://x/p#secret")
            assert world.home.phone in text
            said = subject + text
            for private in (world.patient.name, world.patient.phone, booked.consult.reason, world.doctor.name):
                assert private not in said
    assert "https" not in compose(NoticeKind.REMINDER, booked.consult, world.home, locale="zh")[1]


def test_times_are_those_of_the_house() -> None:
    assert local_time(START, "Asia/Shanghai", "zh") == "3月2日 17:00"
    assert local_time(START, "Asia/Shanghai", "en") == "Mon 2 Mar, 17:00"


def test_tries_grow_apart_and_end() -> None:
    pauses = [pause_after(attempts, POLICY) for attempts in range(1, 6)]
    assert pauses == [timedelta(minutes=m) for m in (1, 2, 4, 8)] + [None]


class PlainEnvelope:
    """Seals by naming the notice."""

    def close(self, notice_id: str, plain: bytes) -> str:
        return f"{notice_id}:{plain.decode()}"

    def open(self, notice_id: str, sealed: str) -> bytes:
        name, _, plain = sealed.partition(":")
        assert name == notice_id
        return plain.encode()


async def queued(world: World, booked: Booked) -> notices.Notice | None:
    new = NewNotice(NoticeKind.INVITATION, "1", Channel.SMS, "13900000000", "139****0000", "zh", "https://x/p#s")
    async with world.db.begin() as tx:
        return await notices.queue(
            tx, PlainEnvelope(), new, world.system, consult=booked.consult, seat=booked.patient_seat
        )


async def test_the_same_message_is_queued_once(world: World) -> None:
    booked = await world.book()
    first = await queued(world, booked)
    assert first is not None and notices.letter_of(first, PlainEnvelope()).url == "https://x/p#s"
    assert await queued(world, booked) is None
    assert world.db.codes().count("notice.queued") == 1
    assert world.db.rows("notices") == [first]


async def test_what_is_settled_stays_settled(world: World) -> None:
    notice = await queued(world, await world.book())
    assert notice is not None
    async with world.db.begin() as tx:
        sent = await notices.settle(tx, notice.id, POLICY, state=NoticeState.SENT)
    events = len(world.db.events)
    async with world.db.begin() as tx:
        failed = DeliveryFailed("gateway.down")
        assert await notices.settle(tx, notice.id, POLICY, state=NoticeState.QUEUED, failed=failed) == sent
    assert (world.db.rows("notices"), len(world.db.events)) == ([sent], events)


async def test_a_dead_letter_is_read_tried_again_and_erased_on_record(world: World) -> None:
    booked = await world.book()
    notice = await queued(world, booked)
    assert notice is not None
    nurse, envelope = Actor.staff(world.nurse), PlainEnvelope()
    with pytest.raises(NoticeClosed, match="queued"):
        async with world.db.begin() as tx:
            await notices.try_again(tx, notice, nurse)
    async with world.db.begin() as tx:
        gone = DeliveryFailed("number.unknown", final=True)
        dead = await notices.settle(tx, notice.id, POLICY, state=NoticeState.SENT, failed=gone)
    assert (dead.state, dead.last_code, dead.next_try_at, dead.held) == (
        NoticeState.DEAD, "number.unknown", None, True,
    )  # fmt: skip
    async with world.db.begin() as tx:
        letter = await notices.reveal(tx, envelope, await tx.notices.get(notice.id), nurse)
        again = await notices.try_again(tx, await tx.notices.get(notice.id), nurse)
    assert (letter.address, letter.url) == ("13900000000", "https://x/p#s")
    assert (again.state, again.attempts, again.next_try_at) == (NoticeState.QUEUED, 0, world.clock())
    async with world.db.begin() as tx:
        await notices.erase(tx, await tx.notices.get(notice.id))
    (kept,) = world.db.rows("notices")
    assert (kept.content, kept.held) == ("", False)
    with pytest.raises(NoticeClosed):
        notices.letter_of(kept, envelope)
    codes = [event.code for event in world.db.events if event.subject_id == booked.patient_seat.id]
    assert codes[-4:] == [
        EventCode.NOTICE_DEAD, EventCode.NOTICE_REVEALED, EventCode.NOTICE_QUEUED, EventCode.NOTICE_ERASED,
    ]  # fmt: skip
    assert all("13900000000" not in str(event) for event in world.db.events)
    with pytest.raises(NoticeClosed, match="dead"):
        async with world.db.begin() as tx:
            await notices.try_again(tx, replace(kept, state=NoticeState.DEAD), nurse)


async def test_one_reminder_at_a_time_and_each_at_its_time(world: World) -> None:
    start = START + timedelta(days=3)
    consult = (await world.book(starts_at=start, ends_at=start + timedelta(minutes=20))).consult
    found = []
    for minute in range(0, 3 * 1440 + 10, 5):
        reminder = due(consult, consult.created_at, START + timedelta(minutes=minute), POLICY)
        if reminder is not None and reminder.key not in found:
            found.append(reminder.key)
    stamp = int(start.timestamp())
    assert found == [f"{name}:{stamp}" for name in ("first", "second", "third")]
    assert horizon(POLICY) == timedelta(days=1)


@pytest.mark.parametrize("status", [each for each in ConsultStatus if each is not ConsultStatus.SCHEDULED])
async def test_nobody_is_reminded_of_what_is_not_to_come(world: World, status: ConsultStatus) -> None:
    start = START + timedelta(minutes=30)
    consult = (await world.book(starts_at=start, ends_at=start + timedelta(minutes=20))).consult
    early = START - timedelta(days=2)
    assert due(consult, early, START, POLICY) is not None
    assert due(replace(consult, status=status), early, START, POLICY) is None
    assert due(consult, START - timedelta(minutes=1), START, POLICY) is None, "booked after the hour-before"
    assert due(consult, early, start, POLICY) is None, "begun"


@given(st.integers(0, 5000), st.integers(-5000, 5000))
def test_a_reminder_is_never_sent_before_its_time_or_after_the_start(booked_before: int, now_after: int) -> None:
    from clinic.consult import Consult
    from tests.store.samples import sample

    consult = sample(Consult, "c1", status=ConsultStatus.SCHEDULED, starts_at=START)
    now = START + timedelta(minutes=now_after)
    found = due(consult, START - timedelta(minutes=booked_before), now, POLICY)
    if found is not None:
        assert found.at <= now < START
        assert found.at > START - timedelta(minutes=booked_before)
        later = [each for each in schedule(START, POLICY) if found.at < each.at <= now]
        assert later == []
    assert tuple(each.name for each in schedule(START, POLICY)) == reminders.NAMES
