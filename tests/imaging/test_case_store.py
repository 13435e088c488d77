"""Files become rows, who may look, and what ends it: the use cases on the in-memory database."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Seat
from clinic.errors import CaseOver, NoCase, NotPermitted
from consent.errors import ConsentMissing
from consent.records import Purpose
from imaging import keeping, looking, measuring, uids
from imaging.errors import (
    BadMeasurement,
    Conflict,
    IdentityNotAsked,
    IdentityUnconfirmed,
    NotOpened,
    NotTaken,
    TooMany,
)
from imaging.keeping import Arrived
from imaging.records import Identity, ImageInstance, ImageSeries, ImageStudy, Kind
from tests.clinic.test_regulation import inspector
from tests.clinic.test_regulation import opened as case_of
from tests.store.samples import sample
from tests.support.builders import World


@dataclass
class Stage:
    """A panel with its patient's word, the inviting doctor, and an expert with a seat."""

    world: World
    booked: Booked
    expert_seat: Seat

    @property
    def consult(self) -> str:
        return self.booked.consult.id

    @property
    def clinic(self) -> Actor:
        return Actor.staff(self.world.clinic_doctor)

    @property
    def expert(self) -> Actor:
        return Actor.staff(self.world.experts[0])

    def file(self, instance: str = "1", series: str = "1", study: str = "1", **changes: Any) -> Arrived:
        home = {"institution_id": self.world.home.id, "consult_id": self.consult}
        ids = [uids.row_id(self.consult, level, *names) for level, names in (("s", study), ("e", study + series))]
        identity: dict[str, Any] = {"identity": Identity.MATCHES, "differs": ()}
        whose = {key: changes.pop(key) for key in ("identity", "differs") if key in changes}
        row: dict[str, Any] = {"kind": Kind.IMAGE, "frames": 2, "width": 10, "height": 8, "number": int(instance)}
        row |= {"received_sha256": f"sha-{instance}"}
        return Arrived(
            sample(ImageStudy, ids[0], **home, **(identity | whose)),
            sample(ImageSeries, ids[1], **home, study_id=ids[0], modality="CT"),
            sample(
                ImageInstance,
                uids.row_id(self.consult, "i", study, series, instance),
                **home,
                study_id=ids[0],
                series_id=ids[1],
                **(row | changes),
            ),
        )

    async def keep(self, *files: Arrived, by: Actor | None = None) -> tuple[Arrived, ...]:
        async with self.world.db.begin() as tx:
            return await keeping.keep(tx, by or self.clinic, self.consult, files)

    async def open(self, file: Arrived, by: Actor) -> looking.OpenSeries:
        async with self.world.db.begin() as tx:
            return await looking.open_series(tx, by, self.consult, file.study.id, file.series.id)

    async def look(self, file: Arrived, by: Actor) -> ImageStudy:
        async with self.world.db.read() as tx:
            return (await looking.opened(tx, by, self.consult, file.study.id, file.series.id))[0]


async def staged(world: World, sign: bool = True, expert: int = 0) -> Stage:
    booked = await world.book_panel()
    seat = await world.answer((await world.ask(booked.consult))[expert])
    assert seat is not None
    if sign:
        await world.sign(booked.patient_seat)
    return Stage(world, booked, seat)


async def test_a_delivery_is_one_transaction_and_one_event(world: World) -> None:
    stage = await staged(world)
    added = await stage.keep(stage.file("2"), stage.file("1"), stage.file("1", series="2"))
    assert [file.instance.number for file in added] == [2, 1, 1]
    (event,) = [each for each in world.db.events if each.code == "images.stored"]
    assert (event.public["instances"], len(event.public["series"]), event.consult_id) == (3, 2, stage.consult)
    (study,) = world.db.rows("image_studies")
    assert study.added_by == stage.booked.doctor_seat.id
    opened = await stage.open(stage.file(), stage.clinic)
    assert [row.number for row in opened.instances] == [1, 2]
    async with world.db.read() as tx:
        assert (await looking.instance_of(tx, opened.series, opened.instances[0].id)).number == 1
        with pytest.raises(MissingRow):
            await looking.instance_of(tx, opened.series, stage.file("1", series="2").instance.id)


async def test_what_is_there_is_left_and_another_of_its_name_refused(world: World) -> None:
    stage = await staged(world)
    await stage.keep(stage.file())
    before = len(world.db.events)
    assert await stage.keep(stage.file()) == ()
    assert len(world.db.events) == before, "nothing changed, nothing is said"
    with pytest.raises(Conflict):
        await stage.keep(stage.file("2"), stage.file(received_sha256="other"))
    assert len(world.db.rows("image_instances")) == 1, "together or not at all"


