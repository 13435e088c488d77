"""Patient and guest links: 128 bits in the URL fragment, redeemed by POST on a tap.

A redeemed link opens on another device only with a second factor.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent, Database
from clinic.consult import Seat, SeatState
from clinic.people import Role
from huizhen.auth import secret
from huizhen.auth.errors import (
    AuthError,
    LinkExpired,
    LinkLocked,
    LinkUnknown,
    SecondFactorRequired,
    SessionRequired,
)
from huizhen.auth.limiter import Attempts
from huizhen.auth.rows import DeviceSession, JoinLink
from huizhen.settings import Settings
from huizhen.store.tables import StoreTransaction

MAX_FAILURES = 5
_SECRET = re.compile(r"[A-Za-z0-9_-]{20,64}\Z")


@dataclass(frozen=True, slots=True)
class Issued:
    """A new link. `secret` and `code` are told once and kept nowhere."""

    secret: str
    code: str | None  # guests: what another device will be asked; patients use the last four of their id number
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SeatCaller:
    """Who is behind a request with a valid hz_device cookie."""

    seat: Seat
    device: DeviceSession
    csrf: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    cookie: str
    caller: SeatCaller


@dataclass(frozen=True, slots=True)
class _Attempt:
    secret: str
    factor: str | None
    cookie: str | None


class LinkDoor:
    """Links and the devices that opened them."""

    def __init__(self, db: Database[StoreTransaction], attempts: Attempts, settings: Settings) -> None:
        self._db = db
        self._attempts = attempts
        self._link_life = timedelta(days=settings.link_days)
        self._device_life = timedelta(days=settings.device_days)

    async def issue(self, tx: StoreTransaction, seat: Seat, actor_id: str) -> Issued:
        """A link for this seat; an earlier one, and the devices it opened, end. Appends its events."""
        await self.revoke(tx, seat, actor_id)
        link_secret = secret.mint()
        patient = seat.role is Role.PATIENT
        code = None if patient else secret.mint_code()
        link = JoinLink(
            id=secret.fingerprint(link_secret),
            institution_id=seat.institution_id,
            consult_id=seat.consult_id,
            seat_id=seat.id,
            ask="id_last4" if patient else "code",
            code_hash=secret.code_fingerprint(link_secret, code) if code else None,
            created_at=tx.now,
            created_by=actor_id,
            expires_at=tx.now + self._link_life,
        )
        await tx.join_links.add(link)
        await self._event(tx, EventCode.LINK_ISSUED, seat, actor_id)
        return Issued(link_secret, code, link.expires_at)

    async def revoke(self, tx: StoreTransaction, seat: Seat, actor_id: str) -> None:
        """End the seat's links and the devices they opened."""
        live = [link for link in await tx.join_links.find(seat_id=seat.id) if link.revoked_at is None]
        for link in live:
            await tx.join_links.save(replace(link, revoked_at=tx.now))
        for device in await tx.device_sessions.find(seat_id=seat.id):
            await tx.device_sessions.remove(device.id)
        if live:
            await self._event(tx, EventCode.LINK_REVOKED, seat, actor_id)

    async def redeem(
        self, link_secret: str, second_factor: str | None, source: str, cookie: str | None = None
    ) -> Redeemed:
        """Open the link on this browser. `cookie` = the device cookie it already has.

        Raises LinkUnknown, LinkExpired, LinkLocked, SecondFactorRequired, TooManyAttempts.
        """
        link_id = secret.fingerprint(link_secret)
        self._attempts.check("link", source, link_id)
        if not _SECRET.match(link_secret):
            self._attempts.failed("link", source, link_id)
            raise LinkUnknown
        attempt = _Attempt(link_secret, second_factor, cookie)
        refusal: AuthError | None = None
        async with self._db.begin() as tx:
            link = next(iter(await tx.join_links.find(id=link_id)), None)
            if link is not None and link.revoked_at is None:
                seat = await tx.seats.get(link.seat_id)
                refusal = await self._refusal(tx, link, seat, attempt)
                if refusal is None:
                    return await self._open(tx, link, seat, cookie)
        if not (isinstance(refusal, SecondFactorRequired) and second_factor is None):  # being asked is not a failure
            self._attempts.failed("link", source, link_id)
        raise refusal or LinkUnknown()

    async def caller(self, cookie: str | None) -> SeatCaller:
        """The seat behind the device cookie. Raises SessionRequired."""
        if cookie is None or not _SECRET.match(cookie):
            raise SessionRequired
        async with self._db.read() as tx:
            device = await self._device(tx, cookie)
            if device is None:
                raise SessionRequired
            try:
                seat = await tx.seats.get(device.seat_id)
            except MissingRow:
                raise SessionRequired from None
        if seat.state is SeatState.REMOVED:
            raise SessionRequired
        return SeatCaller(seat, device, secret.csrf_of(cookie))

    async def expire(self) -> int:
        """Remove devices and links whose time is over; returns how many."""
        async with self._db.begin() as tx:
            devices = [row.id for row in await tx.device_sessions.find() if row.expires_at <= tx.now]
            links = [row.id for row in await tx.join_links.find() if row.expires_at + self._device_life <= tx.now]
            for device_id in devices:
                await tx.device_sessions.remove(device_id)
            for link_id in links:
                await tx.join_links.remove(link_id)
        return len(devices) + len(links)

    async def _refusal(self, tx: StoreTransaction, link: JoinLink, seat: Seat, attempt: _Attempt) -> AuthError | None:
        if seat.state is SeatState.REMOVED:
            return LinkUnknown()
        if link.expires_at <= tx.now:
            return LinkExpired()
        device = await self._device(tx, attempt.cookie)
        if link.redeemed_at is None or (device is not None and device.seat_id == seat.id):
            return None
        return await self._second_factor(tx, link, seat, attempt)

    async def _second_factor(
        self, tx: StoreTransaction, link: JoinLink, seat: Seat, attempt: _Attempt
    ) -> AuthError | None:
        if link.failures >= MAX_FAILURES:
            return LinkLocked()
        if attempt.factor is None:
            return SecondFactorRequired(link.ask)
        if await self._factor_holds(tx, link, seat, attempt):
            return None
        await tx.join_links.save(replace(link, failures=link.failures + 1))
        await self._event(tx, EventCode.LINK_REFUSED, seat, "anonymous", SecondFactorRequired.code)
        return SecondFactorRequired(link.ask)

    @staticmethod
    async def _factor_holds(tx: StoreTransaction, link: JoinLink, seat: Seat, attempt: _Attempt) -> bool:
        factor = (attempt.factor or "").strip().upper()
        if link.code_hash is not None:
            return secret.same(secret.code_fingerprint(attempt.secret, factor), link.code_hash)
        if seat.person_id is None:
            return False
        patient = await tx.patients.get(seat.person_id)
        return len(patient.id_number) >= 4 and secret.same(patient.id_number[-4:].upper(), factor)

    async def _open(self, tx: StoreTransaction, link: JoinLink, seat: Seat, former: str | None) -> Redeemed:
        before = await self._device(tx, former)
        if before is not None:  # session rotation: the cookie a browser came with is worth nothing afterwards
            await tx.device_sessions.remove(before.id)
        cookie = secret.mint()
        same_person = before is not None and before.seat_id == seat.id
        # the owner opening it again by cookie must not give whoever guesses factors elsewhere five more tries
        failures = link.failures if same_person else 0
        device = DeviceSession(
            id=secret.fingerprint(cookie),
            institution_id=seat.institution_id,
            consult_id=seat.consult_id,
            seat_id=seat.id,
            link_id=link.id,
            created_at=tx.now,
            expires_at=tx.now + self._device_life,
            identity_confirmed_at=before.identity_confirmed_at if before and same_person else None,
            device_checked_at=before.device_checked_at if before and same_person else None,
        )
        await tx.device_sessions.add(device)
        await tx.join_links.save(replace(link, redeemed_at=link.redeemed_at or tx.now, failures=failures))
        await self._event(tx, EventCode.LINK_REDEEMED, seat, seat.id)
        return Redeemed(cookie, SeatCaller(seat, device, secret.csrf_of(cookie)))

    @staticmethod
    async def _device(tx: StoreTransaction, cookie: str | None) -> DeviceSession | None:
        if cookie is None:
            return None
        device = next(iter(await tx.device_sessions.find(id=secret.fingerprint(cookie))), None)
        return device if device is not None and device.expires_at > tx.now else None

    @staticmethod
    async def _event(tx: StoreTransaction, code: EventCode, seat: Seat, actor_id: str, outcome: str = "ok") -> None:
        await tx.append(
            AuditEvent(code, seat.institution_id, actor_id, seat.consult_id, subject_id=seat.id, outcome=outcome)
        )
