"""Which publisher sits in which slot of one viewer. Pure; stable: a join or leave never moves anybody else.

A slot number pairs one audio and one video section (same CNAME), so microphone and camera of one person belong in the
same number. A screen takes a video section of its own, from the far end, where it disturbs no pair.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rtc.negotiation import Kind, ReceiveSection, Source

Occupant = tuple[str, Source]
"""(participant id, source)"""


@dataclass(frozen=True, slots=True)
class Shortage:
    """How many receive sections of each kind the viewer needs in all."""

    audio: int
    video: int


class SlotTable:
    """`update` brings the table in line with what is published; `occupants` is the result by mid."""

    def __init__(self) -> None:
        self._sections: dict[str, ReceiveSection] = {}
        self._taken: dict[str, Occupant] = {}

    @property
    def occupants(self) -> Mapping[str, Occupant]:
        """mid -> who is in it; a mid that is missing is empty."""
        return self._taken

    @property
    def sections(self) -> Mapping[str, ReceiveSection]:
        return self._sections

    def resize(self, sections: Sequence[ReceiveSection]) -> None:
        """A new negotiation: sections that stayed keep their occupants."""
        self._sections = {section.mid: section for section in sections}
        self._taken = {mid: who for mid, who in self._taken.items() if mid in self._sections}

    def update(self, published: Collection[Occupant]) -> set[str]:
        """Empty the slots of those gone, seat the new ones as far as the pool goes; the mids that changed."""
        wanted = set(published)
        changed = {mid for mid, who in self._taken.items() if who not in wanted}
        for mid in changed:
            del self._taken[mid]
        seated = set(self._taken.values())
        for who in sorted(wanted - seated, key=lambda who: (who[1] is Source.SCREEN, who[0], who[1])):
            section = self._place_for(who)
            if section is not None:
                self._taken[section.mid] = who
                changed.add(section.mid)
        return changed

    def shortage(self, published: Collection[Occupant]) -> Shortage | None:
        """What the whole pool would have to be, when `published` does not fit it."""
        audio = sum(1 for _, source in published if source.kind is Kind.AUDIO)
        video = sum(1 for _, source in published if source.kind is Kind.VIDEO)
        have = [section.kind for section in self._sections.values()]
        if audio <= have.count(Kind.AUDIO) and video <= have.count(Kind.VIDEO):
            return None
        return Shortage(audio, video)

    def _place_for(self, who: Occupant) -> ReceiveSection | None:
        participant, source = who
        free = [
            section
            for section in sorted(self._sections.values(), key=lambda section: section.slot)
            if section.kind is source.kind and section.mid not in self._taken
        ]
        if not free:
            return None
        if source is Source.SCREEN:
            return max(free, key=lambda section: (self._is_unpaired(section), section.slot))
        own = self._pair_slot(participant)
        for section in free:
            if section.slot == own:
                return section
        return next((section for section in free if self._slot_is_empty(section.slot)), free[0])

    def _pair_slot(self, participant: str) -> int | None:
        for mid, (who, source) in self._taken.items():
            if who == participant and source is not Source.SCREEN:
                return self._sections[mid].slot
        return None

    def _slot_is_empty(self, slot: int) -> bool:
        return all(section.slot != slot or mid not in self._taken for mid, section in self._sections.items())

    def _is_unpaired(self, section: ReceiveSection) -> bool:
        return all(other.slot != section.slot or other.mid == section.mid for other in self._sections.values())
