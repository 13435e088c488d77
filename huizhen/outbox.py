"""Messages on their way: sealed at rest, handed to the one notifier, tried again, and reminders at their time.

The embedded notifier hands nothing to anybody: it leaves each message in the outbox page, for a person to pass on.
"""

import base64
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import StaleRow
from audit.transaction import Database
from clinic import notices, reminders
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, Seat, SeatState
from clinic.errors import NoAddress, NoticeClosed
from clinic.notices import (
    Bound,
    Channel,
    DeliveryFailed,
    Letter,
    NewNotice,
    Notice,
    NoticeKind,
    NoticeState,
    Notifier,
)
from clinic.overlays import rules_for
from clinic.panels import reminding
from clinic.panels.reminding import Wanted
from clinic.people import Role
from huizhen import logs, masks
from huizhen.store.keys import replace_file
from huizhen.store.tables import StoreTransaction

log = logs.get("outbox")

_NONCE = 12
_KEY_BYTES = 32
_BATCH = 100  # letters of one pass


class SealedEnvelope:
    """clinic.notices.Envelope: AES-256-GCM under a key file, each content bound to its notice."""

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    @classmethod
    def in_folder(cls, folder: Path) -> "SealedEnvelope":
        """With the installation's key, made once."""
        path = folder / "outbox.key"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, os.urandom(_KEY_BYTES))
        return cls(path.read_bytes())

    def close(self, notice_id: str, plain: bytes) -> str:
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._key.encrypt(nonce, plain, notice_id.encode())).decode()

    def open(self, notice_id: str, sealed: str) -> bytes:
        """Raises NoticeClosed when the content belongs to another notice or key (an old backup)."""
        raw = base64.b64decode(sealed)
        try:
            return self._key.decrypt(raw[:_NONCE], raw[_NONCE:], notice_id.encode())
        except InvalidTag:
            raise NoticeClosed("unreadable") from None


class OutboxNotifier:
    """The embedded default: every letter waits in the outbox for a person."""

    async def deliver(self, letter: Letter) -> NoticeState:
        del letter
        return NoticeState.FOR_STAFF


@dataclass(frozen=True, slots=True)
class Addressed:
    """What to say to whom. An empty address: the patient's phone, on the SMS channel."""

    kind: NoticeKind
    key: str
    channel: Channel
    locale: str
    address: str = ""
    url: str = ""


