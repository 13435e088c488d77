"""What a participant's media looks like right now, for the quality mark, `/metrics` and operators. No personal data."""

from dataclasses import dataclass

from rtc.negotiation import Source


@dataclass(frozen=True, slots=True)
class LayerStats:
    """One incoming encoding. `loss` 0..1 over the last report interval, before repair; `jitter_ms` interarrival."""

    rid: str
    active: bool
    bps: float
    width: int
    height: int
    packets: int
    bytes: int
    loss: float
    jitter_ms: float
    missing: int
    recovered: int
    unrecovered: int
    duplicates: int
    malformed: int
    refused: int  # packets dropped because not granted or silenced
    keyframes: int
    keyframe_requests: int


@dataclass(frozen=True, slots=True)
class ProducerStats:
    source: Source
    live: bool
    granted: bool
    paused: bool
    layers: tuple[LayerStats, ...]


@dataclass(frozen=True, slots=True)
class ConsumerStats:
    """One slot. `layer` None = nothing is sent; `height` of the picture shown; `loss` as the viewer reported it."""

    mid: str
    participant_id: str | None
    source: Source | None
    layer: int | None
    height: int | None
    waiting_for_keyframe: bool
    packets: int
    octets: int
    frames: int
    bps: float
    loss: float
    jitter_ms: float
    retransmitted: int
    unanswered_nacks: int
    switches: int
    freezes_suspected: int


@dataclass(frozen=True, slots=True)
class ParticipantStats:
    """`rtt_ms` None until measured. `estimate_bps` is the downlink estimate, `video_state` on / resting / probation."""

    rtt_ms: float | None
    uplink_loss: float
    downlink_loss: float
    uplink_bps: float
    downlink_bps: float
    estimate_bps: float
    video_state: str
    packets_in: int
    bytes_in: int
    malformed: int
    unknown: int
    probes: int
    producers: tuple[ProducerStats, ...]
    consumers: tuple[ConsumerStats, ...]
