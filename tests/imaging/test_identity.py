"""Whose picture: every spelling, nothing guessed."""

from datetime import date
from typing import Any

import pytest

from clinic.people import IdentityLevel, Patient
from imaging.identity import Named, compare, worse
from imaging.records import Identity
from tests.support.clock import START


def patient(**changes: Any) -> Patient:
    values: dict[str, Any] = {
        "id": "p",
        "institution_id": "i",
        "name": "欧阳鹤",
        "birth_date": date(1970, 1, 2),
        "gender": "F",
        "id_number": "110101197001020027",
        "phone": "1",
        "identity_level": IdentityLevel.L1,
        "created_at": START,
        "name_en": "Ouyang He",
    }
    return Patient(**(values | changes))


@pytest.mark.parametrize(
    ("named", "verdict", "differs"),
    [
        (Named(("OUYANG^HE", "欧阳^鹤"), "H1", "19700102", "F"), Identity.MATCHES, ()),
        (Named(("He, Ou Yang",)), Identity.MATCHES, ()),
        (Named(("欧阳鹤",)), Identity.MATCHES, ()),
        (Named(("ＯＵＹＡＮＧ　ＨＥ",)), Identity.MATCHES, ()),
        (Named(("LI^SI",)), Identity.DIFFERS, ("name",)),
        (Named(("李^四", "OUYANG^HE")), Identity.MATCHES, ()),
        (Named((), "110101197001020027"), Identity.MATCHES, ()),
        (Named((), "110101197001020028"), Identity.DIFFERS, ("id",)),
        (Named((), "MZ000123"), Identity.ABSENT, ()),
        (Named(("欧阳鹤",), "", "19700103", "M"), Identity.DIFFERS, ("birth_date", "sex")),
        (Named(("",), "", "", "O"), Identity.ABSENT, ()),
        (Named(), Identity.ABSENT, ()),
        (Named((), "", "19700102", "F"), Identity.ABSENT, ()),
        (Named(("A B C D E F G",)), Identity.DIFFERS, ("name",)),
    ],
)
def test_what_a_file_says_against_who_the_patient_is(named: Named, verdict: Identity, differs: tuple[str, ...]) -> None:
    assert compare(named, patient()) == (verdict, differs)


def test_letters_and_characters_are_not_compared_with_each_other() -> None:
    assert compare(Named(("OUYANG^HE",)), patient(name_en="")) == (Identity.ABSENT, ())
    assert compare(Named(("F",), sex="F"), patient(name_en="", gender="X")) == (Identity.ABSENT, ())


def test_an_anagram_is_another_person() -> None:
    assert compare(Named(("EH GNAYUO",)), patient())[0] is Identity.DIFFERS


def test_of_two_files_the_doubt_counts() -> None:
    assert worse(Identity.MATCHES, Identity.DIFFERS) is Identity.DIFFERS
    assert worse(Identity.ABSENT, Identity.MATCHES) is Identity.ABSENT
    assert worse(Identity.CONFIRMED, Identity.MATCHES) is Identity.CONFIRMED
