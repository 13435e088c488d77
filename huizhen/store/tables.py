"""Which dataclass is kept in which table. One line per type; the SQL and the in-memory database both read this list.

To add a type: one line in `TABLES`, and one in `StoreTransaction` so that the repository is typed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archive.records import AccessGrant, Disposal, HoldRequest, LegalHold, RetainedRecord
from audit.reader import StoredLeaf
from audit.transaction import AuditEvent, Query, Repository
from clinic.absence import Absence
from clinic.advising import TerminationAdvice
from clinic.clients import ClientScope, HisClient
from clinic.consult import ChatMessage, Consult, FollowUpEvidence, Seat, VisitNote
from clinic.facts import (
    Attestation,
    Authentication,
    DutyShift,
    Guardianship,
    PracticeFiling,
    ServiceAgreement,
    Whereabouts,
)
from clinic.glass import BrokenGlass
from clinic.notices import Notice
from clinic.panels.in_writing import WrittenConsult
from clinic.panels.outcome import (
    Countersignature,
    FollowUpTask,
    HouseRelease,
    JointReport,
    OpinionDue,
    OpinionPaper,
    Referral,
    ReportMark,
    SealedCopy,
)
from clinic.panels.records import Case, DecisionNote, Invitation, Opinion
from clinic.panels.requests import InvitedParty, PanelRequest, Proposal
from clinic.panels.room_records import PanelFloor, QuorumLapse, SideRoom
from clinic.parties.records import AgreementSeal, CooperationAgreement, DirectoryEntry
from clinic.people import Institution, Patient, Staff
from clinic.places import DoctorBook, Slot, SlotPlace
from clinic.queueing import WaitingPlace
from clinic.regulation import RegulatorCase
from clinic.telling import WaitingMessage
from clinic.triage import TriageNote
from clinic.upload import EvidenceFile
from consent.attesting import ConsentAttestation
from consent.companions import Companion
from consent.house_policies import HousePolicy
from consent.languages import LanguageNote
from consent.panel_papers import PaperAttestation
from consent.records import ConsentRecord, ConsentRequest, ConsentSettings, ConsentTemplate, TemplateDraft
from huizhen.auth.rows import ClientToken, DeviceSession, JoinLink, PlaybackView, StaffCredential, StaffSession
from imaging.records import ImageFindings, ImageInstance, ImageSeries, ImageStudy, PacsStudy, SeriesOpening
from recording.records import Gap, Recording, Segment, SpokenMark


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is both the SQL table and the attribute of the transaction.

    evidential: each write must be covered by an audit event. append_only: rows are never changed, and leave only by
    `remove` (a lawful disposal). indexes: column tuples beside the unique id.
    """

    name: str
    row: type[Any]
    evidential: bool = True
    append_only: bool = False
    indexes: tuple[tuple[str, ...], ...] = ()


_CONSULT = (("consult_id",),)
_CONSULTS = (("institution_id", "starts_at"), ("status",), ("doctor_id", "ends_at"), ("patient_id",))

