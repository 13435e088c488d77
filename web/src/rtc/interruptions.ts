/**
 * A phone call, another app or a hidden tab takes the devices away: notice, and take them back when possible.
 * WebKit says `mute` on the tracks (and may never say `unmute`), some phones say `ended`.
 */
import type { LocalMedia } from "./devices";
import { live } from "./devices";

const SETTLE = 1500; // ms a track may stay muted before we act

export type Interruption = "none" | "taken" | "tap";

/** "taken": another app has the device, we wait. "tap": the person must tap to continue (call `resume`). */
export class Interruptions {
  state: Interruption = "none";
  private readonly media: LocalMedia;
  private readonly changed: (state: Interruption) => void;
  private readonly watched = new Map<"mic" | "camera", MediaStreamTrack>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;
  private lost: ("mic" | "camera")[] = []; // could not be opened again: tried from the tap
  private readonly stopListening: () => void;

  constructor(media: LocalMedia, changed: (state: Interruption) => void) {
    this.media = media;
    this.changed = changed;
    this.watch();
    const off = media.onChange(() => this.watch());
    document.addEventListener("visibilitychange", this.look);
    this.stopListening = () => {
      off();
      document.removeEventListener("visibilitychange", this.look);
    };
  }

  /** From a tap: open the devices again. */
  async resume(): Promise<void> {
    await this.recover(true);
  }

  close(): void {
    clearTimeout(this.timer);
    this.stopListening();
    for (const [source, track] of this.watched) this.unwatch(source, track);
  }

  private readonly look = (): void => {
    if (document.visibilityState === "visible") this.soon();
  };

  private readonly soon = (): void => {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.recover(false), SETTLE);
  };

  private readonly freed = (): void => {
    clearTimeout(this.timer);
    if (this.broken().length === 0) this.show("none");
  };

  private watch(): void {
    for (const source of ["mic", "camera"] as const) {
      const track = this.media[source];
      const former = this.watched.get(source);
      if (former === track) continue;
      if (former) this.unwatch(source, former);
      if (!track) continue;
      this.watched.set(source, track);
      track.addEventListener("mute", this.soon);
      track.addEventListener("unmute", this.freed);
      track.addEventListener("ended", this.soon);
    }
  }

  private unwatch(source: "mic" | "camera", track: MediaStreamTrack): void {
    track.removeEventListener("mute", this.soon);
    track.removeEventListener("unmute", this.freed);
    track.removeEventListener("ended", this.soon);
    this.watched.delete(source);
  }

  private broken(): ("mic" | "camera")[] {
    return (["mic", "camera"] as const).filter((source) => {
      const track = this.media[source];
      return track !== null && (!live(track) || track.muted);
    });
  }

  private async recover(tapped: boolean): Promise<void> {
    const broken = [...new Set([...this.broken(), ...this.lost])];
    if (broken.length === 0) return this.show("none");
    if (document.visibilityState !== "visible" && !tapped) return this.show("taken");
    if (this.busy) return;
    this.busy = true;
    this.show("taken");
    try {
      await this.media.reacquire(broken);
    } finally {
      this.busy = false;
    }
    this.lost = broken.filter((source) => !live(this.media[source]) || this.media[source]?.muted);
    this.show(this.lost.length > 0 ? "tap" : "none");
  }

  private show(state: Interruption): void {
    if (this.state === state) return;
    this.state = state;
    this.changed(state);
  }
}
