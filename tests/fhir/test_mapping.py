"""Every resource of a panel through the standard's own classes, in each state the rows can be in."""

from typing import Any

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import visit
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.panels import opining
from clinic.panels.records import Invitation, InvitationState
from clinic.panels.requests import InvitedParty, PartyState
from clinic.upload import EvidenceFile, FileKind
from huizhen.fhir import capability, classes, outcome, people, terms
from huizhen.fhir.kinds import KINDS, PEOPLE
from huizhen.fhir.record import Party, Record, gather
from huizhen.fhir.task import status_of
from huizhen.fhir.terms import Resource
from huizhen.problems import Problem
from imaging import uids
from imaging.records import Identity, ImageInstance, ImageSeries, ImageStudy, Kind
from tests.store.samples import sample
from tests.support.builders import World
from tests.support.panels import report

BASE = "https://huizhen.example"


async def record_of(world: World, consult: Consult) -> Record:
    async with world.db.read() as tx:
        return await gather(tx, await tx.consults.get(consult.id), BASE, consult.institution_id)


def told(record: Record) -> dict[str, list[Resource]]:
    """Every resource of the record, each accepted by its class and written by it without a loss."""
    found = {name: kind.resources(record) for name, kind in KINDS.items()}
    for name, resources in found.items():
        for each in resources:
            assert each["resourceType"] == name
            written = classes.checked(each)
            assert _missing(each, written) == [], name
    return found


def _missing(given: Any, written: Any, where: str = "") -> list[str]:
    """Members of ours the class dropped or changed (times may be written another way)."""
    if isinstance(given, dict):
        return [
            path
            for key, value in given.items()
            for path in (_missing(value, written[key], f"{where}.{key}") if key in written else [f"{where}.{key}"])
        ]
    if isinstance(given, list):
        return [path for one, other in zip(given, written, strict=True) for path in _missing(one, other, f"{where}[]")]
    same = given == written or (isinstance(given, str) and given[:19] == str(written)[:19] and "T" in given)
    return [] if same else [f"{where}: {given!r} {written!r}"]


async def asked(world: World) -> Consult:
    consult = (await world.book_panel()).consult
    await world.ask(consult)
    return consult


async def test_a_request_before_anybody_answered(world: World) -> None:
    consult = await asked(world)
    found = told(await record_of(world, consult))
    (request,) = found["ServiceRequest"]
    assert (request["status"], request["intent"]) == ("active", "order")
    assert request["reasonCode"] == [{"text": "诊断不明"}]
    assert request["extension"] == [{"url": "urn:huizhen:liability-mode", "valueCode": "inviting"}]
    (task,) = found["Task"]
    assert (task["status"], task["basedOn"]) == ("requested", [{"reference": f"ServiceRequest/{request['id']}"}])
    assert task["owner"] == {"reference": f"Organization/{world.partner.id}", "display": "市中心医院"}
    assert [each["status"] for each in found["Appointment"][0]["participant"]] == [
        "accepted", "accepted", "needs-action", "needs-action",
    ]  # fmt: skip
    assert found["Appointment"][0]["status"] == "pending"
    assert found["Encounter"][0]["status"] == "planned"
    assert found["DiagnosticReport"] == found["DocumentReference"] == found["ImagingStudy"] == []


async def test_the_whole_way_to_the_decision(world: World) -> None:
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult):
        seat = await world.answer(invitation)
        assert seat is not None
        await world.enter(seat)
    await world.enter(booked.doctor_seat)
    running = told(await record_of(world, booked.consult))
    assert running["Encounter"][0]["status"] == "in-progress"
    assert running["Task"][0]["status"] == "accepted"
    assert [each["type"][0]["coding"][0]["code"] for each in running["Encounter"][0]["participant"]] == [
        "ATND", "CON", "CON",
    ]  # fmt: skip
    await world.opinion(booked.consult, world.experts[0])
    async with world.db.begin() as tx:  # a draft is told to nobody
        await opining.save_opinion(tx, booked.consult.id, Actor.staff(world.experts[1]), {world.partner.id}, "草稿")
    assert len(told(await record_of(world, booked.consult))["DiagnosticReport"]) == 1
    await world.opinion(booked.consult, world.experts[1], dissent=True)
    await report(world, booked.consult)
    await world.decide(booked.consult)
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, Actor.staff(world.clinic_doctor))
        await visit.close(tx, booked.consult.id, Actor.staff(world.clinic_doctor))
    found = told(await record_of(world, booked.consult))
    assert found["ServiceRequest"][0]["status"] == "completed"
    assert found["Task"][0]["status"] == "completed"
    assert [each["valueReference"]["reference"] for each in found["Task"][0]["output"]] == [
        f"DiagnosticReport/{each['id']}" for each in found["DiagnosticReport"][:2]
    ]
    assert found["DiagnosticReport"][2]["extension"] == [{"url": "urn:huizhen:joint", "valueBoolean": True}]
    assert [each["extension"] for each in found["DiagnosticReport"][:2]] == [
        [{"url": "urn:huizhen:dissent", "valueBoolean": dissent}, {"url": "urn:huizhen:chair", "valueBoolean": chair}]
        for dissent, chair in ((False, True), (True, False))
    ]
    (decision,) = found["DocumentReference"]
    assert decision["type"]["coding"][0]["code"] == "51847-2"
    assert len(decision["context"]["related"]) == 2
    assert (found["Encounter"][0]["status"], found["Appointment"][0]["status"]) == ("finished", "fulfilled")


