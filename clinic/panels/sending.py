"""A request is sent: the gate it passes, the sealed document it becomes, and whom it asks (rules 1.3).

The gate is pure. What it reads beside the rows (the patient's word, the images) is told by the edge, which alone may
look into those ledgers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from clinic.access import authorise
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.documents import Sealer, canonical, digest
from clinic.errors import AdmissionRefused, IllegalMove
from clinic.gates import fit, licensed_house
from clinic.overlays import rules_for
from clinic.panels import reasons, seating
from clinic.panels.finding import drafted, parties_of
from clinic.panels.records import Case
from clinic.panels.requests import InvitedParty, PanelRequest, PartyState, RequestState, Urgency
from clinic.panels.settling import answer_within
from clinic.panels.traces import tell
from clinic.parties import agreements
from clinic.parties.records import CooperationAgreement
from clinic.people import Institution, Role, Staff
from clinic.roles import Action
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class Shared:
    """The patient's SHARE_PANEL naming one institution: the record, and the staff who witnessed its signing."""

    institution_id: str
    record_id: str
    witnesses: frozenset[str]
    emergency: bool = False  # nobody could be asked: the head of the institution approved, so nobody witnessed


@dataclass(frozen=True, slots=True)
class Material:
    """Something of the case as it was when the request was sent. `kind`: "evidence_file" or "image_study"."""

    kind: str
    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Supplied:
    """What the edge tells of ledgers this package may not read."""

    shared: tuple[Shared, ...] = ()
    images: tuple[Material, ...] = ()


@dataclass(frozen=True, slots=True)
class PartyFacts:
    party: InvitedParty
    house: Institution
    experts: tuple[Staff, ...]
    agreement: CooperationAgreement | None  # in force for this kind today


@dataclass(frozen=True, slots=True)
class SendFacts:
    """Everything the gate reads; nothing else can change its verdict."""

    request: PanelRequest
    consult: Consult
    house: Institution
    doctor: Staff
    parties: tuple[PartyFacts, ...]
    shared: tuple[Shared, ...]


def refusals(facts: SendFacts, rules: RuleSet, now: datetime) -> tuple[str, ...]:
    """Everything that speaks against sending, in order; empty when it may go. Pure."""
    today = local_date(now, facts.house.time_zone)
    return tuple(
        dict.fromkeys(
            (
                *_of_the_request(facts, now),
                *_of_the_inviting(facts, rules, today),
                *(code for each in facts.parties for code in _of_a_party(each, facts, rules, now)),
                *_of_the_patient(facts),
            )
        )
    )


def _of_the_request(facts: SendFacts, now: datetime) -> Iterator[str]:
    request = facts.request
    if not all((request.reason, request.aim, request.summary)):
        yield reasons.INCOMPLETE
    if request.wanted_to <= now:
        yield reasons.WINDOW_OVER
    if not facts.parties:
        yield reasons.NO_INSTITUTION
    elif request.wanted > len(facts.parties):
        yield reasons.TOO_FEW
    experts = [expert.id for each in facts.parties for expert in each.experts]
    if request.chair_id is not None and request.chair_id not in experts:
        yield reasons.CHAIR


def _of_the_inviting(facts: SendFacts, rules: RuleSet, today: date) -> Iterator[str]:
    if not licensed_house(facts.house, today):
        yield "gate.institution_licence"
    yield from (
        code
        for code in fit(facts.doctor, today, rules.value("TM-02", "minimum_years"), "doctor")
        if code == "gate.doctor_unlicensed"  # the inviting side: one licensed doctor, whatever the years (二(二))
    )


def _of_a_party(each: PartyFacts, facts: SendFacts, rules: RuleSet, now: datetime) -> Iterator[str]:
    if each.house.id == facts.house.id:
        yield reasons.OWN_INSTITUTION
        return
    today = local_date(now, each.house.time_zone)
    if not licensed_house(each.house, today):
        yield reasons.INVITED_LICENCE
    if facts.request.wanted_department not in each.house.departments:
        yield reasons.DEPARTMENT
    if each.agreement is None:
        yield reasons.NO_AGREEMENT
    if len(each.experts) > rules.value("HZ-23", "most_experts"):
        yield reasons.TOO_MANY_EXPERTS
    for expert in each.experts:
        if expert.institution_id != each.house.id:
            yield reasons.ELSEWHERE
        elif Role.EXPERT not in expert.roles:
            yield reasons.NO_EXPERT_ROLE
        else:
            yield from fit(expert, today, rules.value("TM-02", "minimum_years"), "expert")


def _of_the_patient(facts: SendFacts) -> Iterator[str]:
    """PIPL art. 23: each institution named; the inviting doctor saw it signed (三(二))."""
    words = {word.institution_id: word for word in facts.shared}
    for each in facts.parties:
        word = words.get(each.house.id)
        if word is None:
            yield reasons.NO_CONSENT
        elif not word.emergency and facts.consult.doctor_id not in word.witnesses:
            yield reasons.UNWITNESSED


