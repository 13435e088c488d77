"""Who is speaking, from RFC 6464 audio levels. Pure, with hysteresis: a cough or a door does not take the floor."""

from dataclasses import dataclass

_MS = 1_000_000
_SILENCE = 127  # -dBov
_VOICE = 50  # louder than -50 dBov counts as voice
_TAKE_NS = 300 * _MS  # a challenger must lead this long
_HOLD_NS = 1000 * _MS  # the floor is kept at least this long
_QUIET_NS = 3000 * _MS  # nobody loud for this long: nobody speaks
_MARGIN = 6.0  # dB a challenger must be louder than a speaker who goes on
_TIME_CONSTANT_NS = 200 * _MS


@dataclass(slots=True)
class _Voice:
    loudness: float = 0.0  # 0 = silence .. 127 = full scale, smoothed
    heard_ns: int = 0
    lead_since_ns: int | None = None


class SpeakerDetector:
    """`hear` for each level, `decide` a few times a second."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._since_ns = 0
        self._last_voice_ns = 0
        self.current: str | None = None

    def hear(self, participant_id: str, level: int, now_ns: int) -> None:
        """`level` is the element's octet: voice flag and 0..127 -dBov."""
        voice = self._voices.setdefault(participant_id, _Voice(heard_ns=now_ns))
        passed = max(0, now_ns - voice.heard_ns)
        weight = min(1.0, max(0.1, passed / _TIME_CONSTANT_NS))
        voice.loudness += weight * (_SILENCE - (level & 0x7F) - voice.loudness)
        voice.heard_ns = now_ns

    def forget(self, participant_id: str) -> None:
        """Left, or muted: does not hold the floor any longer."""
        self._voices.pop(participant_id, None)
        if self.current == participant_id:
            self.current = None

    def decide(self, now_ns: int) -> str | None:
        """The speaker now; None when nobody has been loud for three seconds."""
        for voice in self._voices.values():
            if now_ns - voice.heard_ns > 2 * _TIME_CONSTANT_NS:  # DTX: silence is not sent
                voice.loudness = 0.0
        loudest = max(self._voices, key=lambda who: self._voices[who].loudness, default=None)
        if loudest is None:
            return self.current
        loud = self._voices[loudest].loudness
        if loud >= _SILENCE - _VOICE:
            self._last_voice_ns = now_ns
        elif now_ns - self._last_voice_ns > _QUIET_NS:
            self.current = None
        self._challenge(loudest, loud, now_ns)
        return self.current

    def _challenge(self, loudest: str, loud: float, now_ns: int) -> None:
        for who, voice in self._voices.items():
            if who != loudest:
                voice.lead_since_ns = None
        challenger = self._voices[loudest]
        if loudest == self.current or loud < _SILENCE - _VOICE:
            challenger.lead_since_ns = None
            return
        holder = self._voices.get(self.current) if self.current is not None else None
        if holder is not None and loud < holder.loudness + _MARGIN:
            challenger.lead_since_ns = None
            return
        if challenger.lead_since_ns is None:
            challenger.lead_since_ns = now_ns
        waited = now_ns - challenger.lead_since_ns >= _TAKE_NS
        if waited and (holder is None or now_ns - self._since_ns >= _HOLD_NS):
            self.current, self._since_ns = loudest, now_ns
