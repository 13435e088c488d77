/**
 * One person's track in one video element: decrypted segments appended to a Media Source as the clock nears them.
 * The element's own time equals the recording's time in seconds, so a hole in the track is a hole in its buffer.
 */
import { layoutOf, segmentAt, wanted, type Track } from "./timeline";
import type { ManifestSegment } from "../types";

const AHEAD_MS = 30_000;
const BEHIND_S = 30;
const DRIFT_S = 0.12;

export class TrackPlayer {
  private source = new MediaSource();
  private address = URL.createObjectURL(this.source);
  private buffer: SourceBuffer | null = null;
  private mime = "";
  private layout = "";
  private readonly held = new Set<string>();
  private readonly failed = new Set<string>();
  private busy = false;
  private closed = false;

  constructor(
    private readonly element: HTMLVideoElement,
    readonly track: Track,
    private readonly fetchBytes: (segment: ManifestSegment) => Promise<ArrayBuffer>,
    private readonly onProblem: (error: unknown) => void,
  ) {
    element.src = this.address;
  }

  /** Brings the element to the clock: buffers what is near, corrects drift, plays or pauses. */
  follow(t: number, playing: boolean, rate: number): void {
    if (this.closed) return;
    this.fill(t);
    const inside = this.buffered(t / 1000);
    this.element.playbackRate = rate;
    if (!inside) {
      if (!this.element.paused) this.element.pause();
      return;
    }
    if (Math.abs(this.element.currentTime - t / 1000) > DRIFT_S) this.element.currentTime = t / 1000;
    if (playing && this.element.paused) void this.element.play().catch(() => undefined); // the next follow tries again
    if (!playing && !this.element.paused) this.element.pause();
  }

  /** Whether this track has a segment at `t` that is not in memory yet: the clock waits for it. */
  starving(t: number): boolean {
    const segment = segmentAt(this.track.segments, t);
    return segment !== null && !this.failed.has(segment.id) && !this.held.has(segment.id);
  }

  close(): void {
    this.closed = true;
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
    URL.revokeObjectURL(this.address);
  }

  private buffered(seconds: number): boolean {
    const ranges = this.element.buffered;
    for (let i = 0; i < ranges.length; i += 1) {
      if (seconds >= ranges.start(i) - 0.05 && seconds < ranges.end(i)) return true;
    }
    return false;
  }

  private fill(t: number): void {
    if (this.busy) return;
    const next = wanted(this.track.segments, t, AHEAD_MS).find((one) => !this.held.has(one.id) && !this.failed.has(one.id));
    if (!next) return;
    if (layoutOf(next.mime) !== this.layout) {
      const here = segmentAt(this.track.segments, t);
      if (here && here.id !== next.id) return; // what is shown now stays in memory; its turn comes with the clock
      this.renew(layoutOf(next.mime));
    }
    this.busy = true;
    void this.append(next, t / 1000)
      .catch((error: unknown) => {
        this.failed.add(next.id);
        if (!this.closed) this.onProblem(error);
      })
      .finally(() => {
        this.busy = false;
      });
  }

  /** A new media source: a person's camera came on or went off between two segments. */
  private renew(layout: string): void {
    if (this.layout !== "") {
      URL.revokeObjectURL(this.address);
      this.source = new MediaSource();
      this.address = URL.createObjectURL(this.source);
      this.element.src = this.address;
      this.buffer = null;
      this.held.clear();
    }
    this.layout = layout;
  }

  private async append(segment: ManifestSegment, seconds: number): Promise<void> {
    const bytes = await this.fetchBytes(segment);
    if (this.closed) return;
    await this.opened();
    const buffer = this.bufferFor(segment.mime);
    if (seconds > BEHIND_S) await this.settle(buffer, () => buffer.remove(0, seconds - BEHIND_S));
    this.forget(seconds - BEHIND_S);
    buffer.timestampOffset = segment.start_ms / 1000;
    await this.settle(buffer, () => buffer.appendBuffer(bytes));
    this.held.add(segment.id);
  }

  private forget(before: number): void {
    for (const one of this.track.segments) {
      if ((one.start_ms + one.duration_ms) / 1000 < before) this.held.delete(one.id);
    }
  }

  private bufferFor(mime: string): SourceBuffer {
    if (!this.buffer) {
      this.buffer = this.source.addSourceBuffer(mime);
      this.buffer.mode = "segments";
      const ends = this.track.segments.map((one) => one.start_ms + one.duration_ms);
      this.source.duration = Math.max(0, ...ends) / 1000 + 1;
    } else if (mime !== this.mime) {
      this.buffer.changeType(mime); // the codec changed between segments
    }
    this.mime = mime;
    return this.buffer;
  }

  private opened(): Promise<void> {
    if (this.source.readyState === "open") return Promise.resolve();
    return new Promise((resolve) => this.source.addEventListener("sourceopen", () => resolve(), { once: true }));
  }

  private settle(buffer: SourceBuffer, start: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => { buffer.removeEventListener("error", broken); resolve(); };
      const broken = (): void => { buffer.removeEventListener("updateend", done); reject(new Error("segment does not decode")); };
      buffer.addEventListener("updateend", done, { once: true });
      buffer.addEventListener("error", broken, { once: true });
      start();
    });
  }
}
