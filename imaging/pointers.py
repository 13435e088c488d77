"""Where everybody points, each in their own colour: shown for a moment, never kept, never on record. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

STAYS_MS = 3_000  # a pointer that does not move goes out
# Okabe-Ito, those that show best on a black picture first.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999")


def colour_of(person_id: str, people: Collection[str]) -> str:
    """By their place among all who may look, here or not: the same on every page, moved already or not yet."""
    return COLOURS[sorted({*people, person_id}).index(person_id) % len(COLOURS)]


@dataclass(frozen=True, slots=True)
class Pointer:
    """`count`: the sender's own; an older one that arrives later is dropped."""

    person_id: str
    instance: str
    frame: int
    x: float
    y: float
    count: int
    at_ms: int


class Pointers:
    def __init__(self) -> None:
        self._held: dict[str, Pointer] = {}

    def point(self, pointer: Pointer) -> bool:
        """Whether it is news."""
        before = self._held.get(pointer.person_id)
        if before is not None and before.count >= pointer.count:
            return False
        self._held[pointer.person_id] = pointer
        return True

    def seen(self, now_ms: int) -> Mapping[str, Pointer]:
        return {person: each for person, each in self._held.items() if now_ms - each.at_ms < STAYS_MS}

    def keep(self, here: Collection[str]) -> None:
        """Forget whoever is not there any more."""
        for person_id in self._held.keys() - set(here):
            del self._held[person_id]
