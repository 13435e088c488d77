"""Voices, and the shelf their sound is kept on: made once, bounded, then only read."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from consent.errors import SpeechFailed
from consent.speech import LONGEST, Speech, clip_id
from huizhen import logs
from huizhen.store.errors import BlobMissing
from recording.ports import Blobs
from recording.voice_file import mp3_of

log = logs.get("speech")

SECONDS = 20.0  # one piece
MOST_SOUND = 32 * 1024 * 1024  # bytes of WAV; 12 minutes
MOST_CLIP = 4 * 1024 * 1024
PUBLIC = "public"  # folder of the prompts, which belong to no institution
_LANGUAGES = {"zh": "cmn", "en": "en-gb"}
_WORDS_PER_MINUTE = {"zh": "150", "en": "140"}


class NoSpeech:
    """No voice on this machine: pages show no button."""

    voice = None

    async def say(self, text: str, locale: str) -> bytes:
        """Raises SpeechFailed."""
        del text, locale
        raise SpeechFailed("no voice")


class EspeakSpeech:
    """espeak-ng in a process of its own: no shell, text by stdin, ended after `SECONDS`."""

    def __init__(self, command: str, version: str = "1") -> None:
        self._command = command
        self.voice = f"espeak-ng/{version}"

    async def say(self, text: str, locale: str) -> bytes:
        """Raises SpeechFailed."""
        if not text.strip() or len(text) > LONGEST:
            raise SpeechFailed("nothing to say, or too much")
        try:
            async with asyncio.timeout(SECONDS):
                wav = await self._wav(text, locale)
                return await asyncio.to_thread(mp3_of, wav)
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("nothing was said", error=type(error).__name__)
            raise SpeechFailed(type(error).__name__) from error

    async def _wav(self, text: str, locale: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            self._command,
            *("-v", _LANGUAGES[locale], "-s", _WORDS_PER_MINUTE[locale], "--stdin", "--stdout"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
        )
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(text.encode())
            process.stdin.close()
            wav = bytearray()
            while chunk := await process.stdout.read(65_536):
                wav += chunk
                if len(wav) > MOST_SOUND:
                    raise ValueError("too long")
            if await process.wait() != 0:
                raise ValueError("the voice failed")
            return bytes(wav)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def voice_of(setting: str) -> Speech:
    """The voice a setting names: "none"; "espeak-ng"; "auto" = espeak-ng where it is installed."""
    command = None if setting == "none" else shutil.which("espeak-ng")
    return EspeakSpeech(command) if command is not None else NoSpeech()


@cache
def prompts(locale: str) -> Mapping[str, str]:
    """Screen of the patient page -> what is said there in elder mode."""
    loaded: dict[str, str] = json.loads(files("huizhen.words").joinpath(f"prompts.{locale}.json").read_text("utf-8"))
    return loaded


class SpeechShelf:
    """Sound by id. One piece is made at a time, and only once, however many phones ask."""

    def __init__(self, speech: Speech, blobs: Blobs, workroom: Path) -> None:
        self._speech = speech
        self._blobs = blobs
        self._workroom = workroom
        self._making = asyncio.Lock()

    @property
    def voice(self) -> str | None:
        return self._speech.voice

    def prompt_clips(self, locale: str) -> dict[str, str]:
        """Screen -> id of its prompt's sound; empty without a voice."""
        if self.voice is None:
            return {}
        return {screen: clip_id(self.voice, locale, said) for screen, said in prompts(locale).items()}

    async def kept(self, folder: str, clip: str) -> bytes | None:
        """The sound when it was made before."""
        try:
            return await self._blobs.read(_key(folder, clip), 0, MOST_CLIP)
        except BlobMissing:
            return None

    async def say(self, folder: str, clip: str, locale: str, text: str) -> bytes:
        """The sound of this text, made now if need be. Raises SpeechFailed."""
        async with self._making:
            sound = await self.kept(folder, clip)
            if sound is None:
                sound = await self._speech.say(text, locale)
                await self._keep(_key(folder, clip), sound)
        return sound

    async def _keep(self, key: str, sound: bytes) -> None:
        def written() -> Path:
            self._workroom.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(suffix=".mp3", dir=self._workroom)
            with os.fdopen(handle, "wb") as file:
                file.write(sound)
            return Path(name)

        path = await asyncio.to_thread(written)
        try:
            await self._blobs.put(key, path)
        finally:
            path.unlink(missing_ok=True)


def _key(folder: str, clip: str) -> str:
    return f"{folder}/speech/{clip}.mp3"
