"""What a withdrawal does, per purpose: one table. Pure; `signaling` acts on it before anything is committed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from clinic.consult import Seat
from clinic.people import Role
from consent.records import Purpose


class OnWithdrawal(StrEnum):
    """What another person's withdrawal does to a running recording."""

    PRIVACY_INTERVAL = "privacy_interval"  # they stay, their tracks are not written
    STOP = "stop"


class LateJoiner(StrEnum):
    """What somebody who has not decided about recording meets at the door of a recorded consult."""

    WAIT = "wait"  # they stay in the waiting room until they decide
    PAUSE = "pause"  # they come in, the recording pauses until they decide


class GuestRefuses(StrEnum):
    """What a guest's "no" to recording does while a recording runs."""

    KEEP_OUT = "keep_out"  # they stay in the waiting room; the recording goes on
    UNRECORDED = "unrecorded"  # they come in, nothing is recorded while they are there


class ExamViews(StrEnum):
    """Whether an exam view may ever be recorded."""

    NEVER = "never"
    BY_CONSENT = "by_consent"  # with the patient's INTIMATE and REC_AV both permitted


class ResumeBy(StrEnum):
    """Who ends a privacy pause: who asked for it (the doctor may ask them to), or the leading doctor alone as well."""

    ASKER = "asker"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class RecordingPolicy:
    other_withdraws: OnWithdrawal = OnWithdrawal.PRIVACY_INTERVAL
    late_joiner: LateJoiner = LateJoiner.PAUSE
    guest_refuses: GuestRefuses = GuestRefuses.UNRECORDED
    exam_views: ExamViews = ExamViews.NEVER
    privacy_resume: ResumeBy = ResumeBy.ASKER


class Effect(StrEnum):
    """What a withdrawal does to the running call, at once."""

    STOP_RECORDING = "stop_recording"
    DROP_PERSON = "drop_person"  # from the recording, not from the room
    REMOVE_EXPERTS = "remove_experts"
    END_CONSULT = "end_consult"  # and say where to go instead
    STOP_EXAM_VIEW = "stop_exam_view"
    REMOVE_OBSERVERS = "remove_observers"
    STOP_TRANSCRIPT = "stop_transcript"
    STOP_ASSIST = "stop_assist"
    STOP_TRANSFER = "stop_transfer"  # nothing more goes abroad
    PURGE_DERIVED = "purge_derived"  # copies made for this purpose, `DERIVED`; receivers are told


_CALL: Mapping[Purpose, tuple[Effect, ...]] = {
    Purpose.TREAT: (Effect.END_CONSULT,),
    Purpose.SHARE_PANEL: (Effect.REMOVE_EXPERTS,),
    Purpose.INTIMATE: (Effect.STOP_EXAM_VIEW,),
    Purpose.TEACH: (Effect.PURGE_DERIVED,),
    Purpose.OBSERVE: (Effect.REMOVE_OBSERVERS,),
    Purpose.RESEARCH: (Effect.PURGE_DERIVED,),
    Purpose.AI_TRANSCRIBE: (Effect.STOP_TRANSCRIPT, Effect.PURGE_DERIVED),
    Purpose.AI_ASSIST: (Effect.STOP_ASSIST, Effect.PURGE_DERIVED),
    Purpose.BIOMETRIC: (Effect.PURGE_DERIVED,),
    Purpose.XBORDER: (Effect.STOP_TRANSFER, Effect.PURGE_DERIVED),
}
DERIVED: Mapping[Purpose, tuple[str, ...]] = {  # kinds of copies made for a purpose, to be purged and receivers told
    Purpose.TEACH: ("teaching_copy",),
    Purpose.RESEARCH: ("research_copy",),
    Purpose.AI_TRANSCRIBE: ("transcript", "search_index"),
    Purpose.AI_ASSIST: ("assist_output",),
    Purpose.BIOMETRIC: ("face_template",),
    Purpose.XBORDER: ("copy_abroad",),
}


def of(seat: Seat, purpose: Purpose, policy: RecordingPolicy, basis: str = "consent") -> tuple[Effect, ...]:
    """Everything to do at once, the most urgent first."""
    if purpose is Purpose.REC_AV:
        if seat.role is Role.PATIENT and basis == "legal_duty":
            return (Effect.END_CONSULT,)  # a visit that must be recorded cannot go on unrecorded
        stops = seat.role is Role.PATIENT or policy.other_withdraws is OnWithdrawal.STOP
        return (Effect.STOP_RECORDING if stops else Effect.DROP_PERSON,)
    return _CALL[purpose]


def purge_list(purposes: Iterable[Purpose]) -> tuple[str, ...]:
    """Kinds of derived copies that lose their basis; part of the withdrawal's evidence."""
    return tuple(dict.fromkeys(kind for purpose in purposes for kind in DERIVED.get(purpose, ())))
