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
    """What the wording lacks; `reasons` lists everything as "what:which"."""

    code = "consent.wording_incomplete"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons


class PolicyNotAllowed(ConsentError):
    """The rules of the place do not leave this choice to the institution (HZ-17); `field` names it."""

    code = "consent.policy_not_allowed"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class PolicyInvalid(ConsentError):
    """A policy file is incomplete or contradicts itself; `detail` says where."""

    code = "consent.policy_invalid"


class DraftClosed(ConsentError):
    """The draft has been published or discarded."""

    code = "consent.draft_closed"


class DraftChanged(ConsentError):
    """The draft is not what was reviewed: read it again."""

    code = "consent.draft_changed"


class DraftUnchanged(ConsentError):
    """The draft says the same as the version in force."""

    code = "consent.draft_unchanged"


class SameHands(ConsentError):
    """Author, reviewer and publisher must be three people."""

    code = "consent.same_hands"


class NotReviewed(ConsentError):
    """Nobody has reviewed exactly this text yet."""

    code = "consent.not_reviewed"


class AlreadyRefused(ConsentError):
    """The person said no in this consult; only they themselves may ask to decide again (条例 art. 22)."""

    code = "consent.already_refused"

    def __init__(self, purposes: tuple[str, ...]) -> None:
        super().__init__(",".join(purposes))
        self.purposes = purposes


class NothingToAsk(ConsentError):
    """Everything asked for has been decided, or the text has no such question."""

    code = "consent.nothing_to_ask"


class WitnessMissing(ConsentError):
    """This capacity needs a member of the clinic's staff who saw the documents and the signing."""

    code = "consent.witness_missing"


class EmergencyNotOpen(ConsentError):
    """No emergency consent: somebody has decided already, or the doctor of the consult would approve it themselves."""

    code = "consent.emergency_not_open"


class NothingToCorrect(ConsentError):
    """The record is no signing or withdrawal of this consult, or has been corrected already."""

    code = "consent.nothing_to_correct"


class OfflineVisit(ConsentMissing):
    """The institution must record by law and the patient said no: an offline visit is offered."""

    code = "consent.offline_visit"


class DecideFirst(ConsentMissing):
    """The consult is being recorded: who has not decided about it waits outside (policy `late_joiner`)."""

    code = "consent.decide_first"


class GuestRefusedRecording(ConsentMissing):
    """The consult is being recorded: a guest who said no waits outside (policy `guest_refuses`)."""

    code = "consent.guest_refused_recording"


class AskAgain(ConsentMissing):
    """What the consent rests on has changed since (another doctor, institution, course, ...): the page asks again."""

    code = "consent.ask_again"


class TranscriptionNotPermitted(ConsentError):
    """The transcription gate said no; `reasons` are codes, `seats` those who have not agreed."""

    code = "consent.transcription_not_permitted"

    def __init__(self, reasons: tuple[str, ...], seats: tuple[str, ...] = ()) -> None:
        super().__init__(",".join(reasons))
        self.reasons = reasons
        self.seats = seats


class AskerDecides(ConsentError):
    """A privacy pause or an exam view is ended by whoever asked for or confirmed it; they have been asked."""

    code = "consent.asker_decides"


class NothingToResume(ConsentError):
    """No privacy pause is on."""

    code = "consent.nothing_to_resume"


class ExamDeclined(ConsentError):
    """The patient said no to an exam view: they are not asked again in this consult, but may offer it themselves."""

    code = "consent.exam_declined"


class NoExam(ConsentError):
    """No exam view is on, or none was asked for."""

    code = "consent.no_exam"
