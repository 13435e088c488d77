"""Quick ways into the demo's visit, for tests that are about what happens afterwards, and instruments for a running call.

The forms before the door (identity, devices, consent) are sent by the page's own fetch: test_first_consult.py is the test
that fills them in by hand.
"""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.e2e.house import DESK, PHONE, TAP_PEERS, House, People, hears, picture, sees, visitors

# Everything a page does before the waiting room; the answer is the seat's overview.
SIGN_IN = """async ({secret, name, decisions, steps}) => {
  const op = () => [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  let csrf = '';
  const call = async (method, path, body) => {
    const headers = {'Content-Type': 'application/json', 'X-CSRF': csrf};
    const answer = await fetch(path, {method, headers, body: body && JSON.stringify({op: op(), ...body})});
    const json = await answer.json();
    if (!answer.ok) throw new Error(path + ' ' + answer.status + ' ' + JSON.stringify(json));
    return json;
  };
  let seat;
  if (secret) { const opened = await call('POST', '/api/links/redeem', {secret}); csrf = opened.csrf; seat = opened.seat; }
  else { seat = await call('GET', '/api/seat'); csrf = seat.csrf; }
  if (steps.includes('identity')) seat = await call('POST', '/api/seat/identity', {confirmed: true});
  if (steps.includes('devices')) seat = await call('POST', '/api/seat/device-check',
    {camera: 'ok', microphone: 'ok', speaker: 'unknown', network: 'good', rtt_ms: 5, kbps: 5000});
  if (steps.includes('consent')) {
    const shown = await call('GET', '/api/seat/consent?locale=zh');
    const answers = Object.fromEntries(shown.questions.map(q => [q.purpose, decisions[q.purpose] ?? true]));
    const canvas = Object.assign(document.createElement('canvas'), {width: 60, height: 30});
    canvas.getContext('2d').fillRect(5, 5, 40, 3);
    seat = await call('POST', '/api/seat/consent', {
      template_id: shown.template_id, shown_sha256: shown.shown_sha256, locale: 'zh', decisions: answers, typed_name: name,
      signature: {png: canvas.toDataURL(), strokes: [[[1, 2, 0], [3, 4, 16], [5, 6, 32], [9, 9, 48]], [[1, 1, 100], [2, 2, 120]]]},
      reading: {sections: [], read_aloud: false, font_px: 18},
    });
  }
  return seat;
}"""
EVERYTHING = ("identity", "devices", "consent")

TICKET = """async path => {
  const me = await (await fetch(path.startsWith('/api/seat') ? '/api/seat' : '/api/me')).json();
  const op = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
  const answer = await fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json', 'X-CSRF': me.csrf}, body: JSON.stringify({op})});
  return {status: answer.status, ...(await answer.json())};
}"""

NAMES = {"visit.patient": "张晓明", "visit.family": "张丽"}

# Notes each presented frame of any remote picture and, four times a second, what the receivers heard.
INSTRUMENTS = """(() => {
  const seen = new WeakSet(); window.__frames = []; window.__heard = []; window.__sockets = [];
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket { constructor(...a) { super(...a); window.__sockets.push(this); } };
  const watch = video => {
    if (seen.has(video)) return; seen.add(video);
    const tick = now => { window.__frames.push(now); video.requestVideoFrameCallback(tick); };
    video.requestVideoFrameCallback(tick);
  };
  setInterval(() => document.querySelectorAll('figure.tile video').forEach(watch), 50);
  setInterval(async () => {
    const row = {at: performance.now(), packets: 0, samples: 0, concealed: 0, energy: 0, lost: 0, bytes: 0};
    for (const pc of window.__peers ?? []) {
      if (pc.connectionState === 'closed') continue;
      for (const s of (await pc.getStats()).values()) {
        if (s.type === 'inbound-rtp' && s.kind === 'video') row.bytes += s.bytesReceived ?? 0;
        if (s.type !== 'inbound-rtp' || s.kind !== 'audio') continue;
        row.packets += s.packetsReceived ?? 0; row.lost += s.packetsLost ?? 0; row.samples += s.totalSamplesReceived ?? 0;
        row.concealed += (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0); row.energy += s.totalAudioEnergy ?? 0;
      }
    }
    window.__heard.push(row);
  }, 250);
})()"""

