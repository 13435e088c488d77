"""The parts a request may use, as one frozen record made in wiring."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from audit.transaction import Database
from clinic.safety import Locker
from consent.transaction import Sealer
from huizhen.auth.clients import ClientDoor
from huizhen.auth.limiter import RequestRate
from huizhen.auth.links import LinkDoor
from huizhen.auth.staff import StaffDoor
from huizhen.evidence.office import EvidenceOffice
from huizhen.evidence_shelf import EvidenceShelf
from huizhen.health import Health
from huizhen.images.arrivals import Arrivals
from huizhen.images.pacs import Archives
from huizhen.images.shelf import ImageShelf
from huizhen.metrics import Metrics
from huizhen.outbox import Outbox
from huizhen.outcome.office import OutcomeOffice
from huizhen.settings import Settings
from huizhen.speech import SpeechShelf
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.tables import StoreTransaction
from huizhen.tokens import TokenBook
from recording.playback import Playback
from recording.ports import Blobs, KeyRing
from signaling.live import Live


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Callable[[], datetime]
    db: Database[StoreTransaction]
    sealer: Sealer
    keyring: KeyRing
    locker: Locker
    blobs: Blobs
    live: Live
    tokens: TokenBook
    staff_door: StaffDoor
    link_door: LinkDoor
    client_door: ClientDoor
    rate: RequestRate
    metrics: Metrics
    health: Health
    checkpoints: Checkpointer
    playback: Playback
    evidence: EvidenceShelf
    papers: EvidenceOffice
    outcome: OutcomeOffice
    outbox: Outbox
    speech: SpeechShelf
    images: ImageShelf
    arrivals: Arrivals
    archives: Archives
    base_url: Callable[[], str]  # what links begin with
