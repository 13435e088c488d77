"""Errors of the archive."""


class ArchiveError(Exception):
    code = "archive.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class NoGrant(ArchiveError):
    """No live grant covers this viewing."""

    code = "archive.no_grant"


class IllegalMove(ArchiveError):
    code = "archive.illegal_move"


class Held(ArchiveError):
    """A legal hold stops it."""

    code = "archive.held"


class NotDue(ArchiveError):
    code = "archive.not_due"


class SameHands(ArchiveError):
    """Proposer, approver and doctor of the case must be different people."""

    code = "archive.same_hands"


class ListChanged(ArchiveError):
    """The batch is not the list that was approved: approvals are void."""

    code = "archive.list_changed"


class AlreadyDisposed(ArchiveError):
    code = "archive.disposed"
