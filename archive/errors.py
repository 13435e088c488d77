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


class AskedAlready(ArchiveError):
    """The same person's request for a hold on this consult still waits for an answer."""

    code = "archive.hold_asked"


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


class Restricted(ArchiveError):
    """Consent was withdrawn: the record is only stored, no ordinary playback."""

    code = "archive.restricted"


class StepUpNeeded(ArchiveError):
    """Approving destruction needs a fresh second authentication."""

    code = "archive.step_up_needed"


class ApprovalsMissing(ArchiveError):
    """Fewer approvals than the policy asks for."""

    code = "archive.approvals_missing"


class ClockJumped(ArchiveError):
    """The clock went back, or leapt: nothing is destroyed until the operator confirms the time."""

    code = "archive.clock_jumped"


class PurgeIncomplete(ArchiveError):
    """The object store still lists objects of a destroyed recording: run again."""

    code = "archive.purge_incomplete"


class PoliciesInvalid(ArchiveError):
    """A policy file is incomplete or contradicts itself; `detail` says where."""

    code = "archive.policies_invalid"
