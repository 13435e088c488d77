"""Errors of the consent domain."""


class ConsentError(Exception):
    """Base; `code` is stable and told to clients."""

    code = "consent.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class ConsentMissing(ConsentError):
    """A purpose that must be permitted is not; `purposes` lists them."""

    code = "consent.missing"

    def __init__(self, purposes: tuple[str, ...]) -> None:
        super().__init__(",".join(purposes))
        self.purposes = purposes


class WordingChanged(ConsentError):
    """What was signed is not what is published now: show the text again."""

    code = "consent.wording_changed"


class DecisionIncomplete(ConsentError):
    """Each purpose of the text must be decided, yes or no; none may be left open."""

    code = "consent.decision_incomplete"


class SignatureInvalid(ConsentError):
    """No strokes, no typed name, or a name that is not the signer's."""

    code = "consent.signature_invalid"


class NothingToWithdraw(ConsentError):
    code = "consent.nothing_to_withdraw"


class RecordingNotPermitted(ConsentError):
    """The recording gate said no; `reasons` are codes, `seats` those who have not agreed."""

    code = "consent.recording_not_permitted"

    def __init__(self, reasons: tuple[str, ...], seats: tuple[str, ...] = ()) -> None:
        super().__init__(",".join(reasons))
        self.reasons = reasons
        self.seats = seats


class CapacityInvalid(ConsentError):
    """The person may not sign in this capacity: too young, a guardian without relation, a child who does not assent."""

    code = "consent.capacity_invalid"


class IdentityTooLow(ConsentError):
    """The signer's identity is not established well enough for this purpose (CN-06)."""

    code = "consent.identity_too_low"


class NotReady(ConsentError):
    """The text cannot be shown yet: no wording is published, or the panel's institution is not named."""

    code = "consent.not_ready"


class CompanionInvalid(ConsentError):
    """Who helps has to be named, with their relation, and decides about recording when seen or heard."""

    code = "consent.companion_invalid"


class SpokenNotRecorded(ConsentError):
    """A spoken agreement is marked only while the person is being recorded, without a hole."""

    code = "consent.spoken_not_recorded"


class SpokenBusy(ConsentError):
    """Somebody is being asked for their spoken agreement already."""

    code = "consent.spoken_busy"


class SpokenNotAsked(ConsentError):
    """Nobody is being asked, or it took too long."""

    code = "consent.spoken_not_asked"


class SpeechFailed(ConsentError):
    """The sound could not be made now; the text is there to be read."""

    code = "consent.speech_unavailable"


class SeatCannotSign(ConsentError):
    """Nothing to sign for this seat, or the consult is over."""

    code = "consent.seat_cannot_sign"


class WordingIncomplete(ConsentError):
    """A required statement or question is missing from the wording; `detail` names it."""

    code = "consent.wording_incomplete"
