"""Errors of the recorder and the player."""


class RecordingError(Exception):
    code = "recording.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class IllegalMove(RecordingError):
    code = "recording.illegal_move"


class RecorderUnavailable(RecordingError):
    """The recorder process does not answer; nothing is being written."""

    code = "recording.recorder_unavailable"


class NoSpace(RecordingError):
    """Free space is below the floor: recording does not start, a running one stops; the call goes on."""

    code = "recording.no_space"


class SegmentDamaged(RecordingError):
    """Header, frame or digest does not verify."""

    code = "recording.segment_damaged"


class KeyDestroyed(RecordingError):
    """The key was destroyed by a lawful disposal; the content is gone."""

    code = "recording.destroyed"
