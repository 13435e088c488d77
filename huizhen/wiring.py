"""The one place where the parts are put together, and the order in which they are closed.

Opening: database, checks of the log, media server, live consults, recorder, sockets. Closing is the reverse: sockets
are told, live consults end their timers, the recorder seals what it has, media stops, the database goes last.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import overlays
from clinic.actor import Actor
from clinic.consult import Seat
from consent.gate import ExamViews, GuestRefuses, LateJoiner, OnWithdrawal, RecordingPolicy, ResumeBy
from consent.house_policies import PolicyBook
from huizhen import chores, founding, health, logs
from huizhen.api import render
from huizhen.auth.clients import ClientDoor
from huizhen.auth.limiter import Attempts, RequestRate
from huizhen.auth.links import LinkDoor
from huizhen.auth.passwords import Passwords
from huizhen.auth.staff import StaffDoor
from huizhen.evidence.authorities import HttpCertificateSigner, HttpTimeStamper
from huizhen.evidence.certificates import DocumentKeys
from huizhen.evidence.office import Authorities, EvidenceOffice
from huizhen.evidence.press import Press
from huizhen.evidence_shelf import EvidenceShelf
from huizhen.headers import source_of
from huizhen.health import Health
from huizhen.images.arrivals import Arrivals, Bounds
from huizhen.images.arriving import installation_key
from huizhen.images.chamber import ImageChamber
from huizhen.images.pacs import Archives
from huizhen.images.pacs_book import read as read_pacs
from huizhen.images.shelf import ImageShelf
from huizhen.inspection.chamber import Chamber
from huizhen.inspection.clamd import scanner
from huizhen.inspection.intake import Intake
from huizhen.jobs import Jobs
from huizhen.metrics import Live as LiveFigures
from huizhen.metrics import LiveCounters, Metrics
from huizhen.outbox import Outbox, OutboxNotifier, SealedEnvelope
from huizhen.outcome.office import OutcomeOffice, Tools
from huizhen.outcome.vault import Vault
from huizhen.recording_rules import gate_of, stamp_of
from huizhen.services import Services
from huizhen.settings import Settings
from huizhen.sockets import SocketEdge
from huizhen.speech import SpeechShelf, voice_of
from huizhen.store.blobs import LocalBlobs
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase, utc_now
from huizhen.store.keys import replace_file
from huizhen.store.locker import KeyLocker
from huizhen.store.proofs import SqlProver
from huizhen.store.tables import StoreTransaction
from huizhen.tokens import TokenBook
from recording.playback import Playback
from recording.ports import RecorderPolicy, RecorderPorts
from recording.recorder import Recorder
from recording.records import Recording, RecordingState
from rtc.server import MediaConfig, MediaServer
from signaling import upkeep
from signaling.live import Live
from signaling.ports import InviteLink

log = logs.get("wiring")
Clock = Callable[[], datetime]

_MEBIBYTE = 1024 * 1024
_KEY_BYTES = 32
_IMAGES_AT_ONCE = 2  # deliveries arriving; each takes at most its limit in memory


@dataclass(slots=True)
class Parts:
    """Everything that runs, with one `close`."""

    settings: Settings
    database: SqlDatabase
    checkpoints: Checkpointer
    media: MediaServer
    recorder: Recorder
    live: Live
    tokens: TokenBook
    edge: SocketEdge
    jobs: Jobs
    services: Services
    address: "Address"
    _closed: bool = field(default=False)

    async def start(self) -> None:
        """After the application is set up: bring back what a former process left, then begin the housekeeping."""
        if self.live.policies is not None:
            await self.live.policies.load(self.database)
        await self.recorder.open()
        await self.recorder.recover()
        await self.services.evidence.sweep(self.database, await chores.institutions(self.database))
        await founding.complete_wording(self.database)
        await self.services.images.sweep(self.database, await chores.institutions(self.database))
        self.services.arrivals.load()
        await self.edge.start()
        await self.live.start()
        await upkeep.restore(self.live)
        await _note(self.database, EventCode.SERVER_STARTED)
        self.jobs.start(chores.of(self.services))

    async def quieten(self) -> None:
        """Tell the sockets and stop the clocks; media may still drain."""
        await self.jobs.close()
        await self.edge.close()
        await self.live.close("shutdown")

    async def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self.quieten()
        await self.recorder.close()
        await self.media.close()
        await _note(self.database, EventCode.SERVER_STOPPED)
        for institution_id in await chores.institutions(self.database):
            await self.checkpoints.sign(institution_id)
        await self.database.close()


@dataclass(slots=True)
class Address:
    """What links begin with: the public URL, or where the server came to listen."""

    url: str

    def __call__(self) -> str:
        return self.url


async def build(settings: Settings, clock: Clock = utc_now) -> Parts:
    """All parts, opened. Raises RulesInvalid, SchemaOutdated, KeysUnreadable, LogDiverged, PortTaken."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    overlays.adopt(settings.rules_path)
    database = await SqlDatabase.open(
        settings.database, settings.keys_path, clock=clock, deployment=settings.deployment, node=settings.node
    )
    try:
        checkpoints = Checkpointer(database, timedelta(seconds=settings.checkpoint_seconds))
        await checkpoints.check()
        media = await MediaServer.start(media_config(settings))
    except BaseException:
        await database.close()
        raise
    return _assemble(settings, clock, database, checkpoints, media)