STATE = """async () => ({
  marks: performance.getEntriesByType('mark').map(m => m.name + ' ' + Math.round(m.startTime)).join(', '),
  videos: [...document.querySelectorAll('figure.tile video')].map(v => [!!v.srcObject, v.paused, v.videoWidth]),
  peers: await Promise.all(__peers.map(async pc => [pc.connectionState, pc.signalingState, ...(pc.connectionState === 'closed' ? [] : [...(await pc.getStats()).values()])
    .filter(s => s.type.endsWith('bound-rtp')).map(s => [s.type, s.mid, s.rid, s.packetsSent ?? s.packetsReceived, s.framesDecoded].join(' '))])),
  frames: __frames.length, heard: __heard.at(-1), text: document.body.innerText.slice(0, 600),
})"""


@dataclass(frozen=True)
class Impression:
    """What one person saw and heard over a stretch of a call."""

    seconds: float
    frames: int
    longest_freeze: float  # seconds without a new picture
    longest_silence: float  # seconds without one packet of sound
    concealed: float  # share of played samples that were made up
    loss: float  # share of sound packets that never came
    video_kbps: float

    def __str__(self) -> str:
        return (
            f"{self.frames / self.seconds:.1f} frames/s, longest freeze {self.longest_freeze:.2f} s, silence "
            f"{self.longest_silence:.2f} s, concealed {self.concealed:.1%}, lost {self.loss:.1%}, {self.video_kbps:.0f} kbit/s"
        )


async def clock(page: Page) -> float:
    """The page's own time, milliseconds."""
    return float(await page.evaluate("performance.now()"))


async def impression(page: Page, since: float) -> Impression:
    """From `since` (the page's `clock`) until now."""
    got = await page.evaluate(
        "since => ({now: performance.now(), frames: __frames.filter(t => t >= since), heard: __heard.filter(r => r.at >= since)})",
        since,
    )
    marks = [since, *got["frames"], got["now"]]
    heard = got["heard"]
    first, last = heard[0], heard[-1]
    grown = [first["at"]] + [b["at"] for a, b in itertools.pairwise(heard) if b["packets"] > a["packets"]]
    packets, samples = last["packets"] - first["packets"], last["samples"] - first["samples"]
    seconds = (last["at"] - first["at"]) / 1000
    return Impression(
        seconds=seconds,
        frames=len(got["frames"]),
        longest_freeze=max(b - a for a, b in itertools.pairwise(marks)) / 1000,
        longest_silence=max(b - a for a, b in zip(grown, [*grown[1:], last["at"]], strict=False)) / 1000,
        concealed=(last["concealed"] - first["concealed"]) / max(1, samples),
        loss=(last["lost"] - first["lost"]) / max(1, packets + last["lost"] - first["lost"]),
        video_kbps=(last["bytes"] - first["bytes"]) * 8 / 1000 / max(0.1, seconds),
    )


async def blank(people: People, viewport: dict[str, int], path: str) -> Page:
    """A page of the house with the instruments in it."""
    page = await people.page(viewport)
    await page.add_init_script(TAP_PEERS)
    await page.add_init_script(INSTRUMENTS)
    await page.goto(f"{people.house.url}{path}")
    return page


async def guest(
    people: People, link: str, *, record: bool = True, steps: tuple[str, ...] = EVERYTHING, enter: bool = True
) -> Page:
    """The patient's or a family member's page, in the waiting room (or, not `enter`ed, where its forms stand)."""
    page = await blank(people, PHONE, "/p")
    secret = people.house.demo["links"][link]["secret"]
    await page.evaluate(
        SIGN_IN, {"secret": secret, "name": NAMES[link], "decisions": {"rec_av": record}, "steps": list(steps)}
    )
    if enter:
        await page.goto(f"{people.house.url}/p")
        await expect(page.locator(".place")).to_be_visible()
    return page


