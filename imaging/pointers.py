"""Where everybody points, each in their own colour: shown for a moment, never kept, never on record. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

STAYS_MS = 3_000  # a pointer that does not move goes out
# Okabe-Ito, those that show best on a black picture first.
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#999999")


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
        self._colours: dict[str, str] = {}

    def point(self, pointer: Pointer) -> bool:
        """Whether it is news."""
        before = self._held.get(pointer.person_id)
        if before is not None and before.count >= pointer.count:
            return False
        self._held[pointer.person_id] = pointer
        return True

    def seen(self, now_ms: int) -> Mapping[str, Pointer]:
        return {person: each for person, each in self._held.items() if now_ms - each.at_ms < STAYS_MS}

    def colour(self, person_id: str) -> str:
        """The same for as long as they stay; the least used one for who comes."""
        if person_id not in self._colours:
            used = list(self._colours.values())
            self._colours[person_id] = min(COLOURS, key=lambda colour: (used.count(colour), COLOURS.index(colour)))
        return self._colours[person_id]

    def keep(self, here: Collection[str]) -> None:
        """Forget whoever is not there any more."""
        for person_id in [each for each in self._colours if each not in here]:
            self._held.pop(person_id, None)
            del self._colours[person_id]
