"""Authorities' words and copies in the ledger: written once, on record, for the right people."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from audit.errors import MissingRow
from clinic.actor import Actor
from clinic.errors import NoCase, NotPermitted
from consent import attesting, copies
from consent.attesting import AttestationKind, Attested
from consent.copies import NothingOnPaper
from consent.parties import parties_of
from consent.records import ConsentRecord, Purpose
from tests.clinic.test_regulation import inspector
from tests.clinic.test_regulation import opened as case_of
from tests.support.builders import World


async def _signed(world: World) -> ConsentRecord:
    return await world.sign((await world.book()).patient_seat)


async def test_an_authoritys_word_is_kept_once(world: World) -> None:
    record = await _signed(world)
    for token in ("first", "second"):
        async with world.db.begin() as tx:
            kept = await attesting.keep(tx, record, AttestationKind.TIMESTAMP, Attested(token, "CN=TSA"))
            assert kept.token == "first"
    async with world.db.begin() as tx:
        await attesting.keep(tx, record, AttestationKind.CERTIFICATE, Attested("jws", "CN=某人"))
    async with world.db.read() as tx:
        held = await attesting.held(tx, record.id)
    assert {kind.value: row.token for kind, row in held.items()} == {"timestamp": "first", "certificate": "jws"}
    assert held[AttestationKind.CERTIFICATE].digest == record.digest
    assert world.db.codes().count("consent.attested") == 2


async def test_what_is_claimed_for_whom(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    claim = attesting.claim_of(record)
    assert claim is not None and (claim.name, claim.digest, claim.capacity) == ("张建明", record.digest, "self")
    withdrawn = await world.withdraw(booked.patient_seat, Purpose.TREAT)
    assert attesting.claim_of(withdrawn) is None and attesting.attestable(withdrawn)
    noticed = await world.notice(booked.doctor_seat)
    assert attesting.claim_of(noticed) is None and not attesting.attestable(noticed)
    assert attesting.stamped_message(record) == record.seal.encode()


async def test_a_copy_for_who_signed(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        assert await copies.own(tx, booked.patient_seat, record.id, "pdf") == record
    for seat in (booked.doctor_seat, (await world.book()).patient_seat):
        with pytest.raises(MissingRow):
            async with world.db.begin() as tx:
                await copies.own(tx, seat, record.id, "pdf")
    given = [event for event in world.db.events if event.code == "consent.copy_given"]
    assert [(event.actor_id, event.subject_id, event.public) for event in given] == [
        (booked.patient_seat.id, record.id, {"form": "pdf"})
    ]


async def test_no_paper_of_a_notice(world: World) -> None:
    booked = await world.book()
    noticed = await world.notice(booked.doctor_seat)
    with pytest.raises(NothingOnPaper):
        async with world.db.begin() as tx:
            await copies.own(tx, booked.doctor_seat, noticed.id, "pdf")
    with pytest.raises(NothingOnPaper):
        async with world.db.begin() as tx:
            await copies.view(tx, Actor.staff(world.doctor), booked.consult.id, noticed.id)


async def test_staff_who_may_and_who_may_not(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    for person in (world.doctor, world.archivist):
        async with world.db.begin() as tx:
            assert await copies.view(tx, Actor.staff(person), booked.consult.id, record.id) == record
    for person in (world.nurse, world.admin):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await copies.view(tx, Actor.staff(person), booked.consult.id, record.id)
    other = await world.book()
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await copies.view(tx, Actor.staff(world.doctor), other.consult.id, record.id)
    assert world.db.codes().count("view.consent") == 2


async def test_the_parties_are_in_the_evidence_as_they_were(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        doctor = await tx.staff.get(world.doctor.id)
        await tx.staff.save(replace(doctor, name="改名"))
        from audit.events import EventCode
        from audit.transaction import AuditEvent

        await tx.append(AuditEvent(EventCode.STAFF_CHANGED, doctor.institution_id, "system"))
    sealed = json.loads(record.evidence)["parties"]
    assert sealed["doctor"]["name"] == world.doctor.name and sealed["patient"]["name"] == "张建明"
    async with world.db.read() as tx:
        now = await parties_of(tx, booked.consult, booked.patient_seat.role)
        guest = await parties_of(tx, booked.consult, booked.doctor_seat.role)
    assert now["doctor"]["name"] == "改名" and now["patient"] == sealed["patient"] and guest["patient"] is None


async def test_nothing_personal_in_the_events(world: World) -> None:
    record = await _signed(world)
    async with world.db.begin() as tx:
        await attesting.keep(tx, record, AttestationKind.CERTIFICATE, Attested("jws", "CN=张建明"))
    texts: Sequence[str] = [json.dumps(dict(event.public), ensure_ascii=False) for event in world.db.events]
    assert any('"certificate"' in text for text in texts)
    assert not any("张建明" in text for text in texts)


async def test_a_regulator_views_a_paper_under_a_case(world: World) -> None:
    booked = await world.book()
    record = await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        with pytest.raises(NoCase):
            await copies.view(tx, inspector(world), booked.consult.id, record.id)
    await case_of(world)
    async with world.db.begin() as tx:
        assert await copies.view(tx, inspector(world), booked.consult.id, record.id) == record
    assert world.db.codes()[-2:] == ["regulator.used", "view.consent"]