async def doctor(people: People) -> Page:
    """The doctor's page, in the room."""
    page = await blank(people, DESK, "/console")
    await page.evaluate(
        """async ([login, password]) => {
          const op = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('');
          const answer = await fetch('/api/login', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({op, login, password})});
          if (!answer.ok) throw new Error('login ' + answer.status);
        }""",
        ["doctor", people.house.demo["password"]],
    )
    await page.goto(f"{people.house.url}/console/consults/{people.house.demo['consults']['visit']}")
    await page.click("[data-act=join]")
    await expect(page.locator(".stage .controls")).to_be_visible()
    return page


def complaints(house: House) -> str:
    """What the server's log says beyond the ordinary."""
    lines = house.log.splitlines()
    return "\n".join(line for line in lines if "[info" not in line and not set(line) & set("█▀▄┃│━─"))[-3000:]


@dataclass
class Visit:
    """Doctor and patient, in a call."""

    people: People
    doctor: Page
    patient: Page

    @property
    def both(self) -> tuple[Page, Page]:
        return self.doctor, self.patient

    @property
    def house(self) -> House:
        return self.people.house

    async def flows(self, seconds: float = 40) -> None:
        """Both see and hear each other, now."""
        for name, page in zip(("doctor", "patient"), self.both, strict=True):
            try:
                await sees(page, 1, seconds)
                await hears(page, 1, seconds)
            except TimeoutError:
                await picture(page, f"no-media-{name}")
                state = await page.evaluate(STATE)
                raise AssertionError(f"{name}: {state}\n{complaints(self.house)}") from None

    async def record(self) -> str:
        """Start recording and wait for the banner on both sides; the recording's id."""
        await self.doctor.click("[data-act=record]")
        for page in self.both:
            await expect(page.locator(".banner.active")).to_be_visible()
        return str(self.rows("SELECT id FROM recordings WHERE consult_id = ? ORDER BY requested_at DESC")[0][0])

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Rows of the running server's database; one `?` more than values is the consult's id."""
        arguments = values if query.count("?") == len(values) else (self.house.demo["consults"]["visit"], *values)
        with contextlib.closing(sqlite3.connect(f"file:{self.house.data / 'huizhen.db'}?mode=ro", uri=True)) as db:
            return db.execute(query, arguments).fetchall()


async def seats_of(page: Page) -> int:
    """How many seats of this call the browser believes it has media with."""
    return int(await page.evaluate("__peers.filter(pc => pc.connectionState === 'connected').length"))


async def protocols(page: Page) -> set[str]:
    """The transport protocols of the pairs in use."""
    found = await page.evaluate(
        """async () => { const used = [];
          for (const pc of __peers) { if (pc.connectionState === 'closed') continue;
            const rows = [...(await pc.getStats()).values()], byId = new Map(rows.map(r => [r.id, r]));
            for (const t of rows) if (t.type === 'transport' && t.selectedCandidatePairId)
              used.push(byId.get(byId.get(t.selectedCandidatePairId).localCandidateId).protocol); }
          return used; }"""
    )
    return set(found)


@contextlib.asynccontextmanager
async def visit(house: House, *, record: bool = True, until_flowing: bool = True) -> AsyncIterator[Visit]:
    """A call of doctor and patient on this running house."""
    async with visitors(house) as people:
        patient, attending = await asyncio.gather(guest(people, "visit.patient", record=record), doctor(people))
        await attending.click("[data-act=admit]")
        found = Visit(people, attending, patient)
        if until_flowing:
            await found.flows()
        yield found


@contextlib.contextmanager
def at_home(folder: Path, **options: Any) -> Any:
    """A running house of one's own."""
    house = House(folder / "data", **options)
    house.start()
    try:
        yield house
    finally:
        house.stop()


async def until(good: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Asks ten times a second; fails saying `what`."""
    try:
        async with asyncio.timeout(seconds):
            while not await good():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds:.0f} s") from None
