"""The rows this package reads and writes."""

from typing import Protocol

from archive.records import AccessGrant, Disposal, HoldRequest, LegalHold, RetainedRecord
from audit.transaction import Repository
from consent.attesting import ConsentAttestation
from consent.panel_papers import PanelPapersTransaction
from imaging.transaction import ImagingTransaction
from recording.ports import RecordingTransaction


class ArchiveTransaction(RecordingTransaction, ImagingTransaction, PanelPapersTransaction, Protocol):
    retained_records: Repository[RetainedRecord]
    access_grants: Repository[AccessGrant]
    legal_holds: Repository[LegalHold]
    hold_requests: Repository[HoldRequest]
    disposals: Repository[Disposal]
    consent_attestations: Repository[ConsentAttestation]