async def test_only_the_inviting_side_brings_and_only_before_the_end(world: World) -> None:
    stage = await staged(world)
    for by in (stage.expert, Actor.staff(world.nurse), Actor.staff(world.doctor)):
        with pytest.raises(NotPermitted):
            await stage.keep(stage.file(), by=by)
    with pytest.raises(MissingRow):
        await stage.keep(stage.file(), by=Actor.staff(world.experts[1]))
    async with world.db.begin() as tx:
        await booking.cancel(tx, stage.consult, stage.clinic, "other")
    with pytest.raises(NotTaken):
        await stage.keep(stage.file())


async def test_a_seat_of_another_house_brings_nothing_even_with_the_role(world: World) -> None:
    stage = await staged(world)
    async with world.db.begin() as tx:
        seat = await tx.seats.get(stage.booked.doctor_seat.id)
        await tx.seats.save(replace(seat, home_institution_id=world.partner.id))
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, seat.institution_id, "system", stage.consult, seat.id))
    with pytest.raises(MissingRow):
        await stage.keep(stage.file())


@pytest.mark.parametrize("limit", ["MOST_STUDIES", "MOST_SERIES", "MOST_INSTANCES"])
async def test_limits(world: World, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    stage = await staged(world)
    monkeypatch.setattr(keeping, limit, 1)
    await stage.keep(stage.file())
    with pytest.raises(TooMany):
        await stage.keep(stage.file("2", study="2", series="2"))


async def test_an_expert_needs_the_patients_word_in_force_now(world: World) -> None:
    stage = await staged(world, sign=False)
    file = stage.file()
    await stage.keep(file)
    with pytest.raises(ConsentMissing):
        await stage.open(file, stage.expert)
    await world.sign(stage.booked.patient_seat)
    await stage.open(file, stage.expert)
    assert (await stage.look(file, stage.expert)).id == file.study.id
    await world.withdraw(stage.booked.patient_seat, Purpose.SHARE_PANEL)
    for act in (stage.open, stage.look):
        with pytest.raises((ConsentMissing, NotPermitted, MissingRow)):
            await act(file, stage.expert)
    async with world.db.read() as tx:
        with pytest.raises((ConsentMissing, NotPermitted, MissingRow)):
            await looking.listed(tx, stage.expert, stage.consult)
    await stage.open(file, stage.clinic)


async def test_every_opening_is_on_record_and_lasts_some_hours(world: World) -> None:
    stage = await staged(world)
    file = stage.file()
    await stage.keep(file)
    with pytest.raises(NotOpened):
        await stage.look(file, stage.expert)
    await stage.open(file, stage.expert)
    await stage.open(file, stage.expert)  # the rest of the metadata: the same look
    assert world.db.codes().count("view.images") == 1
    world.clock.advance(seconds=int(looking.SAME_OPENING.total_seconds()))
    await stage.open(file, stage.expert)
    with pytest.raises(NotOpened):
        await stage.look(file, stage.clinic)
    events = [each for each in world.db.events if each.code == "view.images"]
    assert [(each.actor_id, each.subject_id) for each in events] == [(stage.expert_seat.id, file.series.id)] * 2
    world.clock.advance(seconds=int(looking.OPEN_FOR.total_seconds()))
    with pytest.raises(NotOpened):
        await stage.look(file, stage.expert)


async def test_a_series_of_another_consult_or_study_is_not_there(world: World) -> None:
    stage = await staged(world)
    one, other = stage.file(), stage.file(study="2")
    await stage.keep(one, other)
    mixed = replace(one, series=other.series)
    with pytest.raises(MissingRow):
        await stage.open(mixed, stage.clinic)
    elsewhere = await staged(world, expert=1)
    with pytest.raises(MissingRow):
        await elsewhere.open(one, elsewhere.clinic)


async def test_doubt_about_whose_they_are_is_settled_by_the_inviting_side(world: World) -> None:
    stage = await staged(world)
    file = stage.file(identity=Identity.DIFFERS, differs=("name",))
    await stage.keep(file)
    async with world.db.read() as tx:
        assert (await looking.listed(tx, stage.expert, stage.consult)).instances == ()
        assert len((await looking.listed(tx, stage.clinic, stage.consult)).instances) == 1
    for act in (stage.open, stage.look):
        with pytest.raises(IdentityUnconfirmed):
            await act(file, stage.expert)
    await stage.open(file, stage.clinic)
    assert (await confirm(stage, file)).confirmed_by == stage.booked.doctor_seat.id
    await stage.open(file, stage.expert)
    with pytest.raises(IdentityNotAsked):
        await confirm(stage, file)
    await stage.keep(stage.file("2", identity=Identity.DIFFERS, differs=("name",)))
    await stage.open(file, stage.expert)
    await stage.keep(stage.file("3", identity=Identity.DIFFERS, differs=("sex",)))
    with pytest.raises(IdentityUnconfirmed):
        await stage.open(file, stage.expert)
    assert world.db.rows("image_studies")[0].differs == ("name", "sex")


async def confirm(stage: Stage, file: Arrived) -> ImageStudy:
    async with stage.world.db.begin() as tx:
        return await keeping.confirm_identity(tx, stage.clinic, stage.consult, file.study.id)


async def test_confirming_a_study_of_another_consult_is_not_there(world: World) -> None:
    stage, elsewhere = await staged(world), await staged(world, expert=1)
    file = stage.file(identity=Identity.DIFFERS, differs=("name",))
    await stage.keep(file)
    with pytest.raises(MissingRow):
        await confirm(elsewhere, file)


async def test_what_was_refused_leaves_its_codes(world: World) -> None:
    stage = await staged(world)
    async with world.db.begin() as tx:
        await keeping.refused(
            tx, stage.clinic, stage.consult, ["upload.damaged", "upload.damaged", "images.unsupported"]
        )
    event = world.db.events[-1]
    assert (event.code, event.outcome) == ("images.refused", "upload.damaged")
    assert event.public == {"codes": ["images.unsupported", "upload.damaged"], "files": 3}


async def test_measurements_lie_on_pictures_of_the_consult(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await staged(world)
    picture, paper = stage.file(), stage.file("2", kind=Kind.PAPER)
    await stage.keep(picture, paper)
    good = {
        "id": uuid4().hex,
        "by": stage.expert_seat.id,
        "instance": picture.instance.id,
        "frame": 1,
        "shape": "length",
        "points": [[0, 0], [10, 8]],
    }

    async def save(*measurements: dict[str, Any], by: Actor | None = None) -> Any:
        async with world.db.begin() as tx:
            return await measuring.save(tx, by or stage.expert, stage.consult, 7, measurements)

    page = good | {"id": uuid4().hex, "instance": paper.instance.id, "frame": 3, "points": [[0, 0], [900, 1200]]}
    assert len(measuring.measurements_of(await save(good, page))) == 2
    saved = await save(good)
    assert measuring.measurements_of(saved) == [{**good, "label": ""}]
    async with world.db.read() as tx:
        assert await measuring.latest(tx, stage.clinic, stage.consult) == saved
    for wrong in (
        {"frame": 2},
        {"points": [[0, 0], [11, 8]]},
        {"instance": paper.instance.id, "frame": measuring.MOST_PAGES},
        {"instance": paper.instance.id, "points": [[-1, 0], [11, 8]]},
        {"instance": uuid4().hex},
    ):
        with pytest.raises(BadMeasurement):
            await save(good | wrong)
    with pytest.raises(BadMeasurement):
        await save(good, good)
    with pytest.raises(NotPermitted):
        await save(by=Actor.staff(world.nurse))
    monkeypatch.setattr(measuring, "MOST_SAVINGS", 2)
    with pytest.raises(TooMany):
        await save(good)


async def test_nothing_measured_is_nothing(world: World) -> None:
    stage = await staged(world)
    async with world.db.read() as tx:
        assert await measuring.latest(tx, stage.clinic, stage.consult) is None


async def test_a_regulator_looks_under_a_case_only_and_each_opening_says_which(world: World) -> None:
    stage = await staged(world)
    (file,) = await stage.keep(stage.file())
    inspecting = inspector(world)
    with pytest.raises(NoCase):
        await stage.open(file, inspecting)
    case = await case_of(world)
    await stage.open(file, inspecting)
    assert world.db.codes()[-2:] == ["regulator.used", "view.images"]
    assert world.db.events[-1].public["case"] == case.id
    assert (await stage.look(file, inspecting)).id == file.study.id
    world.clock.advance(days=8)
    with pytest.raises(CaseOver):
        await stage.look(file, inspecting)
    async with world.db.begin() as tx:
        with pytest.raises(NotPermitted):
            await measuring.save(tx, inspecting, stage.consult, 1, [])
