"""Recording, Segment, Gap: the rows and the one transition table."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from recording.errors import IllegalMove


class RecordingState(StrEnum):
    REQUESTED = "requested"  # permitted and committed; no byte on disk yet
    ACTIVE = "active"  # the first fragment is on disk; only now may anyone say "recording"
    PAUSED = "paused"
    FINALIZING = "finalizing"
    SEALED = "sealed"
    FAILED = "failed"  # sealed with nothing in it


MOVES: dict[RecordingState, frozenset[RecordingState]] = {
    RecordingState.REQUESTED: frozenset({RecordingState.ACTIVE, RecordingState.PAUSED, RecordingState.FINALIZING}),
    RecordingState.ACTIVE: frozenset({RecordingState.PAUSED, RecordingState.FINALIZING}),
    RecordingState.PAUSED: frozenset({RecordingState.REQUESTED, RecordingState.ACTIVE, RecordingState.FINALIZING}),
    RecordingState.FINALIZING: frozenset({RecordingState.SEALED, RecordingState.FAILED}),
    RecordingState.SEALED: frozenset(),
    RecordingState.FAILED: frozenset(),
}


class Track(StrEnum):
    AV = "av"  # camera and microphone of one person together
    SCREEN = "screen"


class GapCause(StrEnum):
    PAUSED = "paused"  # somebody unsigned joined
    PRIVACY = "privacy"  # somebody present asked for a privacy pause
    EXAM = "exam"  # an exam view was on
    SIDE_ROOM = "side_room"  # this person was in the experts' side-room (HZ-34)
    WITHDRAWN = "withdrawn"
    CRASH = "crash"  # server or recorder died
    NETWORK = "network"  # the person's connection was lost
    NO_SPACE = "no_space"
    OVERLOAD = "overload"  # the recorder could not keep up: packets were dropped rather than the call slowed


@dataclass(frozen=True, slots=True)
class Recording:
    id: str
    institution_id: str
    consult_id: str
    state: RecordingState
    key_id: str
    requested_by: str  # seat id
    requested_at: datetime
    started_at: datetime | None = None  # first byte on disk
    stopped_at: datetime | None = None
    sealed_at: datetime | None = None
    stop_reason: str | None = None  # "ended", "withdrawn", "stopped", "no_space", "crash", ...
    retention_class: str | None = None  # stamped at sealing
    policy_version: str | None = None
    manifest_sha256: str | None = None  # over the ordered segments' digests and the gaps

    def move(self, to: RecordingState, now: datetime, reason: str | None = None) -> "Recording":
        """The recording in its new state. Raises IllegalMove."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.state}->{to}")
        return replace(
            self,
            state=to,
            started_at=now if to is RecordingState.ACTIVE and self.started_at is None else self.started_at,
            stopped_at=now if to is RecordingState.FINALIZING and self.stopped_at is None else self.stopped_at,
            sealed_at=now if to in (RecordingState.SEALED, RecordingState.FAILED) else self.sealed_at,
            stop_reason=reason or self.stop_reason,
        )

    @property
    def over(self) -> bool:
        return not MOVES[self.state]


@dataclass(frozen=True, slots=True)
class Segment:
    """One self-contained encrypted file of one person, starting on a key frame."""

    id: str
    institution_id: str
    consult_id: str
    recording_id: str
    seat_id: str
    track: Track
    number: int  # per (recording, seat, track), from 0
    mime: str  # 'video/webm; codecs="vp8,opus"': what a browser's SourceBuffer is told
    started_at: datetime  # server clock, of the first sample
    duration_ms: int
    size: int  # bytes of the encrypted file
    sha256: str  # of the encrypted file
    plain_sha256: str
    blob_key: str  # "<institution>/<recording>/<seat>/<track>-<number>.hzs"
    recovered: bool = False  # cut short by a crash and closed after the restart


@dataclass(frozen=True, slots=True)
class SpokenMark:
    """Where in a recording a person says "I agree" aloud. It supplements the signature and replaces nothing."""

    id: str
    institution_id: str
    consult_id: str
    recording_id: str
    seat_id: str
    asked_by: str  # seat id
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole that is known and explained. seat_id None = everybody."""

    id: str
    institution_id: str
    consult_id: str
    recording_id: str
    seat_id: str | None
    cause: GapCause
    started_at: datetime
    ended_at: datetime | None
