"""Staff at the console: login, session, step-up, logout."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent, Database
from clinic.attesting import authenticated
from clinic.people import AccountState, Staff
from huizhen.auth import secret
from huizhen.auth.errors import LoginRefused, LoginTaken, SessionRequired, StepUpRefused, StepUpRequired
from huizhen.auth.limiter import Attempts
from huizhen.auth.passwords import Passwords
from huizhen.auth.rows import StaffCredential, StaffSession
from huizhen.settings import Settings
from huizhen.store.tables import StoreTransaction

_SEEN_EVERY = timedelta(minutes=1)  # a write per request would make every read a write
_SECRET = re.compile(r"[A-Za-z0-9_-]{20,64}\Z")


@dataclass(frozen=True, slots=True)
class StaffCaller:
    """Who is behind a request with a valid hz_staff cookie."""

    staff: Staff
    session: StaffSession
    csrf: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh login: `cookie` goes to the browser and is known nowhere else."""

    cookie: str
    caller: StaffCaller


class StaffDoor:
    """Logins and sessions of staff. Passwords are checked outside transactions: hashing must not hold the writer."""

    def __init__(
        self, db: Database[StoreTransaction], passwords: Passwords, attempts: Attempts, settings: Settings
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._attempts = attempts
        self._idle = timedelta(minutes=settings.idle_minutes)
        self._longest = timedelta(hours=settings.session_hours)
        self._step_up = timedelta(minutes=settings.step_up_minutes)

    async def login(self, login: str, password: str, source: str, former_cookie: str | None = None) -> Opened:
        """Open a session, ending the one the browser came with. Raises LoginRefused, TooManyAttempts."""
        name = login.strip().lower()
        self._attempts.check("login", source, name)
        async with self._db.read() as tx:
            staff = next(iter(await tx.staff.find(login=name)), None)
            stored = await self._credential(tx, staff)
        right = await self._passwords.verify(
            stored.password_hash if stored else None, password, lambda: self._attempts.check("login", source, name)
        )
        if staff is None or not right or staff.state is not AccountState.ACTIVE:
            self._attempts.failed("login", source, name)
            if staff is not None:
                await self._note(EventCode.AUTH_LOGIN_REFUSED, staff, LoginRefused.code)
            raise LoginRefused
        cookie = secret.mint()
        async with self._db.begin() as tx:
            await self._forget(tx, former_cookie)
            session = StaffSession(secret.fingerprint(cookie), staff.institution_id, staff.id, tx.now, tx.now)
            await tx.staff_sessions.add(session)
            await authenticated(tx, staff, "login")
            await tx.append(AuditEvent(EventCode.AUTH_LOGIN, staff.institution_id, staff.id, subject_id=staff.id))
        return Opened(cookie, StaffCaller(staff, session, secret.csrf_of(cookie)))

    async def caller(self, cookie: str | None) -> StaffCaller:
        """The person behind the cookie; moves the idle clock. Raises SessionRequired."""
        if cookie is None or not _SECRET.match(cookie):
            raise SessionRequired
        async with self._db.read() as tx:
            session, staff = await self._session(tx, cookie)
            now = tx.now
        if now - session.seen_at > _SEEN_EVERY:
            async with self._db.begin() as tx:
                session, _ = await self._session(tx, cookie)
                session = replace(session, seen_at=tx.now)
                await tx.staff_sessions.save(session)
        return StaffCaller(staff, session, secret.csrf_of(cookie))

    async def logout(self, cookie: str, caller: StaffCaller) -> None:
        async with self._db.begin() as tx:
            await self._forget(tx, cookie)
            await tx.append(
                AuditEvent(
                    EventCode.AUTH_LOGOUT, caller.staff.institution_id, caller.staff.id, subject_id=caller.staff.id
                )
            )

    async def step_up(self, caller: StaffCaller, password: str, source: str) -> datetime:
        """Check the password again; returns until when it counts. Raises StepUpRefused, TooManyAttempts."""
        self._attempts.check("login", source, caller.staff.login)
        async with self._db.read() as tx:
            stored = await self._credential(tx, caller.staff)
        if not await self._passwords.verify(
            stored.password_hash if stored else None,
            password,
            lambda: self._attempts.check("login", source, caller.staff.login),
        ):
            self._attempts.failed("login", source, caller.staff.login)
            await self._note(EventCode.AUTH_STEP_UP, caller.staff, StepUpRefused.code)
            raise StepUpRefused
        async with self._db.begin() as tx:
            session = await self._row(tx, caller.session.id)
            await tx.staff_sessions.save(replace(session, stepped_up_at=tx.now))
            await authenticated(tx, caller.staff, "step_up")  # CN-04: what a doctor's next reception rests on
            await tx.append(AuditEvent(EventCode.AUTH_STEP_UP, session.institution_id, caller.staff.id))
            return tx.now + self._step_up

    def step_up_until(self, caller: StaffCaller, now: datetime) -> datetime | None:
        """Until when the repeated password counts; None when it does not (any more)."""
        at = caller.session.stepped_up_at
        return at + self._step_up if at is not None and now < at + self._step_up else None

    def require_step_up(self, caller: StaffCaller, now: datetime) -> datetime:
        """When the password was repeated. Raises StepUpRequired."""
        if self.step_up_until(caller, now) is None or caller.session.stepped_up_at is None:
            raise StepUpRequired
        return caller.session.stepped_up_at

    async def hash_password(self, password: str) -> str:
        """PHC string, made before a transaction is opened. Raises PasswordTooWeak."""
        return await self._passwords.hash(password)

    async def set_password(self, tx: StoreTransaction, staff: Staff, password_hash: str) -> None:
        """Store a new verifier and end every session of the account. The caller appends the covering event."""
        row = StaffCredential(staff.id, staff.institution_id, password_hash, tx.now)
        if await self._credential(tx, staff) is None:
            await tx.staff_credentials.add(row)
        else:
            await tx.staff_credentials.save(row)
        await self.end_sessions(tx, staff.id)

    async def end_sessions(self, tx: StoreTransaction, staff_id: str) -> None:
        for session in await tx.staff_sessions.find(staff_id=staff_id):
            await tx.staff_sessions.remove(session.id)

    async def require_free(self, tx: StoreTransaction, login: str) -> None:
        """Raises LoginTaken."""
        if await tx.staff.find(login=login.strip().lower()):
            raise LoginTaken

    async def expire(self) -> int:
        """Remove sessions that ended by themselves; returns how many."""
        async with self._db.read() as tx:
            ended = [session.id for session in await tx.staff_sessions.find() if not self._alive(session, tx.now)]
        for session_id in ended:
            async with self._db.begin() as tx:
                if await tx.staff_sessions.find(id=session_id):
                    await tx.staff_sessions.remove(session_id)
        return len(ended)

    def _alive(self, session: StaffSession, now: datetime) -> bool:
        return now - session.seen_at < self._idle and now - session.created_at < self._longest

    async def _session(self, tx: StoreTransaction, cookie: str) -> tuple[StaffSession, Staff]:
        session = await self._row(tx, secret.fingerprint(cookie))
        if not self._alive(session, tx.now):
            raise SessionRequired
        staff = await tx.staff.get(session.staff_id)
        if staff.state is not AccountState.ACTIVE:
            raise SessionRequired
        return session, staff

    @staticmethod
    async def _row(tx: StoreTransaction, session_id: str) -> StaffSession:
        try:
            return await tx.staff_sessions.get(session_id)
        except MissingRow:
            raise SessionRequired from None

    @staticmethod
    async def _credential(tx: StoreTransaction, staff: Staff | None) -> StaffCredential | None:
        return next(iter(await tx.staff_credentials.find(id=staff.id)), None) if staff else None

    @staticmethod
    async def _forget(tx: StoreTransaction, cookie: str | None) -> None:
        if cookie is not None and await tx.staff_sessions.find(id=secret.fingerprint(cookie)):
            await tx.staff_sessions.remove(secret.fingerprint(cookie))

    async def _note(self, code: EventCode, staff: Staff, outcome: str) -> None:
        async with self._db.begin() as tx:
            await tx.append(AuditEvent(code, staff.institution_id, "anonymous", subject_id=staff.id, outcome=outcome))
