"""What the recorder asks the domain: may it write, and under which retention class is what it wrote."""

from collections.abc import Callable, Sequence
from datetime import datetime

from archive.policy import PROCESS_AV, stamp
from clinic.consult import Consult, Seat
from consent.companions import Companion
from consent.gate import RecordingPolicy, recording_grant
from consent.grant import RecordingGrant
from consent.records import ConsentRecord
from recording.ports import Gate, RetentionStamp


def gate_of(policy_of: Callable[[Consult], RecordingPolicy]) -> Gate:
    """`consent.gate.recording_grant` with the policy of each consult's institution."""

    def judge(
        consult: Consult,
        recording_id: str,
        present: Sequence[Seat],
        records: Sequence[ConsentRecord],
        *,
        now: datetime,
        beside: Sequence[Companion],
    ) -> RecordingGrant:
        return recording_grant(
            consult, recording_id, present, records, policy=policy_of(consult), now=now, beside=beside
        )

    return judge


def stamp_of(_consult: Consult) -> RetentionStamp:
    """The class and policy version a recording is sealed under."""
    stamped = stamp(PROCESS_AV)
    return RetentionStamp(stamped.record_class, stamped.policy_version)
