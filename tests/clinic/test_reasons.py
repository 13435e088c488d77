import importlib
from typing import Any

import pytest

from audit.errors import AuditError
from clinic.admission import REASON_CODES
from clinic.errors import ClinicError
from clinic.reasons import all_messages, explain
from consent.errors import ConsentError
from consent.gate import RECORDING_REASONS
from recording.errors import RecordingError

for module in ("archive.errors", "clinic.rulebook"):
    importlib.import_module(module)
from archive.errors import ArchiveError  # noqa: E402


def codes(base: Any) -> set[str]:
    """Codes a person can meet: the errors each domain package declares in its `errors` module."""
    package, _, module = base.__module__.partition(".")
    known = package in ("clinic", "consent", "archive", "recording", "audit") and module == "errors"
    found: set[str] = {base.code} if known else set()
    for sub in base.__subclasses__():
        found |= codes(sub)
    return found


def test_every_code_has_words_in_both_languages() -> None:
    needed = set(REASON_CODES | RECORDING_REASONS)
    for base in (ClinicError, ConsentError, ArchiveError, RecordingError, AuditError):
        needed |= codes(base)
    for locale in ("zh", "en"):
        assert needed - set(all_messages(locale)) == set()
    assert set(all_messages("zh")) == set(all_messages("en"))


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_every_message_says_something(locale: str) -> None:
    for code, words in all_messages(locale).items():
        assert words["text"].strip(), code
        assert not any("一" <= letter <= "鿿" for letter in words["text"]) or locale == "zh"


def test_unknown_codes_and_locales_still_get_words() -> None:
    assert explain("no.such.code").text == explain("clinic.error").text
    assert explain("gate.too_early", "fr").text == explain("gate.too_early", "zh").text
    assert "not open yet" in explain("gate.too_early", "en").text
