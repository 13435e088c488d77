"""The rows this package reads and writes."""

from typing import TYPE_CHECKING, Protocol

from audit.transaction import Repository
from clinic.transaction import ClinicTransaction
from consent.records import ConsentRecord, ConsentRequest, ConsentSettings, ConsentTemplate, TemplateDraft

if TYPE_CHECKING:
    from consent.companions import Companion
    from consent.house_policies import HousePolicy
    from consent.languages import LanguageNote


class ConsentTransaction(ClinicTransaction, Protocol):
    consent_templates: Repository[ConsentTemplate]
    consent_records: Repository[ConsentRecord]
    consent_drafts: Repository[TemplateDraft]
    consent_settings: Repository[ConsentSettings]
    consent_requests: Repository[ConsentRequest]
    companions: "Repository[Companion]"
    house_policies: "Repository[HousePolicy]"
    language_notes: "Repository[LanguageNote]"


class Sealer(Protocol):
    """The institution's server seal (Ed25519 JWS); implemented by huizhen.keys."""

    def seal(self, institution_id: str, digest: str, at: int) -> str:
        """Compact JWS over {digest, at, iss}. `digest` = sha256 hex, `at` = unix seconds."""
        ...

    def holds(self, institution_id: str, digest: str, jws: str) -> bool:
        """Whether the seal is ours and over this digest."""
        ...
