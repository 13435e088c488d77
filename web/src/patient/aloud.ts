/** The server's voice: one sound at a time, with progress, speed, and how much of each part was heard. */
import { reactive } from "vue";

export const RATES = [0.75, 1, 1.25] as const;

interface Piece { key: string; url: string }

/** What the buttons show. `key` = the part that is loaded, playing or paused. */
export const aloud = reactive({ key: null as string | null, playing: false, position: 0, duration: 0, rate: 1 as number, failed: false });

/** Made on first use; one element for all, as an old Safari lets only an element play that a tap once started. */
let element: HTMLAudioElement | null = null;
let queue: Piece[] = [];
let last = 0;
const heard = new Map<string, number>();

function audio(): HTMLAudioElement {
  if (element) return element;
  const made = new Audio();
  made.preload = "auto";
  made.addEventListener("timeupdate", () => tick(made.currentTime));
  made.addEventListener("durationchange", () => (aloud.duration = Number.isFinite(made.duration) ? made.duration : 0));
  made.addEventListener("ended", next);
  made.addEventListener("error", () => {
    if (aloud.key !== null) Object.assign(aloud, { playing: false, failed: true });
  });
  element = made;
  return made;
}

/** Time heard is what the clock of the sound moved forward by itself; a jump is not listened to. */
function tick(now: number): void {
  const step = now - last;
  if (aloud.key !== null && step > 0 && step < 1.5) heard.set(aloud.key, (heard.get(aloud.key) ?? 0) + step * 1000);
  last = now;
  aloud.position = now;
}

function next(): void {
  const piece = queue.shift();
  if (piece) start(piece);
  else Object.assign(aloud, { key: null, playing: false });
}

function start(piece: Piece): void {
  const player = audio();
  last = 0;
  Object.assign(aloud, { key: piece.key, playing: true, position: 0, duration: 0, failed: false });
  player.src = piece.url;
  player.playbackRate = aloud.rate;
  player.play().catch((error: unknown) => {
    if (aloud.key !== piece.key) return; // another one was begun meanwhile
    const refused = error instanceof DOMException && error.name === "NotAllowedError"; // no tap yet: wait for one
    Object.assign(aloud, { playing: false, failed: !refused, key: refused ? null : piece.key });
  });
}

/** Say these parts one after another, from the tap at hand. */
export function say(pieces: readonly Piece[]): void {
  queue = [...pieces];
  next();
}

export function pause(): void {
  element?.pause();
  aloud.playing = false;
}

export function goOn(): void {
  aloud.playing = true;
  element?.play().catch(() => (aloud.playing = false));
}

export function silence(): void {
  queue = [];
  element?.pause();
  Object.assign(aloud, { key: null, playing: false, failed: false });
}

export function jump(seconds: number): void {
  if (element) last = element.currentTime = seconds;
  aloud.position = seconds;
}

export function changeRate(): void {
  const at = RATES.indexOf(aloud.rate as (typeof RATES)[number]);
  aloud.rate = RATES[(at + 1) % RATES.length] ?? 1;
  if (element) element.playbackRate = aloud.rate;
}

/** Milliseconds of this part that were heard. */
export const heardMs = (key: string): number => Math.round(heard.get(key) ?? 0);
export const forgetHeard = (): void => heard.clear();