TABLES: tuple[Table, ...] = (
    Table("institutions", Institution),
    Table("staff", Staff, indexes=(("institution_id",), ("login",))),
    Table("patients", Patient, indexes=(("institution_id",),)),
    Table("consults", Consult, indexes=_CONSULTS),
    Table("seats", Seat, indexes=(*_CONSULT, ("person_id",))),
    Table("follow_up_evidence", FollowUpEvidence, indexes=_CONSULT),
    Table("broken_glasses", BrokenGlass, indexes=(("institution_id",), *_CONSULT)),
    Table("evidence_files", EvidenceFile, indexes=_CONSULT),
    Table("visit_notes", VisitNote, indexes=_CONSULT),
    Table("chat_messages", ChatMessage, append_only=True, indexes=_CONSULT),
    Table("cases", Case, indexes=(*_CONSULT, ("invited_institution_id",))),
    Table("invitations", Invitation, indexes=(*_CONSULT, ("expert_id",))),
    Table("opinions", Opinion, indexes=_CONSULT),
    Table("decision_notes", DecisionNote, indexes=_CONSULT),
    Table("panel_requests", PanelRequest, indexes=(*_CONSULT, ("institution_id", "state"), ("state",))),
    Table("invited_parties", InvitedParty, indexes=(*_CONSULT, ("request_id",), ("invited_institution_id", "state"))),
    Table("panel_proposals", Proposal, indexes=(*_CONSULT, ("request_id",))),
    Table("panel_floors", PanelFloor, indexes=_CONSULT),
    Table("side_rooms", SideRoom, indexes=_CONSULT),
    Table("quorum_lapses", QuorumLapse, indexes=_CONSULT),
    Table("practice_filings", PracticeFiling, indexes=(("staff_id",), ("institution_id",))),
    Table("duty_shifts", DutyShift, indexes=(("staff_id", "ends_at"), ("institution_id", "starts_at"))),
    Table("guardianships", Guardianship, indexes=(("patient_id",),)),
    Table("service_agreements", ServiceAgreement, indexes=(("patient_id",), ("doctor_id",))),
    Table("attestations", Attestation, append_only=True, indexes=_CONSULT),
    Table("whereabouts", Whereabouts, append_only=True, indexes=_CONSULT),
    Table("authentications", Authentication),
    Table("slots", Slot, indexes=(("institution_id", "day"), ("doctor_id", "day"))),
    Table("slot_places", SlotPlace, indexes=(("slot_id",), *_CONSULT)),
    Table("waiting_places", WaitingPlace, indexes=(("doctor_id", "open"), *_CONSULT)),
    Table("waiting_messages", WaitingMessage, append_only=True, indexes=_CONSULT),
    Table("triage_notes", TriageNote, append_only=True, indexes=_CONSULT),
    Table("notices", Notice, indexes=(("institution_id", "state"), ("state",), ("held",), *_CONSULT)),
    Table("absences", Absence, append_only=True, indexes=_CONSULT),
    Table("consent_templates", ConsentTemplate, append_only=True, indexes=(("institution_id", "key"),)),
    Table("consent_records", ConsentRecord, append_only=True, indexes=(*_CONSULT, ("seat_id",))),
    Table("consent_drafts", TemplateDraft, indexes=(("institution_id",),)),
    Table("consent_settings", ConsentSettings),
    Table("consent_requests", ConsentRequest, append_only=True, indexes=_CONSULT),
    Table("consent_attestations", ConsentAttestation, append_only=True, indexes=(*_CONSULT, ("record_id",))),
    Table("companions", Companion, append_only=True, indexes=(*_CONSULT, ("seat_id",))),
    Table("language_notes", LanguageNote, append_only=True, indexes=_CONSULT),
    Table("spoken_marks", SpokenMark, append_only=True, indexes=(*_CONSULT, ("recording_id",))),
    Table("recordings", Recording, indexes=(*_CONSULT, ("state",))),
    Table("segments", Segment, append_only=True, indexes=(*_CONSULT, ("recording_id",))),
    Table("gaps", Gap, indexes=(*_CONSULT, ("recording_id",))),
    Table("retained_records", RetainedRecord, indexes=(("institution_id", "state"), *_CONSULT, ("subject_id",))),
    Table("access_grants", AccessGrant, indexes=(("institution_id", "state"), *_CONSULT, ("recording_id",))),
    Table("legal_holds", LegalHold, indexes=(("institution_id",), *_CONSULT)),
    Table("disposals", Disposal, indexes=(("institution_id", "state"),)),
    Table("hold_requests", HoldRequest, indexes=(("institution_id", "state"), *_CONSULT)),
    Table("termination_advices", TerminationAdvice, append_only=True, indexes=_CONSULT),
    Table("regulator_cases", RegulatorCase, indexes=(("institution_id",), ("regulator_id",))),
    Table("house_policies", HousePolicy, append_only=True, indexes=(("institution_id",),)),
    Table("image_studies", ImageStudy, indexes=_CONSULT),
    Table("image_series", ImageSeries, append_only=True, indexes=(*_CONSULT, ("study_id",))),
    Table("image_instances", ImageInstance, append_only=True, indexes=(*_CONSULT, ("series_id",))),
    Table("pacs_studies", PacsStudy, append_only=True, indexes=_CONSULT),
    Table("series_openings", SeriesOpening, append_only=True, indexes=(*_CONSULT, ("series_id",))),
    Table("image_findings", ImageFindings, append_only=True, indexes=_CONSULT),
    Table("joint_reports", JointReport, indexes=_CONSULT),
    Table("report_marks", ReportMark, append_only=True, indexes=_CONSULT),
    Table("countersignatures", Countersignature, append_only=True, indexes=(*_CONSULT, ("opinion_id",))),
    Table("opinions_due", OpinionDue, indexes=(*_CONSULT, ("expert_id",))),
    Table("house_releases", HouseRelease, indexes=_CONSULT),
    Table("referrals", Referral, indexes=(*_CONSULT, ("to_institution_id",))),
    Table("follow_up_tasks", FollowUpTask, indexes=(*_CONSULT, ("institution_id", "state"))),
    Table("opinion_papers", OpinionPaper, append_only=True, indexes=(*_CONSULT, ("code",))),
    Table("sealed_copies", SealedCopy, indexes=(*_CONSULT, ("institution_id", "state"), ("state",))),
    Table("paper_attestations", PaperAttestation, append_only=True, indexes=(*_CONSULT, ("record_id",))),
    Table("directory_entries", DirectoryEntry),
    Table(
        "cooperation_agreements",
        CooperationAgreement,
        indexes=(("inviting_id", "invited_id"), ("invited_id",), ("series_id",)),
    ),
    Table("agreement_seals", AgreementSeal, append_only=True, indexes=(("agreement_id",),)),
    Table("written_consults", WrittenConsult, indexes=_CONSULT),
    Table("his_clients", HisClient, indexes=(("institution_id",),)),
    Table("client_scopes", ClientScope, indexes=(("client_id", "patient_id"),)),
    Table("doctor_books", DoctorBook, evidential=False),
    Table("staff_credentials", StaffCredential, evidential=False),
    Table("staff_sessions", StaffSession, evidential=False, indexes=(("staff_id",),)),
    Table("join_links", JoinLink, evidential=False, indexes=(("seat_id",),)),
    Table("device_sessions", DeviceSession, evidential=False, indexes=(("seat_id",),)),
    Table("playback_views", PlaybackView, evidential=False, indexes=(("session_id",),)),
    Table("client_tokens", ClientToken, evidential=False, indexes=(("client_id",),)),
)