async def test_a_follow_up_with_a_note_and_no_request(world: World) -> None:
    consult = await world.call(await world.book())
    await world.finish(consult)
    found = told(await record_of(world, consult))
    assert found["ServiceRequest"] == found["Task"] == []
    (note,) = found["DocumentReference"]
    assert note["type"]["coding"][0]["code"] == "34108-1"
    assert "basedOn" not in found["Encounter"][0]


@pytest.mark.parametrize(
    ("status", "encounter", "appointment", "request_"),
    [
        (ConsultStatus.WAITING, "arrived", "arrived", "active"),
        (ConsultStatus.CONCLUDING, "finished", "fulfilled", "active"),
        (ConsultStatus.CANCELLED, "cancelled", "cancelled", "revoked"),
        (ConsultStatus.NO_SHOW, "cancelled", "noshow", "revoked"),
        (ConsultStatus.TERMINATED_UNSUITABLE, "finished", "fulfilled", "revoked"),
    ],
)
async def test_states_of_a_consult(
    world: World, status: ConsultStatus, encounter: str, appointment: str, request_: str
) -> None:
    from dataclasses import replace

    record = await record_of(world, await asked(world))
    record = replace(record, consult=replace(record.consult, status=status, outcome_code="patient_asked"))
    found = told(record)
    assert found["Encounter"][0]["status"] == encounter
    assert found["Appointment"][0]["status"] == appointment
    assert found["ServiceRequest"][0]["status"] == request_
    assert ("cancelationReason" in found["Appointment"][0]) == (status is ConsultStatus.CANCELLED)


async def test_a_refusal_says_why(world: World) -> None:
    consult = (await world.book_panel()).consult
    first, second = await world.ask(consult)
    await world.answer(first, accept=False)
    assert told(await record_of(world, consult))["Task"][0]["status"] == "requested"
    await world.answer(second, accept=False)
    (task,) = told(await record_of(world, consult))["Task"]
    assert (task["status"], task["statusReason"]) == ("rejected", {"text": "时间冲突"})


@pytest.mark.parametrize(
    ("state", "ended", "status"),
    [
        (PartyState.ASKED, False, "requested"),
        (PartyState.ASKED, True, "cancelled"),
        (PartyState.PROPOSED, False, "received"),
        (PartyState.ACCEPTED, False, "accepted"),
        (PartyState.ACCEPTED, True, "cancelled"),
        (PartyState.REFUSED, True, "rejected"),
        (PartyState.RELEASED, False, "cancelled"),
        (PartyState.EXPIRED, True, "failed"),
    ],
)
def test_a_task_says_what_the_institution_answered(state: PartyState, ended: bool, status: str) -> None:
    party = Party("p", "h", (), sample(InvitedParty, "p", state=state))
    assert status_of(party, False, ended=ended) == status
    assert status_of(party, True, ended=ended) == "completed"


@pytest.mark.parametrize(
    ("states", "status"),
    [(("sent", "refused"), "requested"), (("sent", "accepted"), "accepted"), (("refused", "refused"), "rejected")],
)
def test_who_was_asked_before_there_were_requests(states: tuple[str, ...], status: str) -> None:
    rows = tuple(sample(Invitation, state, state=InvitationState(state)) for state in states)
    assert status_of(Party("p", "h", rows), False, ended=False) == status


async def test_a_case_of_before_there_were_requests(world: World) -> None:
    consult = await asked(world)
    async with world.db.begin() as tx:
        for table in (tx.panel_requests, tx.invited_parties):
            for row in await table.find(consult_id=consult.id):
                await table.remove(row.id)
        await tx.append(AuditEvent(EventCode.CASE_REQUESTED, consult.institution_id, "system", consult.id))
    found = told(await record_of(world, consult))
    assert found["ServiceRequest"][0]["reasonCode"] == [{"text": "诊断不明"}]
    assert found["Task"][0]["status"] == "requested"