def media_config(settings: Settings) -> MediaConfig:
    return MediaConfig(
        host=settings.media_host,
        host6=settings.media_host6,
        port=settings.media_port,
        announce=settings.media_announce,
        tcp=settings.media_tcp,
    )


def _assemble(
    settings: Settings, clock: Clock, database: SqlDatabase, checkpoints: Checkpointer, media: MediaServer
) -> Parts:
    metrics = Metrics()
    counters = LiveCounters(metrics.registry)
    address = Address(settings.public_url or "")
    attempts = Attempts(settings)
    links = LinkDoor(database, attempts, settings)
    policy = _recording_policy(settings)
    blobs = LocalBlobs(settings.blobs_path)
    evidence, images = _shelves(settings, database, blobs)
    live = Live(
        database,
        media,
        database.sealer,
        _link_issuer(links, address),
        clock=clock,
        counters=counters,
        policy=policy,
        policies=PolicyBook(policy),
    )
    recorder = _recorder(settings, clock, database, media, live=live, blobs=blobs)
    live.recorder = recorder
    recorder.on_changed = _recording_changed(database, live)
    papers = evidence_office(settings, clock, database, checkpoints)
    tokens = TokenBook(settings.deployment, device_key(settings.keys_path), clock)
    services = Services(
        settings=settings,
        clock=clock,
        db=database,
        sealer=database.sealer,
        keyring=database.keys,
        locker=KeyLocker(database.keys),
        blobs=blobs,
        live=live,
        tokens=tokens,
        staff_door=StaffDoor(database, Passwords(settings), attempts, settings),
        link_door=links,
        client_door=ClientDoor(database),
        rate=RequestRate(settings),
        metrics=metrics,
        health=_health(settings, metrics, database, media),
        checkpoints=checkpoints,
        playback=Playback(database, database.keys, blobs),
        evidence=evidence,
        papers=papers,
        outcome=outcome_office(settings, papers, blobs, database, address),
        outbox=Outbox(database, OutboxNotifier(), SealedEnvelope.in_folder(settings.keys_path)),
        speech=SpeechShelf(voice_of(settings.speech), blobs, settings.data_dir / "speech"),
        images=images,
        arrivals=_arrivals(settings, clock),
        archives=Archives(read_pacs(settings.pacs_file)),
        base_url=address,
    )
    metrics.watch(lambda: figures(live, recorder))
    edge = SocketEdge(
        live, tokens, allowed_origins(settings), counters, source=lambda request: source_of(request, settings)
    )
    return Parts(settings, database, checkpoints, media, recorder, live, tokens, edge, Jobs(metrics), services, address)


def _recording_policy(settings: Settings) -> RecordingPolicy:
    """The installation's answers; institutions may have their own."""
    return RecordingPolicy(
        OnWithdrawal(settings.other_withdraws),
        LateJoiner(settings.late_joiner),
        GuestRefuses(settings.guest_refuses),
        ExamViews(settings.exam_views),
        ResumeBy(settings.privacy_resume),
    )


def _shelves(settings: Settings, database: SqlDatabase, blobs: LocalBlobs) -> tuple[EvidenceShelf, ImageShelf]:
    """Photos and papers of both are opened in one chamber: its bound on children is the machine's."""
    place, chamber, scan = (blobs, database.keys, settings.uploads_path), Chamber(), scanner(settings.clamd_socket)
    evidence = EvidenceShelf(*place, intake=Intake(settings.upload_limit_mb * _MEBIBYTE), chamber=chamber, scanner=scan)
    intake = Intake(settings.image_limit_mb * _MEBIBYTE, _IMAGES_AT_ONCE)
    return evidence, ImageShelf(*place, intake=intake, chamber=ImageChamber(), papers=chamber, scanner=scan)


def _arrivals(settings: Settings, clock: Clock) -> Arrivals:
    bounds = Bounds(
        each=settings.image_limit_mb * _MEBIBYTE,
        total=settings.arriving_limit_mb * _MEBIBYTE,
        floor=settings.free_space_floor_mb * _MEBIBYTE,
        age=timedelta(hours=settings.arriving_hours),
    )
    return Arrivals(settings.arriving_path, installation_key(settings.keys_path), bounds, clock)


