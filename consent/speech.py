"""Reading aloud: what is said of a text, under which id the sound is kept, and the port that makes it.

Sound is made of exactly what is shown, with every value filled in, once per (voice, locale, text): a section without
values is the same for every doctor, one with a name or a fee is made anew. The id is a digest of what is said, so that
a page may keep the sound for good and a changed text can never be read with an old voice.
"""

from collections.abc import Mapping
from typing import Protocol

from clinic.documents import canonical, digest
from consent.desk import wording
from consent.templates import LOCALES, Rendered
from consent.transaction import ConsentTransaction

LONGEST = 6_000  # characters of one piece

QUESTION = "question."  # prefix of a question's key; sections have none


class Speech(Protocol):
    """A voice. Implementations: `huizhen.speech` (espeak-ng, none)."""

    @property
    def voice(self) -> str | None:
        """Name and version of the voice, part of every id; None = there is none and nothing is offered."""
        ...

    async def say(self, text: str, locale: str) -> bytes:
        """An MP3 file (mono). Bounded in time and size. Raises SpeechFailed."""
        ...


def clip_id(voice: str, locale: str, text: str) -> str:
    """32 hex digits."""
    return digest(canonical({"voice": voice, "locale": locale, "text": text}))[:32]


def spoken(text: Rendered) -> Mapping[str, str]:
    """What is said, by key: each section's title and body, each question with what a "no" means."""
    sections = {row.key: f"{row.title}。\n{row.body}" for row in text.sections}
    questions = {f"{QUESTION}{row.purpose.value}": f"{row.question}\n{row.if_refused}" for row in text.questions}
    return {key: said for key, said in {**sections, **questions}.items() if len(said) <= LONGEST}


def clips(voice: str | None, locale: str, text: Rendered) -> dict[str, str]:
    """Key of a section or question -> id of its sound; empty without a voice, and in languages no voice here speaks."""
    if voice is None or locale not in LOCALES:
        return {}
    return {key: clip_id(voice, locale, said) for key, said in spoken(text).items()}


async def words_of(tx: ConsentTransaction, seat_id: str, voice: str, clip: str) -> tuple[str, str] | None:
    """(locale, text) behind a clip of this seat's own consent text, or None: nothing else is ever read aloud.

    All questions that can be shown: who decides anew hears also those they had said no to.
    """
    for locale in LOCALES:
        for said in spoken(await wording(tx, seat_id, locale, again=True)).values():
            if clip_id(voice, locale, said) == clip:
                return locale, said
    return None
