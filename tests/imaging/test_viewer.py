"""The shared view: rules of the lead and of measurements, and eight viewers who end up seeing the same."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.errors import ImagingError
from imaging.measurement import Measurement, Shape
from imaging.pointers import COLOURS, STAYS_MS, Pointer, Pointers, colour_of
from imaging.replica import Replica
from imaging.table import KEPT, Stamped, Table
from imaging.viewer import (
    MOST_MEASUREMENTS,
    Document,
    Follow,
    Lead,
    NotLeading,
    NotYours,
    Op,
    Person,
    Place,
    Put,
    Scroll,
    Show,
    TableFull,
    Take,
    View,
    Window,
    apply,
)

CHAIR, EXPERT, OTHER = Person("chair", presides=True), Person("expert"), Person("other")


def mark(name: str, by: Person, x: float = 1.0) -> Measurement:
    return Measurement(name, by.id, "i", 0, Shape.POINT, ((x, 2.0),))


def after(*acts: tuple[Person, Op]) -> Document:
    document = Document()
    for person, op in acts:
        document = apply(document, person, op)
    return document


def test_another_picture_begins_anew() -> None:
    moved = after((EXPERT, Show("s", 3)), (EXPERT, Window(40, 400)), (EXPERT, Place(2, 5, 6)), (EXPERT, Scroll(9)))
    assert moved.view == View("s", 9, 40, 400, 2, 5, 6)
    assert apply(moved, OTHER, Show("t")).view == View("t")
    assert moved.version == 4


def test_who_leads_moves_the_view_and_the_others_follow_or_look_apart() -> None:
    led = after((EXPERT, Lead("expert")), (OTHER, Follow(False)))
    assert (led.leader, led.apart) == ("expert", frozenset({"other"}))
    for op in (Show("s"), Scroll(1), Window(1, 2), Place(1, 0, 0)):
        with pytest.raises(NotLeading):
            apply(led, OTHER, op)
        assert apply(led, EXPERT, op)
    assert apply(led, OTHER, Follow(True)).apart == frozenset()


def test_the_lead_is_handed_on_given_up_or_taken_by_who_presides() -> None:
    led = after((EXPERT, Lead("expert")))
    with pytest.raises(NotLeading):
        apply(led, OTHER, Lead("other"))
    with pytest.raises(NotLeading):
        apply(led, OTHER, Lead(""))
    assert apply(led, EXPERT, Lead("other")).leader == "other"
    assert apply(led, EXPERT, Lead("")).leader == ""
    assert apply(led, CHAIR, Lead("chair")).leader == "chair"
    with pytest.raises(NotLeading):
        apply(Document(), OTHER, Lead("expert"))
    assert apply(Document(), CHAIR, Lead("expert")).leader == "expert"


def test_a_leader_cannot_look_apart_from_themselves() -> None:
    apart = after((OTHER, Follow(False)), (OTHER, Lead("other")))
    assert apart.apart == frozenset()


def test_a_measurement_belongs_to_who_made_it() -> None:
    drawn = after((EXPERT, Put(mark("m", EXPERT))))
    for op in (Put(mark("m", OTHER)), Put(mark("m", EXPERT)), Take("m")):
        with pytest.raises(NotYours):
            apply(drawn, OTHER, op)
    assert apply(drawn, EXPERT, Put(mark("m", EXPERT, 7))).measurements["m"].points == ((7, 2),)
    assert apply(drawn, CHAIR, Take("m")).measurements == {}
    assert apply(drawn, OTHER, Take("gone")).measurements == drawn.measurements


def test_a_table_is_not_covered_with_marks() -> None:
    full = Document(measurements={str(n): mark(str(n), EXPERT) for n in range(MOST_MEASUREMENTS)})
    with pytest.raises(TableFull):
        apply(full, EXPERT, Put(mark("more", EXPERT)))
    assert apply(full, EXPERT, Put(mark("3", EXPERT, 9))).measurements["3"].points == ((9, 2),)


def test_the_same_act_sent_again_is_answered_as_before() -> None:
    table = Table()
    first = table.act("a", EXPERT, Scroll(1))
    table.act("b", EXPERT, Scroll(2))
    assert table.act("a", EXPERT, Scroll(1)) == first
    assert table.document.view.at == 2
    assert table.act("a", OTHER, Scroll(5)).version == 3, "ids are each person's own"


def test_who_leaves_takes_the_lead_with_nobody() -> None:
    table = Table()
    table.act("a", EXPERT, Lead("expert"))
    assert table.gone("other") is None
    stamped = table.gone("expert")
    assert stamped is not None
    assert table.document.leader == ""


def test_who_missed_little_is_told_each_act_who_missed_much_the_whole() -> None:
    table = Table()
    for number in range(KEPT + 10):
        table.act(str(number), EXPERT, Scroll(number))
    assert table.since(table.document.version).ops == ()
    assert [each.version for each in table.since(KEPT + 7).ops] == [KEPT + 8, KEPT + 9, KEPT + 10]
    assert table.since(3).snapshot == table.document
    assert table.since(10_000).snapshot == table.document, "from another life of the server"
    assert Table(Document(version=5)).since(2).snapshot is not None


def test_ones_own_acts_are_shown_at_once_and_disappear_when_refused() -> None:
    table, mine = Table(), Replica(EXPERT)
    mine.do("a", Scroll(4))
    assert (mine.shown.view.at, mine.confirmed.view.at) == (4, 0)
    led = table.act("l", CHAIR, Lead("chair"))
    mine.hear(led)
    assert mine.shown.view.at == 0, "it will be refused"
    with pytest.raises(NotLeading):
        table.act("a", EXPERT, Scroll(4))
    mine.refused("a")
    assert mine.pending == ()
    assert mine.shown == table.document


def test_pointers_are_the_newest_and_go_out() -> None:
    pointers = Pointers()
    one = Pointer("a", "i", 0, 1, 2, 5, 1_000)
    assert pointers.point(one)
    assert not pointers.point(replace(one, count=4))
    assert set(pointers.seen(1_000 + STAYS_MS - 1)) == {"a"}
    assert not pointers.seen(1_000 + STAYS_MS)
    pointers.keep(["b"])
    assert pointers.point(replace(one, count=1)), "who left and came back counts anew"


def test_a_colour_is_the_same_whoever_asks_and_whoever_moved_first() -> None:
    people = [str(person) for person in range(8)]
    colours = [colour_of(person, people) for person in people]
    assert colours == list(COLOURS)
    assert colour_of("3", people[::-1]) == colour_of("3", set(people)) == colours[3]
    assert colour_of("9", people) == colours[0], "more people than colours"


def test_who_was_away_for_long_takes_the_whole_and_forgets_what_was_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    table, late = Table(), Replica(OTHER)
    stamped = [table.act(str(number), EXPERT, Scroll(number)) for number in range(KEPT + 5)]
    late.hear(stamped[-1])
    late.hear(stamped[2])
    assert (late.gap, late.confirmed.version) == (True, 0)
    late.catch_up(table.since(0))
    assert (late.gap, late.confirmed) == (False, table.document)
    late.hear(stamped[1])
    assert late.confirmed == table.document, "old news"
    monkeypatch.setattr("imaging.replica.MOST_AHEAD", 2)
    flooded = Replica(OTHER)
    for each in stamped[1:6]:
        flooded.hear(each)
    assert len(flooded._ahead) == 2
    flooded.hear(stamped[1])
    flooded.catch_up(table.since(0))
    assert flooded.confirmed == table.document


def test_very_old_acts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaging.table._RESENT", 2)
    table = Table()
    for number in range(4):
        table.act(str(number), EXPERT, Scroll(number))
    assert len(table._known) == 2


# --- eight viewers, a bad network ---

PEOPLE = [Person(f"v{number}", presides=number == 0) for number in range(8)]


def ops_of(person: Person) -> st.SearchStrategy[Op]:
    names = st.sampled_from([f"{person.id}-{n}" for n in range(3)])
    return st.one_of(
        st.builds(Show, st.sampled_from(["s", "t"]), st.integers(0, 499)),
        st.builds(Scroll, st.integers(0, 499)),
        st.builds(Window, st.integers(-1000, 1000), st.integers(1, 4000)),
        st.builds(Place, st.integers(1, 8), st.integers(-99, 99), st.integers(-99, 99)),
        st.builds(Lead, st.sampled_from(["", person.id, "v0", "v5"])),
        st.builds(Follow, st.booleans()),
        st.builds(lambda name, x: Put(mark(name, person, x)), names, st.integers(0, 99)),
        st.builds(Take, st.sampled_from([f"v{n}-0" for n in range(8)])),
    )


ACTS = st.lists(
    st.integers(0, 7).flatmap(lambda who: st.tuples(st.just(who), ops_of(PEOPLE[who]))), min_size=1, max_size=80
)


@settings(max_examples=60, deadline=None)
@given(ACTS, st.integers(0, 2**32), st.floats(0, 0.6), st.integers(3, 40))
def test_eight_viewers_converge_over_a_bad_network(
    acts: list[tuple[int, Op]], seed: int, loss: float, kept: int
) -> None:
    """Acts and answers are lost, doubled and overtake each other; in the end all see the same."""
    world = Bad(random.Random(seed), loss, kept)
    for number, (who, op) in enumerate(acts):
        viewer = world.viewers[who]
        op_id = f"op-{number}"
        viewer.do(op_id, op)
        world.send(who, op_id, op)
        world.deliver()
    world.settle()
    for viewer in world.viewers:
        assert viewer.confirmed == world.table.document
        assert viewer.shown == world.table.document
        assert viewer.pending == ()
        assert not viewer.gap
    assert world.table.document.version == world.taken


class Bad:
    """A table, eight viewers and what is on its way between them."""

    def __init__(self, chance: random.Random, loss: float, kept: int) -> None:
        self.chance = chance
        self.loss = loss
        self.table = Table()
        self.table._recent = type(self.table._recent)(maxlen=kept)
        self.viewers = [Replica(person) for person in PEOPLE]
        self.wire: list[tuple[int, Any]] = []
        self.away: set[int] = set()
        self.taken = 0

    def send(self, who: int, op_id: str, op: Op) -> None:
        """To the server, perhaps; its answer goes to everybody, perhaps, perhaps twice."""
        if self.chance.random() < self.loss:
            return
        before = self.table.document.version
        try:
            stamped = self.table.act(op_id, PEOPLE[who], op)
        except ImagingError:
            self.put(who, op_id)
            return
        self.taken += self.table.document.version - before
        for each in range(8):
            self.put(each, stamped)

    def put(self, who: int, message: Stamped | str) -> None:
        if who in self.away:
            return
        if self.chance.random() >= self.loss:
            self.wire.append((who, message))
        if self.chance.random() < 0.1:
            self.wire.append((who, message))

    def deliver(self) -> None:
        """Some of it, in any order."""
        self.chance.shuffle(self.wire)
        for _ in range(self.chance.randint(0, len(self.wire))):
            who, message = self.wire.pop()
            if isinstance(message, str):
                self.viewers[who].refused(message)
            else:
                self.viewers[who].hear(message)
        if self.chance.random() < 0.2:
            self.reconnect(self.chance.randrange(8))
        if self.chance.random() < 0.1:
            self.away.add(self.chance.randrange(8))

    def reconnect(self, who: int) -> None:
        """Catch up, then send again what has no answer."""
        self.away.discard(who)
        viewer = self.viewers[who]
        viewer.catch_up(self.table.since(viewer.confirmed.version))
        for op_id, op in viewer.pending:
            self.send(who, op_id, op)

    def settle(self) -> None:
        """The network is well again."""
        self.loss = 0.0
        for who in range(8):
            self.reconnect(who)
        while self.wire:
            self.deliver()
        for who in range(8):
            self.reconnect(who)
        while self.wire:
            self.deliver()