def evidence_office(
    settings: Settings, clock: Clock, database: SqlDatabase, checkpoints: Checkpointer
) -> EvidenceOffice:
    return EvidenceOffice(
        db=database,
        prover=SqlProver(database, checkpoints),
        sealer=database.sealer,
        press=Press(own_fonts=settings.font_dir, family=settings.font_family),
        documents=DocumentKeys(settings.keys_path),
        authorities=authorities(settings),
        clock=clock,
    )


def outcome_office(
    settings: Settings, papers: EvidenceOffice, blobs: LocalBlobs, database: SqlDatabase, address: Callable[[], str]
) -> OutcomeOffice:
    """Of the same press, certificates and authorities as the papers of consents."""
    tools = Tools(
        db=database,
        prover=papers.prover,
        sealer=papers.sealer,
        press=papers.press,
        documents=papers.documents,
        authorities=papers.authorities,
        vault=Vault(blobs, database.keys, settings.uploads_path),
        clock=papers.clock,
        base_url=address,
    )
    return OutcomeOffice(tools)


def authorities(settings: Settings) -> Authorities:
    """Those the settings name."""
    signer, stamper = None, None
    if settings.certificate_url is not None and settings.certificate_root is not None:
        signer = HttpCertificateSigner(settings.certificate_url, settings.certificate_root, settings.certificate_token)
    if settings.timestamp_url is not None and settings.timestamp_root is not None:
        stamper = HttpTimeStamper(settings.timestamp_url, settings.timestamp_root)
    return Authorities(signer, stamper)


def allowed_origins(settings: Settings) -> Sequence[str] | None:
    """None = the page's own origin. With a public URL behind a proxy the Host header may differ: named explicitly."""
    if settings.public_url is None and not settings.allowed_origins:
        return None
    return tuple(filter(None, (settings.public_url, *settings.allowed_origins)))


def _recorder(
    settings: Settings,
    clock: Clock,
    database: SqlDatabase,
    media: MediaServer,
    *,
    live: Live,
    blobs: LocalBlobs,
) -> Recorder:
    ports = RecorderPorts(
        db=database,
        room=media.room,
        present=live.present,
        keyring=database.keys,
        blobs=blobs,
        clock=clock,
        gate=gate_of(live.policy_of),
        stamp=stamp_of,
    )
    floor = settings.free_space_floor_mb * _MEBIBYTE
    return Recorder(ports, RecorderPolicy(spool=settings.spool_path, free_floor=floor))


def _recording_changed(database: SqlDatabase, live: Live) -> Callable[[Recording, str | None], Any]:
    """A sealed recording enters the archive, then the room is told. The job `archive-intake` repeats failures."""

    async def changed(recording: Recording, reason: str | None) -> None:
        if recording.state is RecordingState.SEALED:
            await chores.take_in(database, recording.id)
        await live.recording_changed(recording, reason)

    return changed


def _link_issuer(links: LinkDoor, address: Address) -> Callable[[StoreTransaction, Seat, Actor], Any]:
    async def issue(tx: StoreTransaction, seat: Seat, actor: Actor) -> InviteLink:
        issued = await links.issue(tx, seat, actor.seat_id or actor.id)
        view = render.link_view(address(), issued)
        return InviteLink(view.url, view.qr_svg, issued.expires_at, view.code)

    return issue


def _health(settings: Settings, metrics: Metrics, database: SqlDatabase, media: MediaServer) -> Health:
    found = Health(metrics)

    async def reads() -> bool:
        async with database.read() as tx:
            await tx.institutions.find()
        return True

    async def receives() -> bool:
        return media.port > 0

    found.watch("database", reads)
    found.watch("media", receives)
    found.watch("disk", health.free_space(settings))
    return found


def figures(live: Live, recorder: Recorder) -> LiveFigures:
    rooms = list(live.rooms.values())
    return LiveFigures(
        rooms=len(rooms),
        people=sum(len(room.in_call) for room in rooms),
        recordings=sum(live.records(room.consult.id) for room in rooms),
        sockets=sum(len(room.lines) for room in rooms),
    )


def device_key(folder: Path) -> bytes:
    """The key of WHIP/WHEP bearer tokens, made once."""
    path = folder / "devices.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, os.urandom(_KEY_BYTES))
    return path.read_bytes()


async def _note(database: SqlDatabase, code: EventCode) -> None:
    for institution_id in await chores.institutions(database):
        async with database.begin() as tx:
            await tx.append(AuditEvent(code, institution_id, "system"))
