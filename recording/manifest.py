"""The digest a sealed recording is signed under, and the manifest a player reads."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import rfc8785

from recording.records import Gap, Recording, Segment


def unix_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def manifest_bytes(recording_id: str, segments: Sequence[Segment], gaps: Sequence[Gap]) -> bytes:
    """RFC 8785 canonical JSON; docs/recording-format.md gives the fields. Order of the arguments does not matter."""
    rows = sorted(segments, key=lambda s: (s.seat_id, s.track, s.number))
    holes = sorted(gaps, key=lambda g: (unix_ms(g.started_at), g.id))
    body: dict[str, Any] = {
        "v": 1,
        "recording": recording_id,
        "segments": [
            [s.seat_id, str(s.track), s.number, s.sha256, s.plain_sha256, unix_ms(s.started_at), s.duration_ms]
            for s in rows
        ],
        "gaps": [
            [g.seat_id or "", str(g.cause), unix_ms(g.started_at), unix_ms(g.ended_at) if g.ended_at else 0]
            for g in holes
        ],
    }
    return rfc8785.dumps(body)


def manifest_sha256(recording_id: str, segments: Sequence[Segment], gaps: Sequence[Gap]) -> str:
    return hashlib.sha256(manifest_bytes(recording_id, segments, gaps)).hexdigest()


def player_manifest(
    recording: Recording, segments: Sequence[Segment], gaps: Sequence[Gap], seats: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """JSON for the player. Times are ms from `startedAt` (the earliest sample); `seats`: seat id -> role, name....

    {"recordingId", "consultId", "state", "startedAt": unix ms, "durationMs", "tracks": [{"seatId", "track", "seat",
    "segments": [{"id", "number", "startMs", "durationMs", "mime", "size", "url", "recovered"}]}],
    "gaps": [{"seatId" | null, "cause", "startMs", "endMs" | null}]}; `url` is relative to the playback address.
    """
    origin = min((unix_ms(s.started_at) for s in segments), default=unix_ms(recording.requested_at))
    tracks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    end = 0
    for segment in sorted(segments, key=lambda s: (s.seat_id, s.track, s.number)):
        start = unix_ms(segment.started_at) - origin
        end = max(end, start + segment.duration_ms)
        tracks.setdefault((segment.seat_id, str(segment.track)), []).append(
            {
                "id": segment.id,
                "number": segment.number,
                "startMs": start,
                "durationMs": segment.duration_ms,
                "mime": segment.mime,
                "size": segment.size,
                "url": f"segments/{segment.id}",
                "recovered": segment.recovered,
            }
        )
    return {
        "recordingId": recording.id,
        "consultId": recording.consult_id,
        "state": str(recording.state),
        "startedAt": origin,
        "durationMs": end,
        "tracks": [
            {"seatId": seat_id, "track": track, "seat": dict(seats.get(seat_id, {})), "segments": rows}
            for (seat_id, track), rows in tracks.items()
        ],
        "gaps": [
            {
                "seatId": gap.seat_id,
                "cause": str(gap.cause),
                "startMs": unix_ms(gap.started_at) - origin,
                "endMs": unix_ms(gap.ended_at) - origin if gap.ended_at else None,
            }
            for gap in sorted(gaps, key=lambda g: (g.started_at, g.id))
        ],
    }
