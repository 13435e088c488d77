/** Keeps the screen on during a call, and again after the page was hidden. Silently without effect where unsupported. */
interface Sentinel { release(): Promise<void>; addEventListener(type: "release", listener: () => void): void }

let wanted = false;
let held: Sentinel | null = null;

async function take(): Promise<void> {
  const lock = (navigator as { wakeLock?: { request(type: "screen"): Promise<Sentinel> } }).wakeLock;
  if (!lock || held || document.visibilityState !== "visible") return;
  try {
    const sentinel = await lock.request("screen");
    if (!wanted) return void sentinel.release();
    held = sentinel;
    sentinel.addEventListener("release", () => {
      if (held === sentinel) held = null;
    });
  } catch {
    held = null; // low battery, policy
  }
}

const onVisible = (): void => {
  if (wanted) void take();
};

export function keepAwake(on: boolean): void {
  if (on === wanted) return;
  wanted = on;
  if (on) {
    document.addEventListener("visibilitychange", onVisible);
    void take();
  } else {
    document.removeEventListener("visibilitychange", onVisible);
    void held?.release().catch(() => undefined);
    held = null;
  }
}
