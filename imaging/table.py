"""The server's side of a shared view: numbers operations, remembers the last, answers who missed some. Pure."""

from collections import OrderedDict, deque
from dataclasses import dataclass

from imaging.viewer import Document, Op, Person, apply, left

KEPT = 512  # operations that a viewer who was away is told one by one; beyond it a snapshot
_RESENT = 4_096  # operation ids that are recognised when they come again


@dataclass(frozen=True, slots=True)
class Stamped:
    """An operation with the version the document has after it."""

    version: int
    op_id: str
    person: Person
    op: Op


@dataclass(frozen=True, slots=True)
class Missed:
    """What a viewer needs to be up to date: operations in order, or the whole document."""

    ops: tuple[Stamped, ...] = ()
    snapshot: Document | None = None


class Table:
    """One per consult, in the process that holds its room."""

    def __init__(self, document: Document | None = None) -> None:
        self.document = document or Document()
        self._recent: deque[Stamped] = deque(maxlen=KEPT)
        self._known: OrderedDict[tuple[str, str], Stamped] = OrderedDict()

    def act(self, op_id: str, person: Person, op: Op) -> Stamped:
        """Apply once; the same operation sent again is answered as before. Raises what `viewer.apply` raises."""
        key = (person.id, op_id)
        if (before := self._known.get(key)) is not None:
            return before
        self.document = apply(self.document, person, op)
        stamped = Stamped(self.document.version, op_id, person, op)
        self._recent.append(stamped)
        self._known[key] = stamped
        if len(self._known) > _RESENT:
            self._known.popitem(last=False)
        return stamped

    def gone(self, person_id: str) -> Stamped | None:
        """Somebody left for good: their lead is free again."""
        op = left(self.document, person_id)
        return None if op is None else self.act(f"gone-{self.document.version}", Person(person_id), op)

    def since(self, version: int) -> Missed:
        """For whoever has `version`. A version of another life of the table (a restart) is answered by a snapshot."""
        if version == self.document.version:
            return Missed()
        oldest = self._recent[0].version if self._recent else self.document.version + 1
        if version > self.document.version or version < oldest - 1:
            return Missed(snapshot=self.document)
        return Missed(tuple(each for each in self._recent if each.version > version))
