"""Reading aloud and the helper by REST; the voice itself, bounded."""

import asyncio
import io
import shutil
import stat
import wave
from array import array
from pathlib import Path
from typing import Any

import av
import pytest

from consent.errors import SpeechFailed
from huizhen import speech as voices
from huizhen.speech import EspeakSpeech, NoSpeech, SpeechShelf, prompts, voice_of
from huizhen.store.blobs import LocalBlobs
from recording.voice_file import RATE, mp3_of
from tests.huizhen.world import World, sign


def wav(seconds: float = 0.5, rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(int(seconds * rate) * 2))
    return out.getvalue()


class Counting:
    """A voice that counts what it says."""

    voice = "counting/1"

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def say(self, text: str, locale: str) -> bytes:
        self.said.append((locale, text))
        await asyncio.sleep(0)
        return mp3_of(wav())


def give_voice(world: World, speech: Any) -> None:
    """The running server's shelf, with another voice."""
    shelf = world.parts.services.speech
    shelf._speech = speech


async def test_a_section_is_made_once_and_kept_by_the_browser(world: World) -> None:
    voice = Counting()
    give_voice(world, voice)
    booked = await world.book()
    browser = await world.patient(booked)
    shown = (await browser.get("/api/seat/consent?locale=zh")).body
    assert set(shown["speech"]) >= {"fee", "question.treat"}
    path = f"/api/seat/speech/{shown['speech']['fee']}"
    replies = await asyncio.gather(*(browser.get(path) for _ in range(3)))
    assert {reply.status for reply in replies} == {200}
    assert replies[0].headers["Content-Type"] == "audio/mpeg"
    assert replies[0].headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert len(voice.said) == 1
    part = await browser.get(path, headers={"Range": "bytes=0-1"})
    assert (part.status, part.raw) == (206, replies[0].raw[:2])
    assert part.headers["Content-Range"] == f"bytes 0-1/{len(replies[0].raw)}"
    assert "人民币10.00元" in voice.said[0][1]
    stranger = await world.browser()
    assert (await stranger.get(path)).status == 401


async def test_nothing_but_the_own_text_is_read(world: World) -> None:
    give_voice(world, Counting())
    browser = await world.patient(await world.book())
    assert (await browser.get(f"/api/seat/speech/{'0' * 32}")).status == 404
    assert (await browser.get(f"/api/prompts/{'0' * 32}")).status == 404


async def test_without_a_voice_pages_show_no_button(world: World) -> None:
    give_voice(world, NoSpeech())
    browser = await world.patient(await world.book())
    assert (await browser.get("/api/seat/consent")).body["speech"] == {}
    assert (await browser.get(f"/api/seat/speech/{'0' * 32}")).status == 404
    listed = (await browser.get("/api/prompts?locale=en")).body
    assert listed["open"] == {"text": prompts("en")["open"], "clip": None}
    assert (await browser.get(f"/api/prompts/{'0' * 32}")).status == 404


async def test_prompts_are_the_same_for_everybody(world: World) -> None:
    voice = Counting()
    give_voice(world, voice)
    nobody = await world.browser()
    listed = (await nobody.get("/api/prompts?locale=zh")).body
    assert set(listed) == set(prompts("zh")) == set(prompts("en"))
    reply = await nobody.get(f"/api/prompts/{listed['open']['clip']}")
    assert reply.status == 200
    assert reply.headers["Cache-Control"].startswith("public, ")
    assert voice.said == [("zh", prompts("zh")["open"])]


async def test_a_voice_that_fails_is_a_coded_refusal(world: World) -> None:
    class Mute(Counting):
        async def say(self, text: str, locale: str) -> bytes:
            raise SpeechFailed("mute")

    give_voice(world, Mute())
    browser = await world.patient(await world.book())
    clip = (await browser.get("/api/seat/consent")).body["speech"]["fee"]
    reply = await browser.get(f"/api/seat/speech/{clip}")
    assert (reply.status, reply.code) == (503, "consent.speech_unavailable")


async def test_listening_is_part_of_the_evidence(world: World) -> None:
    booked = await world.book()
    browser = await world.patient(booked)
    shown = (await browser.get("/api/seat/consent?locale=zh")).body
    from tests.huizhen.world import PATIENT_NAME, drawn

    reply = await browser.post(
        "/api/seat/consent",
        template_id=shown["template_id"],
        shown_sha256=shown["shown_sha256"],
        locale="zh",
        decisions={question["purpose"]: True for question in shown["questions"]},
        typed_name=PATIENT_NAME,
        signature=drawn(),
        reading={
            "sections": [{"key": "fee", "dwell_ms": 10, "scrolled_percent": 100, "heard_ms": 4_200}],
            "read_aloud": True,
            "font_px": 22,
        },
    )
    assert reply.status == 200, reply.body
    async with world.db.read() as tx:
        (record,) = await tx.consent_records.find(consult_id=booked.consult.id)
    assert '"heard_ms":4200' in record.evidence
    assert '"read_aloud":"yes"' in record.evidence


