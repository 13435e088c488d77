"""What a person hands in when signing, and the checks it must pass. Pure."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clinic.people import IdentityLevel
from consent.errors import CapacityInvalid, DecisionIncomplete, IdentityTooLow, SignatureInvalid, WitnessMissing
from consent.policy import Policy
from consent.records import CapacityBasis, Comprehension, Purpose, SignerCapacity

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_IMAGE = 256 * 1024
MOST_POINTS = 20_000
FEWEST_POINTS = 4
MOST_HINTS = 12
LONGEST_MS = 86_400_000  # a day at one page: beyond it the numbers are made up
LARGEST_FONT = 200
MOST_SWITCHES = 50
MOST_ANSWERS = 6

Point = tuple[int, int, int]  # x, y in CSS pixels; milliseconds since the first point


@dataclass(frozen=True, slots=True)
class SectionReading:
    """How a section was read: evidence, not proof. `shown_ms` after the page opened, `scrolled` 0-100."""

    shown_ms: int
    dwell_ms: int
    scrolled: int
    font_px: int = 0  # 0 = not told
    read_aloud: bool = False
    heard_ms: int = 0  # of our own reading aloud; a browser's voice does not tell


@dataclass(frozen=True, slots=True)
class LocaleSwitch:
    at_ms: int
    locale: str


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
    relation: str | None = None  # of whoever signs for the patient, to the patient
    child_assents: bool = False
    method: Literal["drawn", "typed"] = "drawn"  # typed: the keyboard way, for people who cannot draw
    basis: CapacityBasis | None = None
    proof: str | None = None  # which document shows the relation or the capacity
    authorisation: str | None = None  # reference of the patient's written authorisation of a proxy
    child_name: str | None = None  # typed by the child that assents
    again: bool = False  # the person themself asked to decide anew what they had refused
    locale_switches: tuple[LocaleSwitch, ...] = ()
    decided_ms: Mapping[Purpose, int] = field(default_factory=dict)  # when each box was ticked, after the page opened
    answers: tuple[int, ...] = ()  # options chosen at the comprehension question, first to last


def check_decisions(signing: Signing, asked: Collection[Purpose]) -> None:
    """Each question decided, yes or no, and none that was not asked. Raises DecisionIncomplete."""
    if set(signing.decisions) != set(asked) or any(type(answer) is not bool for answer in signing.decisions.values()):
        raise DecisionIncomplete()


def check_signature(signing: Signing, names: Collection[str]) -> None:
    """A PNG with strokes (of the typed name without any), and the name of the signer. Who signs for another types their
    own. Raises SignatureInvalid.
    """
    points = sum(len(stroke) for stroke in signing.strokes)
    fewest, most = (0, 0) if signing.method == "typed" else (FEWEST_POINTS, MOST_POINTS)
    if not fewest <= points <= most:
        raise SignatureInvalid("strokes")
    image = signing.signature_image
    if not image.startswith(PNG) or len(image) > LARGEST_IMAGE:
        raise SignatureInvalid("image")
    if not _folded(signing.typed_name) or len(signing.typed_name) > 100:
        raise SignatureInvalid("name")
    if (signing.capacity is SignerCapacity.SELF) != is_one_of(signing.typed_name, names):
        raise SignatureInvalid("name")


def check_hints(signing: Signing, sections: Collection[str], check: Comprehension | None) -> None:
    """Reading and device hints stay small and about this text. Raises SignatureInvalid."""
    rows = signing.reading.values()
    times = [value for row in rows for value in (row.shown_ms, row.dwell_ms, row.heard_ms)]
    times += [*signing.decided_ms.values(), *(switch.at_ms for switch in signing.locale_switches)]
    if not set(signing.reading) <= set(sections) or not set(signing.decided_ms) <= set(signing.decisions):
        raise SignatureInvalid("reading")
    if any(not 0 <= row.scrolled <= 100 or not 0 <= row.font_px <= LARGEST_FONT for row in rows):
        raise SignatureInvalid("reading")
    if any(not 0 <= time <= LONGEST_MS for time in times):
        raise SignatureInvalid("reading")
    if len(signing.locale_switches) > MOST_SWITCHES or any(len(each.locale) > 12 for each in signing.locale_switches):
        raise SignatureInvalid("reading")
    options = len(check.options) if check is not None else 0
    if len(signing.answers) > MOST_ANSWERS or any(not 0 <= answer < options for answer in signing.answers):
        raise SignatureInvalid("answers")
    if len(signing.device) > MOST_HINTS or any(len(k) > 40 or len(v) > 300 for k, v in signing.device.items()):
        raise SignatureInvalid("device")


def acts_alone(signing: Signing, age: int | None, policy: Policy) -> bool:
    """Whether the person decides for themself: a guest, an adult, or 16 and self-supporting (Civil Code art. 18)."""
    if age is None or age >= policy.ages["adult"]:
        return True
    working = signing.basis is CapacityBasis.SELF_SUPPORTING and signing.capacity is SignerCapacity.SELF
    return working and age >= policy.ages["self_supporting"]


def check_capacity(signing: Signing, patient_age: int | None, policy: Policy) -> None:
    """`patient_age`: completed years, for the patient's own text; None for a guest's. Raises CapacityInvalid."""
    capacity = signing.capacity
    if capacity in (SignerCapacity.STAFF_NOTICE, SignerCapacity.EMERGENCY):
        raise CapacityInvalid("nobody signs in this capacity")
    if patient_age is None and capacity is not SignerCapacity.SELF:
        raise CapacityInvalid("guests sign for themselves")
    if acts_alone(signing, patient_age, policy):
        _check_for_an_adult(signing)
        return
    if capacity is not SignerCapacity.GUARDIAN or signing.basis not in (None, CapacityBasis.MINOR):
        raise CapacityInvalid("a guardian signs for a child")
    _need("relation", signing.relation, 40)
    if patient_age is not None and patient_age >= policy.ages["own_word"] and not signing.child_assents:
        raise CapacityInvalid("the child does not assent")


_FOR_ADULTS: Mapping[SignerCapacity, tuple[CapacityBasis, tuple[str, ...]]] = {
    SignerCapacity.GUARDIAN: (CapacityBasis.INCAPACITY, ("relation", "proof")),
    SignerCapacity.PROXY: (CapacityBasis.AUTHORISED, ("authorisation",)),
    SignerCapacity.RELATIVE: (CapacityBasis.NOT_TOLD, ("relation", "proof")),
}


def _check_for_an_adult(signing: Signing) -> None:
    if signing.capacity is SignerCapacity.SELF:
        if signing.basis is CapacityBasis.SELF_SUPPORTING:
            _need("proof", signing.proof, 200)
        elif signing.basis not in (None, CapacityBasis.OWN):
            raise CapacityInvalid("this basis is for who signs for another")
        return
    basis, needed = _FOR_ADULTS[signing.capacity]
    if signing.basis is not basis:
        raise CapacityInvalid("adults sign for themselves")
    for name in needed:
        _need(name, getattr(signing, name), 40 if name == "relation" else 200)


def _need(name: str, value: str | None, most: int) -> None:
    if not (value or "").strip() or len(value or "") > most:
        raise CapacityInvalid(name)


def check_witness(signing: Signing, witnessed: SignerCapacity | None) -> None:
    """Who signs for an adult, or as an adult at 16, does so before the clinic's staff. Raises WitnessMissing."""
    alone = signing.capacity is SignerCapacity.SELF and signing.basis is not CapacityBasis.SELF_SUPPORTING
    minor = signing.capacity is SignerCapacity.GUARDIAN and signing.basis in (None, CapacityBasis.MINOR)
    if not alone and not minor and witnessed is not signing.capacity:
        raise WitnessMissing()


def check_identity(signing: Signing, level: IdentityLevel, policy: Policy, *, witnessed: bool) -> None:
    """What each yes needs (CN-06); saying no needs nothing. Raises IdentityTooLow naming the purpose."""
    for purpose, rule in policy.purposes.items():
        lifted = witnessed and rule.witness_lifts
        if signing.decisions.get(purpose) and level < rule.identity and not lifted:
            raise IdentityTooLow(purpose.value)


def is_one_of(name: str, names: Collection[str]) -> bool:
    """The same name, whatever the blanks, dots and width."""
    return _folded(name) in {_folded(each) for each in names if each}


def _folded(name: str) -> str:
    return re.sub(r"[\s·•.]", "", unicodedata.normalize("NFKC", name)).casefold()
