/** Microphone, camera and screen of this device. One missing device never blocks the other. */
import type { DeviceVerdict, Source } from "../shared/protocol";

export type Facing = "user" | "environment";

export interface LocalState {
  mic: { on: boolean; available: boolean; error: DeviceVerdict | null };
  camera: { on: boolean; available: boolean; error: DeviceVerdict | null; facing: Facing; several: boolean };
  screen: { on: boolean };
}

type Change = (source: Source, track: MediaStreamTrack | null) => void;

/** DOMException name → what to tell the person. */
export function verdictOf(error: unknown): DeviceVerdict {
  const name = (error as { name?: string } | null)?.name ?? "";
  if (name === "NotAllowedError" || name === "SecurityError" || name === "PermissionDeniedError") return "denied";
  if (name === "NotReadableError" || name === "TrackStartError" || name === "AbortError") return "busy";
  return "missing"; // NotFoundError, OverconstrainedError, no mediaDevices at all
}

export const AUDIO: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } };

export function videoConstraints(facing: Facing, deviceId?: string): MediaTrackConstraints {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 24, max: 30 } };
  return deviceId ? { ...size, deviceId: { exact: deviceId } } : { ...size, facingMode: { ideal: facing } };
}

export type PermissionAnswer = "granted" | "denied" | "prompt" | "unknown";

/** What the browser remembers; "unknown" where it does not tell (Firefox, Safari before 16). */
export async function permission(kind: "camera" | "microphone"): Promise<PermissionAnswer> {
  try {
    return (await navigator.permissions.query({ name: kind as PermissionName })).state;
  } catch {
    return "unknown";
  }
}

export class LocalMedia {
  mic: MediaStreamTrack | null = null;
  camera: MediaStreamTrack | null = null;
  screen: MediaStreamTrack | null = null;
  facing: Facing = "user";
  private several = false;
  private errors: { mic: DeviceVerdict | null; camera: DeviceVerdict | null } = { mic: null, camera: null };
  private muted = false;
  private readonly chosen: { mic?: string; camera?: string } = {};
  private readonly listeners = new Set<Change>();

  onChange(listener: Change): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  get state(): LocalState {
    return {
      mic: { on: this.mic !== null && !this.muted, available: this.mic !== null, error: this.errors.mic },
      camera: {
        on: this.camera !== null, available: this.errors.camera === null || this.camera !== null,
        error: this.errors.camera, facing: this.facing, several: this.several,
      },
      screen: { on: this.screen !== null },
    };
  }

  /** Both with one question, else each alone. Never throws: see `state` for what is missing and why. */
  async acquire(want: { mic: boolean; camera: boolean }): Promise<void> {
    const mic = want.mic && !live(this.mic);
    const camera = want.camera && !live(this.camera);
    if (!mic && !camera) return;
    if (mic && camera) {
      try {
        const stream = await capture({ audio: this.audio(), video: this.video() });
        this.take("mic", stream.getAudioTracks()[0] ?? null);
        this.take("camera", stream.getVideoTracks()[0] ?? null);
        await this.count();
        return;
      } catch {
        // which of the two it was shows when each is asked for alone
      }
    }
    if (mic) await this.one("mic");
    if (camera) await this.one("camera");
    await this.count();
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.mic) this.mic.enabled = !muted;
    this.tell("mic");
  }

  /** Off means off: the device is closed and its light goes out. */
  stopCamera(): void {
    this.put("camera", null);
  }

  /** A phone opens one camera at a time: the former is closed first. False when the other one would not open. */
  async switchCamera(): Promise<boolean> {
    const former = this.facing;
    this.facing = former === "user" ? "environment" : "user";
    delete this.chosen.camera;
    this.put("camera", null);
    await this.one("camera");
    if (this.camera) return true;
    this.facing = former;
    await this.one("camera");
    return false;
  }

  async useDevice(source: "mic" | "camera", deviceId: string): Promise<void> {
    this.chosen[source] = deviceId;
    if (source === "camera") this.put("camera", null);
    await this.one(source);
  }

  /** Must be called from a tap or key press. False when cancelled or unsupported. */
  async startScreen(): Promise<boolean> {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({
        video: { width: { max: 2560 }, height: { max: 1600 }, frameRate: { ideal: 8, max: 15 } }, audio: false,
      });
      const track = stream.getVideoTracks()[0] ?? null;
      if (track) track.contentHint = "detail";
      this.put("screen", track);
      return track !== null;
    } catch {
      return false;
    }
  }

  stopScreen(): void {
    this.put("screen", null);
  }

  /** Close and open again what was open: after a phone call took the devices away. */
  async reacquire(sources: readonly ("mic" | "camera")[]): Promise<void> {
    for (const source of sources) await this.one(source);
  }

  release(): void {
    this.put("mic", null);
    this.put("camera", null);
    this.put("screen", null);
  }

  private audio(): MediaTrackConstraints {
    return this.chosen.mic ? { ...AUDIO, deviceId: { exact: this.chosen.mic } } : AUDIO;
  }

  private video(): MediaTrackConstraints {
    return videoConstraints(this.facing, this.chosen.camera);
  }

  private async one(source: "mic" | "camera"): Promise<void> {
    try {
      const stream = await capture(source === "mic" ? { audio: this.audio() } : { video: this.video() });
      this.take(source, stream.getTracks()[0] ?? null);
    } catch (error) {
      if (this.chosen[source] && verdictOf(error) === "missing") {
        delete this.chosen[source]; // unplugged since it was chosen: take any
        return this.one(source);
      }
      this.errors[source] = verdictOf(error);
      this.put(source, null);
    }
  }

  private take(source: "mic" | "camera", track: MediaStreamTrack | null): void {
    this.errors[source] = track ? null : "missing";
    if (source === "mic" && track) track.enabled = !this.muted;
    if (source === "camera" && track) {
      track.contentHint = "motion";
      const facing = track.getSettings?.().facingMode;
      if (facing === "user" || facing === "environment") this.facing = facing;
    }
    this.put(source, track);
  }

  private put(source: Source, track: MediaStreamTrack | null): void {
    const former = this[source];
    if (former === track && track !== null) return;
    this[source] = track;
    former?.stop();
    track?.addEventListener("ended", () => {
      if (this[source] !== track) return;
      if (source === "screen") this.put("screen", null); // the browser's own "stop sharing"
      else this.tell(source);
    });
    this.tell(source);
  }

  private tell(source: Source): void {
    for (const listener of this.listeners) listener(source, this[source]);
  }

  private async count(): Promise<void> {
    try {
      const found = await navigator.mediaDevices.enumerateDevices();
      this.several = found.filter((device) => device.kind === "videoinput").length > 1;
    } catch {
      this.several = false;
    }
    this.tell("camera");
  }
}

export const live = (track: MediaStreamTrack | null): boolean => track !== null && track.readyState === "live";

export const canShareScreen = (): boolean =>
  typeof navigator !== "undefined" && typeof navigator.mediaDevices?.getDisplayMedia === "function" && !/Android|iPhone|iPad/i.test(navigator.userAgent);

export const canCapture = (): boolean => typeof navigator !== "undefined" && typeof navigator.mediaDevices?.getUserMedia === "function";

async function capture(constraints: MediaStreamConstraints): Promise<MediaStream> {
  if (!canCapture()) throw new DOMException("no capture in this browser", "NotFoundError");
  return navigator.mediaDevices.getUserMedia(constraints);
}
