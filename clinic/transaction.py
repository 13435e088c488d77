"""The rows this package reads and writes, as one Protocol the store satisfies."""

from typing import Protocol

from audit.transaction import Repository, Transaction
from clinic.consult import ChatMessage, Consult, FollowUpEvidence, Seat, VisitNote
from clinic.glass import BrokenGlass
from clinic.panel import Case, DecisionNote, Invitation, Opinion
from clinic.people import Institution, Patient, Staff
from clinic.upload import EvidenceFile


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
    broken_glasses: Repository[BrokenGlass]
    evidence_files: Repository[EvidenceFile]
