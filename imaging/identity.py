"""Whose picture is it? The names in the file against the case's patient. Pure; what differs is named, never told."""

import unicodedata
from dataclasses import dataclass
from itertools import permutations

from clinic.people import Patient
from imaging.records import Identity

NAME, ID, BIRTH_DATE, SEX = "name", "id", "birth_date", "sex"
_SEXES = frozenset({"F", "M"})  # "O" and nothing say nothing
_MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Named:
    """What a file says of its patient. `names`: every spelling (alphabetic, ideographic, phonetic)."""

    names: tuple[str, ...] = ()
    patient_id: str = ""
    birth_date: str = ""  # YYYYMMDD
    sex: str = ""


def compare(named: Named, patient: Patient) -> tuple[Identity, tuple[str, ...]]:
    """The verdict and the fields that differ.

    A hospital's own number says nothing; only an identity number can. A name in letters is compared with the
    patient's name in letters, where there is one, never with Chinese characters.
    """
    asked = {
        NAME: _name(named.names, patient),
        ID: _id(named.patient_id, patient.id_number),
        BIRTH_DATE: _same(named.birth_date, patient.birth_date.strftime("%Y%m%d")),
        SEX: _same(named.sex.upper(), patient.gender) if {named.sex.upper(), patient.gender} <= _SEXES else None,
    }
    if differs := tuple(field for field, same in asked.items() if same is False):
        return Identity.DIFFERS, differs
    return (Identity.MATCHES if asked[NAME] or asked[ID] else Identity.ABSENT), ()


def worse(one: Identity, other: Identity) -> Identity:
    """Of two files of one study. A confirmation lasts only while nothing new differs."""
    order = (Identity.DIFFERS, Identity.CONFIRMED, Identity.ABSENT, Identity.MATCHES)
    return min(one, other, key=order.index)


def _same(said: str, known: str) -> bool | None:
    return said == known if said else None


def _name(names: tuple[str, ...], patient: Patient) -> bool | None:
    said = [spelt for spelt in map(_spellings, names) if spelt]
    known = [spelt for spelt in map(_spellings, (patient.name, patient.name_en)) if spelt]
    if any(one & other for one in said for other in known):
        return True
    comparable = {_latin(one) for one in said} & {_latin(other) for other in known}
    return False if comparable else None


def _latin(spellings: frozenset[str]) -> bool:
    return all(spelling.isascii() for spelling in spellings)


def _id(said: str, known: str) -> bool | None:
    plain = said.strip().upper()
    return plain == known.upper() if len(plain) == len(known) and plain[:6].isdigit() else None


def _spellings(name: str) -> frozenset[str]:
    """Without marks and blanks, in every order of its words: WANG^XIAO MING is Xiaoming Wang."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    words = "".join(character if character.isalnum() else " " for character in folded).split()
    if not words:
        return frozenset()
    if len(words) > _MOST_WORDS:
        return frozenset({"".join(words)})
    return frozenset("".join(order) for order in permutations(words))