async def test_a_helper_by_rest_and_for_the_doctor(world: World) -> None:
    from clinic.people import Role

    booked = await world.book()
    browser = await world.patient(booked)
    refused = await browser.post("/api/seat/helper", present=True, name="", relation="女儿")
    assert (refused.status, refused.code) == (422, "consent.companion_invalid")
    said = {"name": "张小红", "relation": "女儿", "in_call": True, "permits_recording": False}
    reply = await browser.post("/api/seat/helper", present=True, **said)
    assert reply.body["helper"] == said
    await sign(browser)
    doctor = await world.staff("city", Role.ATTENDING)
    detail = (await doctor.get(f"/api/consults/{booked.consult.id}")).body
    (shown,) = detail["companions"]
    assert shown["seat"] == booked.patient.id
    assert {key: shown[key] for key in said} == said
    assert detail["consents"][-1]["signer"]
    assert detail["consent_last"]["action"] == "signed"
    gone = await browser.post("/api/seat/helper", present=False)
    assert gone.body["helper"] is None


# ---- voices --------------------------------------------------------------------------------------------------------


def test_a_sound_file_is_mono_and_as_long_as_it_was() -> None:
    with av.open(io.BytesIO(mp3_of(wav(2.0))), "r") as file:
        assert file.format.name == "mp3"
        stream = file.streams.audio[0]
        assert (stream.rate, stream.channels) == (RATE, 1)
        assert file.duration is not None
        assert 1.9 < file.duration / 1e6 < 2.3


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not a sound", wav(0)])
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="sound"):
        mp3_of(data)


def test_settings_choose_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(voice_of("none"), NoSpeech)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert voice_of("auto").voice is None
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert voice_of("espeak-ng").voice == "espeak-ng/1"


async def test_no_voice_says_so() -> None:
    with pytest.raises(SpeechFailed):
        await NoSpeech().say("x", "zh")


def script(folder: Path, lines: str) -> str:
    path = folder / "voice"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("lines", ["exit 3", "cat >/dev/null; echo nothing", "cat >/dev/null; head -c 4000 /dev/zero"])
async def test_a_voice_that_breaks_is_a_failure_not_a_crash(tmp_path: Path, lines: str) -> None:
    with pytest.raises(SpeechFailed):
        await EspeakSpeech(script(tmp_path, lines)).say("你好", "zh")


async def test_a_voice_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "SECONDS", 0.2)
    with pytest.raises(SpeechFailed):
        await EspeakSpeech(script(tmp_path, "exec sleep 60")).say("你好", "zh")


async def test_a_voice_that_does_not_stop_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "MOST_SOUND", 100_000)
    with pytest.raises(SpeechFailed):
        await EspeakSpeech(script(tmp_path, "cat >/dev/null; exec cat /dev/zero")).say("你好", "zh")


@pytest.mark.parametrize("text", ["", "  ", "长" * 6_001])
async def test_nothing_and_too_much_are_not_said(text: str) -> None:
    with pytest.raises(SpeechFailed):
        await EspeakSpeech("/nonexistent").say(text, "zh")


async def test_a_missing_command_is_a_failure() -> None:
    with pytest.raises(SpeechFailed):
        await EspeakSpeech("/nonexistent/voice").say("你好", "zh")


async def test_espeak_speaks_both_languages(tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("Debian's espeak-ng is not installed")
    shelf = SpeechShelf(voice_of("auto"), LocalBlobs(tmp_path / "blobs"), tmp_path / "work")
    for locale, text in (("zh", prompts("zh")["open"]), ("en", prompts("en")["open"])):
        clip = shelf.prompt_clips(locale)["open"]
        sound = await shelf.say("public", clip, locale, text)
        assert sound == await shelf.kept("public", clip)
        with av.open(io.BytesIO(sound), "r") as file:
            frames = [bytes(frame.planes[0]) for frame in file.decode(audio=0)]
        samples = array("f", b"".join(frames))
        assert max(map(abs, samples)) > 0.05, "silence"
    assert list((tmp_path / "work").iterdir()) == []
