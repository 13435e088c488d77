"""Reading aloud: the sound of the text a seat decides on, and the spoken prompts of elder mode.

Ids are digests of what is said: an answer never changes and may be kept by the browser for a year.
"""

from aiohttp import web

from audit.errors import MissingRow
from consent import speech
from huizhen.api.call import Call
from huizhen.api.playing import byte_range
from huizhen.api.route import Own, Route, Table, Unit, public, seat
from huizhen.api.shapes.base import LocaleQuery, NoBody, Stream
from huizhen.api.shapes.seat import Prompt, Prompts
from huizhen.speech import PUBLIC, prompts

_LOCALES = ("zh", "en")
_FOREVER = "max-age=31536000, immutable"


def _sound(call: Call[NoBody], data: bytes, scope: str) -> web.Response:
    """Whole, or the part asked for: Safari plays no sound from a server without ranges."""
    start, end, partial = byte_range(call.request.headers.get("Range"), len(data))
    headers = {"Cache-Control": f"{scope}, {_FOREVER}", "Accept-Ranges": "bytes"}
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return web.Response(
        status=206 if partial else 200, body=data[start:end], content_type="audio/mpeg", headers=headers
    )


async def section(call: Call[NoBody]) -> web.Response:
    """Only parts of this seat's own text are ever said; anything else is no such sound."""
    shelf, seat_row, clip = call.services.speech, call.seat.seat, call.path("clip")
    if shelf.voice is None:
        raise MissingRow("speech")
    async with call.services.db.read() as tx:
        said = await speech.words_of(tx, seat_row.id, shelf.voice, clip)
    if said is None:
        raise MissingRow("speech")
    locale, text = said
    return _sound(call, await shelf.say(seat_row.institution_id, clip, locale, text), "private")


async def prompt_list(call: Call[NoBody]) -> Prompts:
    said = prompts(call.query.locale)
    clips = call.services.speech.prompt_clips(call.query.locale)
    return Prompts({screen: Prompt(text=text, clip=clips.get(screen)) for screen, text in said.items()})


async def prompt(call: Call[NoBody]) -> web.Response:
    """Fixed texts of this version, the same for everybody: no door."""
    shelf, clip = call.services.speech, call.path("clip")
    for locale in _LOCALES:
        for screen, known in shelf.prompt_clips(locale).items():
            if known == clip:
                return _sound(call, await shelf.say(PUBLIC, clip, locale, prompts(locale)[screen]), "public")
    raise MissingRow("speech")


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/seat/speech/{clip}",
        handler=section,
        policy=seat(Own.SELF),
        answer=Stream,
        unit=Unit.NONE,
        summary="A part of my consent text, read aloud (MP3)",
    ),
    Route(
        method="GET",
        path="/api/prompts",
        handler=prompt_list,
        policy=public(),
        answer=Prompts,
        query=LocaleQuery,
        unit=Unit.NONE,
        summary="What elder mode says on each screen of the patient page",
    ),
    Route(
        method="GET",
        path="/api/prompts/{clip}",
        handler=prompt,
        policy=public(),
        answer=Stream,
        unit=Unit.NONE,
        summary="A prompt, read aloud (MP3)",
    ),
)