async def facts_of(tx: ClinicTransaction, request: PanelRequest, consult: Consult, supplied: Supplied) -> SendFacts:
    """Read what the gate asks for. Raises MissingRow when an expert is nobody's account."""
    house = await tx.institutions.get(consult.institution_id)
    today = local_date(tx.now, house.time_zone)
    found = []
    for party in await parties_of(tx, request):
        if party.state is PartyState.NAMED:
            invited = party.invited_institution_id
            found.append(
                PartyFacts(
                    party,
                    await tx.institutions.get(invited),
                    tuple([await tx.staff.get(expert) for expert in party.expert_ids]),
                    await agreements.in_force(tx, house.id, invited, consult.kind, today),
                )
            )
    doctor = await tx.staff.get(consult.doctor_id)
    return SendFacts(request, consult, house, doctor, tuple(found), supplied.shared)


async def send(
    tx: ClinicTransaction, sealer: Sealer, consult_id: str, supplied: Supplied, by: Actor
) -> tuple[PanelRequest, tuple[Case, ...]]:
    """Seal the draft and ask every institution it names; the case of each holds the words it was asked with.

    Raises AdmissionRefused (every reason), IllegalMove, NotPermitted, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REQUEST_CASE, consult)
    request = await drafted(tx, consult_id)
    if not consult.media_open:
        raise IllegalMove("the consult is over")
    facts = await facts_of(tx, request, consult, supplied)
    rules = rules_for(facts.house, tx.now)
    if refused := refusals(facts, rules, tx.now):
        raise AdmissionRefused(refused)
    request = await _sealed(tx, sealer, facts, supplied.images, by)
    cases = []
    for each in facts.parties:
        cases.append(await _ask(tx, request, each, by))
    parties = await parties_of(tx, request)
    asked = [row for row in parties if row.state is PartyState.ASKED]
    public: dict[str, Any] = {
        "document": request.digest or "",
        "urgency": request.urgency.value,
        "wanted": request.wanted,
        "invited": [row.invited_institution_id for row in asked],
        "experts": [expert for row in asked for expert in row.expert_ids],
    }
    await tell(tx, EventCode.CASE_REQUESTED, request, by, public, asked)
    return request, tuple(cases)


async def _sealed(
    tx: ClinicTransaction, sealer: Sealer, facts: SendFacts, images: Sequence[Material], by: Actor
) -> PanelRequest:
    request, rules = facts.request, rules_for(facts.house, tx.now)
    wanted = request.wanted or (1 if request.urgency is Urgency.URGENT else len(facts.parties))
    request = replace(
        request.move(RequestState.SENT, tx.now),
        wanted=wanted,
        sent_by=by.id,
        sent_at=tx.now,
        answer_by=tx.now + answer_within(request, rules),
    )
    files = await tx.evidence_files.find(consult_id=request.consult_id)
    materials = [*(Material("evidence_file", row.id, row.sha256) for row in files), *images]
    document = canonical(request_document(request, facts, materials))
    seal = sealer.seal(request.institution_id, digest(document), int(tx.now.timestamp()))
    request = replace(request, document=document.decode(), digest=digest(document), signature=seal)
    await tx.panel_requests.save(request)
    return request


def request_document(request: PanelRequest, facts: SendFacts, materials: Sequence[Material]) -> dict[str, Any]:
    """What the inviting house's seal covers: what a request must hold (病历书写基本规范), what the gate rested on."""
    words = {word.institution_id: word for word in facts.shared}
    return {
        "type": "huizhen.panel-request",
        "v": 1,
        "id": request.id,
        "consult": request.consult_id,
        "kind": facts.consult.kind,
        "inviting": facts.house.id,
        "requester": {"id": facts.doctor.id, "name": facts.doctor.name, "title": facts.doctor.title},
        "sent_by": request.sent_by,
        "sent_at": request.sent_at,
        "reason": request.reason,
        "aim": request.aim,
        "summary": request.summary,
        "wanted": {
            "department": request.wanted_department,
            "specialty": request.wanted_specialty,
            "title": request.wanted_title,
            "from": request.wanted_from,
            "to": request.wanted_to,
            "institutions": request.wanted,
            "chair": request.chair_id,
        },
        "urgency": request.urgency,
        "mode": request.mode,
        "answer_by": request.answer_by,
        "liability": request.liability_mode,
        "invited": [
            {
                "institution": each.house.id,
                "rank": each.party.rank,
                "experts": each.party.expert_ids,
                "agreement": each.agreement.id if each.agreement else None,
                "consent": words[each.house.id].record_id,
            }
            for each in facts.parties
        ],
        "materials": [{"kind": row.kind, "id": row.id, "sha256": row.sha256} for row in materials],
    }


async def _ask(tx: ClinicTransaction, request: PanelRequest, each: PartyFacts, by: Actor) -> Case:
    """The institution's case, and an invitation to each expert the inviting side wishes."""
    case = Case(
        id=uuid4().hex,
        institution_id=request.institution_id,
        consult_id=request.consult_id,
        invited_institution_id=each.house.id,
        reason=request.reason,
        aim=request.aim,
        summary=request.summary,
        wanted_specialty=request.wanted_specialty or request.wanted_department,
        liability_mode=request.liability_mode,
        requested_by=by.id,
        requested_at=tx.now,
    )
    await tx.cases.add(case)
    party = replace(each.party.move(PartyState.ASKED, tx.now, by.id), case_id=case.id)
    await tx.invited_parties.save(party)
    for expert in each.experts:
        await tx.invitations.add(seating.invitation_to(party, expert, tx, expert.id == request.chair_id))
    return case
