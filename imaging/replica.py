"""A viewer's side of the shared view: what the server said, in order, and one's own acts that it has not answered yet.

The reference for clients, and the viewer of headless peers. Messages may be lost, doubled or overtake each other.
"""

from imaging.errors import ImagingError
from imaging.table import Missed, Stamped
from imaging.viewer import Document, Op, Person, apply

MOST_AHEAD = 1_024  # messages held back while an earlier one is missing; beyond it the gap is asked for anew


class Replica:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.confirmed = Document()
        self._ahead: dict[int, Stamped] = {}
        self._pending: dict[str, Op] = {}

    @property
    def gap(self) -> bool:
        """Something is missing: ask the table `since(confirmed.version)`."""
        return bool(self._ahead)

    @property
    def pending(self) -> tuple[tuple[str, Op], ...]:
        """Own acts without an answer, oldest first: sent again after a reconnect, with the same ids."""
        return tuple(self._pending.items())

    @property
    def shown(self) -> Document:
        """The confirmed document with one's own acts on top, so that the hand feels no delay."""
        document = self.confirmed
        for op in self._pending.values():
            try:
                document = apply(document, self.person, op)
            except ImagingError:
                continue  # the server will say so
        return document

    def do(self, op_id: str, op: Op) -> None:
        """One's own act, on its way."""
        self._pending[op_id] = op

    def refused(self, op_id: str) -> None:
        """The server did not take it: it disappears."""
        self._pending.pop(op_id, None)

    def hear(self, stamped: Stamped) -> None:
        """A message of the table, in whatever order."""
        if stamped.person.id == self.person.id:
            self._pending.pop(stamped.op_id, None)
        if stamped.version <= self.confirmed.version:
            return
        if len(self._ahead) < MOST_AHEAD:
            self._ahead[stamped.version] = stamped
        while (following := self._ahead.pop(self.confirmed.version + 1, None)) is not None:
            self.confirmed = apply(self.confirmed, following.person, following.op)

    def catch_up(self, missed: Missed) -> None:
        """The answer to `since`. A snapshot is the truth, whatever one had."""
        if missed.snapshot is not None:
            self.confirmed = missed.snapshot
            self._ahead.clear()
        for stamped in missed.ops:
            self.hear(stamped)
        self._ahead = {version: each for version, each in self._ahead.items() if version > self.confirmed.version}
