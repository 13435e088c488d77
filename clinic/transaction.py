"""The rows this package reads and writes, as one Protocol the store satisfies."""

from typing import TYPE_CHECKING, Protocol

from audit.transaction import Repository, Transaction
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
from clinic.panels.records import Case, DecisionNote, Invitation, Opinion
from clinic.panels.requests import InvitedParty, PanelRequest, Proposal
from clinic.panels.room_records import PanelFloor, QuorumLapse, SideRoom
from clinic.parties.records import AgreementSeal, CooperationAgreement, DirectoryEntry
from clinic.people import Institution, Patient, Staff
from clinic.upload import EvidenceFile

if TYPE_CHECKING:  # these rows live beside the acts that write them
    from clinic.absence import Absence
    from clinic.advising import TerminationAdvice
    from clinic.clients import ClientScope, HisClient
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
    from clinic.places import DoctorBook, Slot, SlotPlace
    from clinic.queueing import WaitingPlace
    from clinic.regulation import RegulatorCase
    from clinic.telling import WaitingMessage
    from clinic.triage import TriageNote


class ClinicTransaction(Transaction, Protocol):
    institutions: Repository[Institution]
    staff: Repository[Staff]
    patients: Repository[Patient]
    consults: Repository[Consult]
    seats: Repository[Seat]
    follow_up_evidence: Repository[FollowUpEvidence]
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
    broken_glasses: Repository[BrokenGlass]
    evidence_files: Repository[EvidenceFile]
    slots: "Repository[Slot]"
    slot_places: "Repository[SlotPlace]"
    doctor_books: "Repository[DoctorBook]"
    waiting_places: "Repository[WaitingPlace]"
    waiting_messages: "Repository[WaitingMessage]"
    triage_notes: "Repository[TriageNote]"
    notices: "Repository[Notice]"
    absences: "Repository[Absence]"
    termination_advices: "Repository[TerminationAdvice]"
    regulator_cases: "Repository[RegulatorCase]"
    joint_reports: "Repository[JointReport]"
    report_marks: "Repository[ReportMark]"
    countersignatures: "Repository[Countersignature]"
    opinions_due: "Repository[OpinionDue]"
    house_releases: "Repository[HouseRelease]"
    referrals: "Repository[Referral]"
    follow_up_tasks: "Repository[FollowUpTask]"
    opinion_papers: "Repository[OpinionPaper]"
    sealed_copies: "Repository[SealedCopy]"
    directory_entries: Repository[DirectoryEntry]
    cooperation_agreements: Repository[CooperationAgreement]
    agreement_seals: Repository[AgreementSeal]
    written_consults: "Repository[WrittenConsult]"
    his_clients: "Repository[HisClient]"
    client_scopes: "Repository[ClientScope]"