async def test_papers_and_images(world: World) -> None:
    from dataclasses import replace

    record = await record_of(world, await asked(world))
    consult_id = record.consult.id
    study_id, series_id, instance_id = (f"{n:032x}" for n in (1, 2, 3))
    study = sample(
        ImageStudy, study_id, consult_id=consult_id, uid="1.2.3", day="20260301", description="胸部 CT",
        identity=Identity.MATCHES, added_by=world.clinic_doctor.id,
    )  # fmt: skip
    series = sample(ImageSeries, series_id, consult_id=consult_id, study_id=study_id, modality="CT", number=-1)
    instance = sample(
        ImageInstance, instance_id, consult_id=consult_id, study_id=study_id, series_id=series_id,
        sop_class="1.2.840.10008.5.1.4.1.1.2", kind=Kind.IMAGE, number=4,
    )  # fmt: skip
    paper = sample(EvidenceFile, f"{9:032x}", consult_id=consult_id, kind=FileKind.PDF, size=1234)
    record = replace(record, studies=(study,), series=(series,), instances=(instance,), files=(paper,))
    found = told(record)
    (imaging,) = found["ImagingStudy"]
    assert imaging["started"] == "2026-03-01"
    assert imaging["identifier"][0]["value"] == f"urn:oid:{uids.told(study_id)}"
    assert "1.2.3" not in str(imaging)  # the sending hospital's own identifiers stay inside
    assert imaging["series"][0]["instance"][0]["sopClass"]["code"] == "urn:oid:1.2.840.10008.5.1.4.1.1.2"
    assert imaging["contained"][0]["address"] == f"{BASE}/api/consults/{consult_id}/dicomweb"
    (document,) = found["DocumentReference"]
    assert document["content"][0]["attachment"]["url"].endswith(f"/evidence-files/{paper.id}")
    assert {each["reference"] for each in found["ServiceRequest"][0]["supportingInfo"]} == {
        f"ImagingStudy/{study_id}", f"DocumentReference/{paper.id}",
    }  # fmt: skip
    undated = replace(record, studies=(replace(study, day=""),))
    assert "started" not in told(undated)["ImagingStudy"][0]


def test_people_are_told_no_more_than_needed(world: World) -> None:
    person = people.patient(world.patient)
    assert classes.checked(person)["birthDate"] == "1951-05-06"
    assert world.patient.phone not in str(person)
    assert world.patient.id_number not in str(person)
    doctor = classes.checked(people.practitioner(world.experts[0]))
    assert doctor["qualification"][0]["code"]["text"] == "主任医师"
    clerk = classes.checked(people.practitioner(world.admin))
    assert len(clerk["identifier"]) == 1
    house = classes.checked(people.organization(world.home))
    assert house["name"] == "县人民医院"


def test_someone_without_title_or_licence_has_no_qualification(world: World) -> None:
    from dataclasses import replace

    assert "qualification" not in people.practitioner(replace(world.nurse, title=""))
    titled = people.practitioner(replace(world.nurse, title="护师"))
    assert titled["qualification"] == [{"code": {"text": "护师"}}]


def test_the_statement_names_every_resource_and_is_one() -> None:
    written = classes.checked(capability.statement(BASE))
    assert [each["type"] for each in written["rest"][0]["resource"]] == [*KINDS, *PEOPLE]
    assert written["fhirVersion"] == "4.0.1"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "forbidden"),
        (404, "not-found"),
        (409, "conflict"),
        (507, "exception"),
        (410, "processing"),
    ],
)
def test_refusals_keep_their_code(status: int, code: str) -> None:
    written = classes.checked(outcome.outcome(Problem(status, "access.denied", field="encounter")))
    (issue,) = written["issue"]
    assert (issue["code"], issue["details"]["coding"][0]["code"]) == (code, "access.denied")
    assert issue["details"]["text"] and issue["diagnostics"]
    assert issue["expression"] == ["encounter"]


def test_a_bundle_of_nothing_has_no_entries() -> None:
    empty = classes.bundle([], BASE, f"{BASE}/fhir/R4/Task?encounter=x")
    assert classes.checked(terms.kept(empty))["total"] == 0


def test_what_is_no_resource_is_never_told() -> None:
    with pytest.raises(ValueError, match="status"):
        classes.checked({"resourceType": "Task", "id": "x", "intent": "order", "status": 7})
