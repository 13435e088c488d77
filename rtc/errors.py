"""Errors of the media plane. Every one carries a stable code; the edges turn it into an ack or a problem."""


class MediaError(Exception):
    """Base of everything `rtc` raises on purpose."""

    code = "media.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class ParseError(MediaError):
    """Bytes or text from the network that are not what they claim to be. The only error a parser may raise."""

    code = "media.malformed"


class OfferRefused(MediaError):
    """A well-formed offer that this server will not answer: no fingerprint, weak hash, no common codec, no BUNDLE."""

    code = "media.offer_refused"


class NotGranted(MediaError):
    """The participant's grants do not cover what was asked."""

    code = "media.not_granted"


class RoomClosed(MediaError):
    code = "media.room_closed"


class UnknownParticipant(MediaError):
    code = "media.unknown_participant"
