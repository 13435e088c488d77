/** A generated two-tone bell and a flashing title: nothing to download, works once the page was touched. */
let context: AudioContext | null = null;
let flashing: ReturnType<typeof setInterval> | undefined;
let title: string | null = null;

/** Call from the first tap; later rings then sound even when the page is in the background. */
export function unlock(): void {
  const Context = globalThis.AudioContext ?? (globalThis as { webkitAudioContext?: typeof AudioContext }).webkitAudioContext;
  if (!Context) return;
  context ??= new Context();
  if (context.state === "suspended") void context.resume().catch(() => undefined);
}

function tone(frequency: number, start: number, length: number): void {
  if (!context) return;
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  const at = context.currentTime + start;
  oscillator.type = "sine";
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(0.25, at + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.001, at + length);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(at);
  oscillator.stop(at + length);
}

/** `times` double tones; also vibrates where possible. */
export function ring(times = 2): void {
  unlock();
  for (let n = 0; n < times; n += 1) {
    tone(880, n * 1.2, 0.5);
    tone(660, n * 1.2 + 0.35, 0.7);
  }
  navigator.vibrate?.([200, 100, 200]);
}

/** Alternate the tab's title with `text` until `quiet()` or the page is looked at. */
export function flash(text: string): void {
  quiet();
  title = document.title;
  let on = false;
  flashing = setInterval(() => {
    on = !on;
    document.title = on ? text : (title ?? "");
  }, 900);
  document.addEventListener("visibilitychange", look);
}

function look(): void {
  if (document.visibilityState === "visible") quiet();
}

export function quiet(): void {
  clearInterval(flashing);
  document.removeEventListener("visibilitychange", look);
  if (title !== null) document.title = title;
  title = null;
}
