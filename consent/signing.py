"""What a person hands in when signing, and the checks it must pass. Pure."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clinic.people import IdentityLevel
from clinic.rulebook import RuleSet
from consent.errors import CapacityInvalid, DecisionIncomplete, IdentityTooLow, SignatureInvalid
from consent.records import Purpose, SignerCapacity

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_IMAGE = 256 * 1024
MOST_POINTS = 20_000
FEWEST_POINTS = 4
MOST_HINTS = 12
ADULT = 18
OWN_WORD = 8  # Civil Code art. 19-20: below, the guardian acts; up to 18, guardian and child

Point = tuple[int, int, int]  # x, y in CSS pixels; milliseconds since the first point


@dataclass(frozen=True, slots=True)
class SectionReading:
    """How a section was read: evidence, not proof. `shown_ms` after the page opened, `scrolled` 0-100."""

    shown_ms: int
    dwell_ms: int
    scrolled: int
    heard_ms: int = 0  # of our own reading aloud; a browser's voice does not tell


@dataclass(frozen=True, slots=True)
class Signing:
    """One person's signature under one text, every question decided."""

    operation_id: str
    template_id: str
    shown_digest: str  # sha256 of what was shown, as `present` gave it
    decisions: Mapping[Purpose, bool]
    typed_name: str
    signature_image: bytes  # PNG
    strokes: tuple[tuple[Point, ...], ...]  # none when `method` is "typed"
    reading: Mapping[str, SectionReading] = field(default_factory=dict)
    device: Mapping[str, str] = field(default_factory=dict)
    capacity: SignerCapacity = SignerCapacity.SELF
    relation: str | None = None  # of a guardian to the patient
    child_assents: bool = False
    method: Literal["drawn", "typed"] = "drawn"  # typed: the keyboard way, for people who cannot draw


def check_decisions(signing: Signing, asked: Collection[Purpose]) -> None:
    """Each question decided, yes or no, and none that was not asked. Raises DecisionIncomplete."""
    if set(signing.decisions) != set(asked) or any(type(answer) is not bool for answer in signing.decisions.values()):
        raise DecisionIncomplete()


def check_signature(signing: Signing, names: Collection[str]) -> None:
    """A PNG with strokes (of the typed name without any), and the name of the signer. A guardian types their own.

    Raises SignatureInvalid.
    """
    points = sum(len(stroke) for stroke in signing.strokes)
    fewest, most = (0, 0) if signing.method == "typed" else (FEWEST_POINTS, MOST_POINTS)
    if not fewest <= points <= most:
        raise SignatureInvalid("strokes")
    image = signing.signature_image
    if not image.startswith(PNG) or len(image) > LARGEST_IMAGE:
        raise SignatureInvalid("image")
    typed = _folded(signing.typed_name)
    if not typed or len(signing.typed_name) > 100:
        raise SignatureInvalid("name")
    known = {_folded(name) for name in names if name}
    if (signing.capacity is SignerCapacity.GUARDIAN) == (typed in known):
        raise SignatureInvalid("name")


def check_hints(signing: Signing, sections: Collection[str]) -> None:
    """Reading and device hints stay small and about this text. Raises SignatureInvalid."""
    if not set(signing.reading) <= set(sections):
        raise SignatureInvalid("reading")
    if any(
        not 0 <= row.scrolled <= 100 or min(row.shown_ms, row.dwell_ms, row.heard_ms) < 0
        for row in signing.reading.values()
    ):
        raise SignatureInvalid("reading")
    if len(signing.device) > MOST_HINTS or any(len(k) > 40 or len(v) > 300 for k, v in signing.device.items()):
        raise SignatureInvalid("device")


def check_capacity(signing: Signing, patient_age: int | None) -> None:
    """`patient_age`: completed years, for the patient's own text; None for a guest's. Raises CapacityInvalid."""
    guardian = signing.capacity is SignerCapacity.GUARDIAN
    if signing.capacity is SignerCapacity.STAFF_NOTICE:
        raise CapacityInvalid("staff acknowledge, they do not sign")
    if patient_age is None or patient_age >= ADULT:
        if guardian:
            raise CapacityInvalid("adults sign for themselves")
        return
    if not guardian:
        raise CapacityInvalid("a guardian signs for a child")
    if not (signing.relation or "").strip() or len(signing.relation or "") > 40:
        raise CapacityInvalid("relation")
    if patient_age >= OWN_WORD and not signing.child_assents:
        raise CapacityInvalid("the child does not assent")


def check_identity(signing: Signing, level: IdentityLevel, rules: RuleSet) -> None:
    """TREAT needs L2, SHARE_PANEL L3 (CN-06; saying no needs nothing). Raises IdentityTooLow."""
    needed = {
        Purpose.TREAT: rules.value("CN-06", "minimum_identity_level"),
        Purpose.SHARE_PANEL: rules.value("CN-06", "panel_identity_level"),
    }
    for purpose, minimum in needed.items():
        if signing.decisions.get(purpose) and level < minimum:
            raise IdentityTooLow(purpose.value)


def _folded(name: str) -> str:
    return re.sub(r"[\s·•.]", "", unicodedata.normalize("NFKC", name)).casefold()
