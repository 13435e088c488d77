/** Playing remote sound where browsers want a tap first. */
type Listener = (blocked: boolean) => void;

const waiting = new Set<HTMLMediaElement>();
const listeners = new Set<Listener>();

function tell(): void {
  for (const listener of listeners) listener(waiting.size > 0);
}

/** Play, and remember the element when the browser refuses until a tap. */
export async function playOrWait(element: HTMLMediaElement): Promise<void> {
  try {
    await element.play();
    if (waiting.delete(element)) tell();
  } catch (error) {
    if ((error as { name?: string }).name !== "NotAllowedError") return; // AbortError: a newer stream replaced this one
    waiting.add(element);
    tell();
  }
}

export function forget(element: HTMLMediaElement): void {
  if (waiting.delete(element)) tell();
}

/** Call from a tap or key press. */
export async function unlock(): Promise<void> {
  await Promise.all([...waiting].map((element) => playOrWait(element)));
}

export function onBlocked(listener: Listener): () => void {
  listeners.add(listener);
  listener(waiting.size > 0);
  return () => listeners.delete(listener);
}