class StoreTransaction(ABC):
    """A transaction with every repository of this server, typed; the SQL and the in-memory one derive from it.

    Structurally it satisfies each package's own Protocol (ClinicTransaction ... ArchiveTransaction, TrailSource).
    """

    institutions: Repository[Institution]
    staff: Repository[Staff]
    patients: Repository[Patient]
    consults: Repository[Consult]
    seats: Repository[Seat]
    follow_up_evidence: Repository[FollowUpEvidence]
    broken_glasses: Repository[BrokenGlass]
    evidence_files: Repository[EvidenceFile]
    visit_notes: Repository[VisitNote]
    chat_messages: Repository[ChatMessage]
    cases: Repository[Case]
    invitations: Repository[Invitation]
    opinions: Repository[Opinion]
    decision_notes: Repository[DecisionNote]
    panel_requests: Repository[PanelRequest]
    invited_parties: Repository[InvitedParty]
    panel_proposals: Repository[Proposal]
    panel_floors: Repository[PanelFloor]
    side_rooms: Repository[SideRoom]
    quorum_lapses: Repository[QuorumLapse]
    practice_filings: Repository[PracticeFiling]
    duty_shifts: Repository[DutyShift]
    guardianships: Repository[Guardianship]
    service_agreements: Repository[ServiceAgreement]
    attestations: Repository[Attestation]
    whereabouts: Repository[Whereabouts]
    authentications: Repository[Authentication]
    slots: Repository[Slot]
    slot_places: Repository[SlotPlace]
    doctor_books: Repository[DoctorBook]
    waiting_places: Repository[WaitingPlace]
    waiting_messages: Repository[WaitingMessage]
    triage_notes: Repository[TriageNote]
    notices: Repository[Notice]
    absences: Repository[Absence]
    consent_templates: Repository[ConsentTemplate]
    consent_records: Repository[ConsentRecord]
    consent_drafts: Repository[TemplateDraft]
    consent_settings: Repository[ConsentSettings]
    consent_requests: Repository[ConsentRequest]
    consent_attestations: Repository[ConsentAttestation]
    companions: Repository[Companion]
    language_notes: Repository[LanguageNote]
    spoken_marks: Repository[SpokenMark]
    recordings: Repository[Recording]
    segments: Repository[Segment]
    gaps: Repository[Gap]
    retained_records: Repository[RetainedRecord]
    access_grants: Repository[AccessGrant]
    legal_holds: Repository[LegalHold]
    disposals: Repository[Disposal]
    hold_requests: Repository[HoldRequest]
    termination_advices: Repository[TerminationAdvice]
    regulator_cases: Repository[RegulatorCase]
    house_policies: Repository[HousePolicy]
    image_studies: Repository[ImageStudy]
    image_series: Repository[ImageSeries]
    image_instances: Repository[ImageInstance]
    pacs_studies: Repository[PacsStudy]
    series_openings: Repository[SeriesOpening]
    image_findings: Repository[ImageFindings]
    joint_reports: Repository[JointReport]
    report_marks: Repository[ReportMark]
    countersignatures: Repository[Countersignature]
    opinions_due: Repository[OpinionDue]
    house_releases: Repository[HouseRelease]
    referrals: Repository[Referral]
    follow_up_tasks: Repository[FollowUpTask]
    opinion_papers: Repository[OpinionPaper]
    sealed_copies: Repository[SealedCopy]
    paper_attestations: Repository[PaperAttestation]
    directory_entries: Repository[DirectoryEntry]
    cooperation_agreements: Repository[CooperationAgreement]
    agreement_seals: Repository[AgreementSeal]
    written_consults: Repository[WrittenConsult]
    his_clients: Repository[HisClient]
    client_scopes: Repository[ClientScope]
    staff_credentials: Repository[StaffCredential]
    staff_sessions: Repository[StaffSession]
    join_links: Repository[JoinLink]
    device_sessions: Repository[DeviceSession]
    playback_views: Repository[PlaybackView]
    client_tokens: Repository[ClientToken]

    @property
    @abstractmethod
    def now(self) -> datetime:
        """audit.transaction.Transaction.now"""

    @abstractmethod
    async def fetch(self, *queries: Query[Any]) -> None:
        """audit.transaction.Transaction.fetch"""

    @abstractmethod
    async def append(self, event: AuditEvent) -> str:
        """audit.transaction.Transaction.append"""

    @abstractmethod
    async def operation(self, operation_id: str, actor_id: str) -> None:
        """audit.transaction.Transaction.operation"""

    @abstractmethod
    async def trail(
        self, institution_id: str, consult_id: str | None = None, *, after: tuple[int, int] = (0, -1), limit: int = 1000
    ) -> Sequence[StoredLeaf]:
        """audit.reader.TrailSource.trail"""


def tenant(row: Any) -> str | None:
    """The institution a row belongs to; an institution belongs to itself. None for rows of the server itself."""
    if isinstance(row, Institution):
        return row.id
    value = getattr(row, "institution_id", None)
    return value if isinstance(value, str) else None
