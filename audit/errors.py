"""Errors of the audit trail."""


class AuditError(Exception):
    """Base of everything `audit` raises on purpose; `code` is stable."""

    code = "audit.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class UnrecordedWrite(AuditError):
    """A transaction tried to commit an evidential row that no audit event of the same transaction covers."""

    code = "audit.unrecorded_write"


class StaleRow(AuditError):
    """The row changed since it was read (its `rev` moved): read again and decide again."""

    code = "audit.stale_row"


class MissingRow(AuditError):
    """No such row in this institution. "Not yours" and "not there" look the same."""

    code = "not_found"


class DuplicateOperation(AuditError):
    """The client operation id was used before: the earlier outcome stands, nothing changes twice."""

    code = "operation.repeated"


class LogDiverged(AuditError):
    """The log is shorter than, or inconsistent with, the last signed checkpoint: never sign a fork."""

    code = "audit.diverged"


class InvalidEvent(AuditError):
    """The event does not fit a leaf: a float, free text, a non-ASCII string or an unknown type in its public part."""

    code = "audit.invalid_event"


class AppendOnly(AuditError):
    """Rows of this table are never changed."""

    code = "audit.append_only"


class ReadOnly(AuditError):
    """A write inside `Database.read()`."""

    code = "audit.read_only"
