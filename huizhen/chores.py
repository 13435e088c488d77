"""What the server does by itself: signatures on the trail, forgotten consults, ended sessions, due records."""

from datetime import datetime

from archive import intake, purge, retention
from audit.events import EventCode
from audit.transaction import AuditEvent, Database
from clinic.actor import Actor
from clinic.panels import lateness, settling
from consent import written
from huizhen import logs
from huizhen.jobs import Job
from huizhen.services import Services
from huizhen.store.tables import StoreTransaction
from recording.records import RecordingState
from signaling import closing, seen, upkeep

log = logs.get("chores")

_CHECKPOINT_POLL = 5.0
_INTAKE_SECONDS = 60.0
_RECHECK_SECONDS = 10.0  # a licence that ends at midnight is seen before the next patient is let in
_REMINDER_SECONDS = 30.0
_OUTBOX_SECONDS = 5.0
_COPIES_SECONDS = 10.0
_LATE_SECONDS = 60.0  # opinions are late by hours
_REQUEST_SECONDS = 15.0  # an urgent request's time to answer is minutes


async def institutions(db: Database[StoreTransaction]) -> list[str]:
    async with db.read() as tx:
        return [row.id for row in await tx.institutions.find()]


async def take_in(db: Database[StoreTransaction], recording_id: str) -> None:
    """The sealed recording becomes a record of the archive, once."""
    async with db.begin() as tx:
        if not await tx.retained_records.find(subject_id=recording_id):
            await intake.on_recording_sealed(tx, recording_id)


def of(services: Services) -> list[Job]:
    """Every job of this server, with its pace."""
    return [
        *_of_trail(services),
        *_of_consults(services),
        *_of_panels(services),
        *_of_messages(services),
        *_of_records(services),
    ]


def _of_trail(services: Services) -> list[Job]:
    settings = services.settings
    whole = True  # the first pass looks at every consent: some may have waited while the server was down

    async def checkpoint() -> None:
        try:
            await services.checkpoints.sign_due()
        except Exception as error:
            services.health.alarm("audit", getattr(error, "code", "audit.error"))
            raise
        services.health.clear("audit")

    async def attest() -> None:
        nonlocal whole
        await services.papers.attest_open(everything=whole)
        whole = False

    return [
        Job("checkpoint", min(_CHECKPOINT_POLL, settings.checkpoint_seconds), checkpoint, at_once=True),
        Job("attestations", settings.attest_seconds, attest, at_once=True),
    ]


def _of_consults(services: Services) -> list[Job]:
    settings = services.settings

    async def sweep() -> None:
        ended = await upkeep.sweep(services.live, services.clock(), await institutions(services.db))
        if ended:
            log.info("forgotten consults ended", count=len(ended))

    async def recheck() -> None:
        turned = await seen.recheck(services.live)
        if turned:
            log.info("verdicts turned while people wait", count=turned)

    async def expire() -> None:
        ended = await services.staff_door.expire() + await services.link_door.expire()
        if ended:
            log.info("sessions ended", count=ended)

    async def requests() -> None:
        moved = await follow_requests(services)
        if moved:
            log.info("requests between institutions followed", count=moved)

    async def expire_uploads() -> None:
        ended = await services.arrivals.expire()
        if ended:
            log.info("unfinished uploads removed", count=ended)

    return [
        Job("requests", _REQUEST_SECONDS, requests, at_once=True),
        Job("uploads", settings.sweep_seconds, expire_uploads),
        Job("sweep", settings.sweep_seconds, sweep, at_once=True),
        Job("recheck", _RECHECK_SECONDS, recheck),
        Job("sessions", settings.sweep_seconds, expire),
    ]


def _of_panels(services: Services) -> list[Job]:
    """What closing or being late set going; each pass goes on where a crash left the rows."""

    async def copies() -> None:
        made = await services.outcome.make_due()
        if made:
            log.info("consults copied", count=made)

    async def late() -> None:
        for institution_id in await institutions(services.db):
            async with services.db.begin() as tx:
                await lateness.chase(tx, institution_id)

    async def attest() -> None:
        await services.outcome.attest_open()

    return [
        Job("copies", _COPIES_SECONDS, copies, at_once=True),
        Job("late-opinions", _LATE_SECONDS, late, at_once=True),
        Job("paper-attestations", services.settings.attest_seconds, attest),
    ]


def _of_messages(services: Services) -> list[Job]:
    async def remind() -> None:
        for institution_id in await institutions(services.db):
            await services.outbox.remind(institution_id, services.clock())
        await services.outbox.erase_over()

    async def remind_staff() -> None:
        for institution_id in await institutions(services.db):
            await services.outbox.remind_staff(institution_id, services.base_url())

    async def deliver() -> None:
        await services.outbox.deliver_due(services.clock())

    return [
        Job("reminders", _REMINDER_SECONDS, remind, at_once=True),
        Job("staff-messages", _REMINDER_SECONDS, remind_staff, at_once=True),
        Job("outbox", _OUTBOX_SECONDS, deliver, at_once=True),
    ]


def _of_records(services: Services) -> list[Job]:
    scan_seconds = services.settings.retention_hours * 3600

    async def archive_intake() -> None:
        async with services.db.read() as tx:
            sealed = await tx.recordings.find(state=RecordingState.SEALED)
            known = {row.subject_id for row in await tx.retained_records.find()}
        for recording in sealed:
            if recording.id not in known:
                await take_in(services.db, recording.id)

    async def due() -> None:
        for institution_id in await institutions(services.db):
            await scan(services, institution_id, services.clock())

    async def resume_purges() -> None:
        for institution_id in await institutions(services.db):
            await finish_purges(services, institution_id)

    return [
        Job("archive-intake", _INTAKE_SECONDS, archive_intake, at_once=True),
        Job("retention", scan_seconds, due, at_once=True),
        Job("purge", scan_seconds, resume_purges, at_once=True),
    ]


async def scan(services: Services, institution_id: str, now: datetime) -> int:
    """What became due, put on record when it is anything. Returns how many."""
    async with services.db.read() as tx:
        found = await retention.due_list(tx, institution_id)
    if found:
        async with services.db.begin() as tx:
            public = {"count": len(found), "blocked": sum(bool(each.blocked_by) for each in found)}
            await tx.append(AuditEvent(EventCode.RETENTION_DUE, institution_id, "system", public=public))
    log.info("retention scan", institution=institution_id, count=len(found))
    return len(found)


async def finish_purges(services: Services, institution_id: str) -> None:
    """Purges a crash interrupted go on where they were."""
    async with services.db.read() as tx:
        waiting = await purge.unfinished(tx, institution_id)
    for disposal_id in waiting:
        await purge.purge(services.db, services.keyring, services.blobs, services.sealer, disposal_id)


async def follow_requests(services: Services) -> int:
    """What the clock does to requests that wait for an answer: reminders, and the end of their time. How many."""
    async with services.db.read() as tx:
        due = await settling.due(tx)
    for request in due:
        async with services.db.begin() as tx:
            if await settling.expire(tx, request.id) is None:
                await settling.remind(tx, request.id)
            await written.advance(tx, request.consult_id, Actor.system(request.institution_id))
        await closing.consult_changed(services.live, request.consult_id)
    return len(due)