class Outbox:
    """Owns nothing that runs: the jobs of `huizhen.chores` call `deliver_due` and `remind`."""

    def __init__(self, db: Database[StoreTransaction], notifier: Notifier, envelope: SealedEnvelope) -> None:
        self._db = db
        self._notifier = notifier
        self.envelope = envelope

    async def queue(self, tx: StoreTransaction, consult: Consult, new: Addressed, by: Actor) -> Notice | None:
        """A message to the consult's patient. None when it was queued before. Raises NoAddress."""
        seat = await patient_seat(tx, consult)
        address, hint = await self._address(tx, consult, new)
        notice = NewNotice(new.kind, new.key, new.channel, address, hint, new.locale, new.url)
        return await notices.queue(tx, self.envelope, notice, by, consult=consult, seat=seat)

    @staticmethod
    async def _address(tx: StoreTransaction, consult: Consult, new: Addressed) -> tuple[str, str]:
        address = new.address.strip()
        if not address and new.channel is Channel.SMS:
            address = (await tx.patients.get(consult.patient_id)).phone
        if not address:
            raise NoAddress()
        return address, masked(address)

    async def follow(self, tx: StoreTransaction, consult: Consult, kind: NoticeKind, key: str, by: Actor) -> None:
        """Tell a patient who was invited by message, the same way, that something changed. Others are told by phone."""
        last = await self.last_invitation(tx, consult)
        if last is None:
            return
        notice, letter = last
        address = letter.address if letter is not None else ""
        new = Addressed(kind, key, notice.channel, notice.locale, address)
        if not address and notice.channel is not Channel.SMS:
            return  # erased with the content after sending; only a phone number is known otherwise
        await self.queue(tx, consult, new, by)

    async def last_invitation(self, tx: StoreTransaction, consult: Consult) -> tuple[Notice, Letter | None] | None:
        """The patient's latest invitation, and its content while it is still there and its link still opens."""
        found = [each for each in await tx.notices.find(consult_id=consult.id) if each.kind is NoticeKind.INVITATION]
        if not found:
            return None
        try:
            return found[-1], notices.letter_of(found[-1], self.envelope)
        except NoticeClosed:
            return found[-1], None

    async def remind(self, institution_id: str, now: datetime) -> int:
        """Queue every reminder that is due, each once, over restarts and two servers alike. Returns how many."""
        queued = 0
        async with self._db.read() as tx:
            policy = rules_for(await tx.institutions.get(institution_id), now)
            coming = await tx.consults.find(institution_id=institution_id, status=ConsultStatus.SCHEDULED)
        until = now + reminders.horizon(policy)
        for consult in coming:
            if not now < consult.starts_at <= until or reminders.due(consult, consult.created_at, now, policy) is None:
                continue
            try:
                queued += await self._remind(consult.id)
            except (StaleRow, NoAddress) as error:  # another server was faster, or there is nowhere to send it
                log.info("reminder not queued", consult=consult.id, code=error.code)
        return queued

    async def _remind(self, consult_id: str) -> bool:
        """Decided once more inside the transaction that writes it."""
        async with self._db.read() as tx:
            consult = await tx.consults.get(consult_id)
            policy = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
            due = reminders.due(consult, consult.created_at, tx.now, policy)
            seat = await patient_seat(tx, consult)
            if due is None or await tx.notices.find(id=notices.notice_id(seat.id, NoticeKind.REMINDER, due.key)):
                return False
        async with self._db.begin() as tx:
            consult = await tx.consults.get(consult_id)
            due = reminders.due(consult, consult.created_at, tx.now, policy)
            if due is None:
                return False
            last = await self.last_invitation(tx, consult)
            channel, locale, address, url = Channel.SMS, "zh", "", ""
            if last is not None:
                notice, letter = last
                locale = notice.locale
                if letter is not None:
                    channel, address = notice.channel, letter.address
                    url = letter.url if await self._opens(tx, seat, notice) else ""
            new = Addressed(NoticeKind.REMINDER, due.key, channel, locale, address, url)
            return await self.queue(tx, consult, new, Actor.system(consult.institution_id)) is not None

    @staticmethod
    async def _opens(tx: StoreTransaction, seat: Seat, notice: Notice) -> bool:
        """Whether the invitation's link is still the seat's: a newer link ends the earlier one."""
        links = [link for link in await tx.join_links.find(seat_id=seat.id) if link.revoked_at is None]
        return any(link.created_at <= notice.queued_at and link.expires_at > tx.now for link in links)

    async def remind_staff(self, institution_id: str, base_url: str) -> int:
        """Queue what staff are owed about this house's panels, each once (`clinic.panels.reminding`). How many."""
        queued = 0
        async with self._db.read() as tx:
            consults = [await tx.consults.get(each) for each in await reminding.concerned(tx, institution_id)]
            owed = [(each, await self._unsent(tx, each)) for each in consults]
        for consult, wanted in owed:
            if not wanted:
                continue
            try:
                async with self._db.begin() as tx:
                    for one in await self._unsent(tx, await tx.consults.get(consult.id)):
                        queued += await self._tell_staff(tx, consult, one, base_url)
            except StaleRow as error:  # another server was faster
                log.info("message to staff not queued", consult=consult.id, code=error.code)
        return queued

    @staticmethod
    async def _unsent(tx: StoreTransaction, consult: Consult) -> list[Wanted]:
        sent = {(row.seat_id, row.kind, row.key) for row in await tx.notices.find(consult_id=consult.id)}
        wanted = await reminding.of_consult(tx, consult)
        return [each for each in wanted if (each.staff_id, each.kind, each.key) not in sent]

    async def _tell_staff(self, tx: StoreTransaction, consult: Consult, one: Wanted, base_url: str) -> bool:
        """By the house's own messenger, to the account."""
        person, asking = await tx.staff.get(one.staff_id), await tx.institutions.get(consult.institution_id)
        home = await tx.institutions.get(person.institution_id)
        url = f"{base_url}{one.page}"
        said = notices.compose_for_staff(one.kind, asking, one.until, home.time_zone, url)
        hint = f"{person.login[:1]}***"
        new = NewNotice(one.kind, one.key, Channel.ACCOUNT, person.login, hint, notices.LOCALES[0], url)
        to = Bound(home.id, consult.id, person.id)
        return await notices.put(tx, self.envelope, new, to, said, Actor.system(home.id)) is not None

    async def deliver_due(self, now: datetime) -> int:
        """One pass over what waits to be handed over; how many were tried. Acts outside of any transaction."""
        async with self._db.read() as tx:
            queued = await tx.notices.find(state=NoticeState.QUEUED)
        due = [each for each in queued if each.next_try_at is not None and each.next_try_at <= now][:_BATCH]
        for notice in due:
            await self._deliver(notice.id)
        return len(due)

    async def erase_over(self) -> int:
        """Contents of visits that are over; how many were erased."""
        async with self._db.read() as tx:
            held = await tx.notices.find(held=True)
            over = [each.id for each in held if await self._needless(tx, each)]
        for notice_id in over:
            async with self._db.begin() as tx:
                notice = await tx.notices.get(notice_id)
                if notice.held and notice.state is not NoticeState.QUEUED:
                    await notices.erase(tx, notice)
        return len(over)

    @staticmethod
    async def _needless(tx: StoreTransaction, notice: Notice) -> bool:
        """Nobody needs the content any more."""
        consult = await tx.consults.get(notice.consult_id)
        if notice.kind in notices.TO_STAFF:
            return not await _still_true(tx, notice, consult)
        return consult.over

    async def _deliver(self, notice_id: str) -> None:
        async with self._db.read() as tx:
            notice = await tx.notices.get(notice_id)
            policy = rules_for(await tx.institutions.get(notice.institution_id), tx.now)
            still = await _still_true(tx, notice, await tx.consults.get(notice.consult_id))
        state, failed = NoticeState.DROPPED, None
        if still:
            try:
                state = await self._notifier.deliver(notices.letter_of(notice, self.envelope))
            except DeliveryFailed as error:
                failed = error
            except NoticeClosed as error:
                failed = DeliveryFailed(error.code, final=True)
            except Exception as error:  # a gateway's own defect is a failed try, not the end of the pass
                log.warning("notifier failed", notice=notice_id, error=type(error).__name__)
                failed = DeliveryFailed("notice.gateway_failed")
        async with self._db.begin() as tx:
            await notices.settle(tx, notice_id, policy, state=state, failed=failed)


async def _still_true(tx: StoreTransaction, notice: Notice, consult: Consult) -> bool:
    """Nobody is invited to, or reminded of, what was cancelled, moved, answered or is over."""
    if notice.kind in notices.TO_STAFF:
        wanted = await reminding.of_consult(tx, consult)
        return any((each.staff_id, each.kind, each.key) == (notice.seat_id, notice.kind, notice.key) for each in wanted)
    if notice.kind is NoticeKind.REMINDER:
        return consult.status is ConsultStatus.SCHEDULED and notice.key.endswith(
            f":{int(consult.starts_at.timestamp())}"
        )
    return notice.kind is NoticeKind.CANCELLED or consult.media_open


async def patient_seat(tx: StoreTransaction, consult: Consult) -> Seat:
    seats = await tx.seats.find(consult_id=consult.id)
    return next(seat for seat in seats if seat.role is Role.PATIENT and seat.state is not SeatState.REMOVED)


def masked(address: str) -> str:
    """138****0000; z***@example.org; another identifier is hidden but for its ends."""
    name, at, host = address.partition("@")
    return f"{name[:1]}***@{host}" if at else masks.phone(address)
