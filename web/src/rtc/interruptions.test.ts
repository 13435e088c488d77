import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LocalMedia } from "./devices";
import { Interruptions, type Interruption } from "./interruptions";

class FakeTrack extends EventTarget {
  readyState = "live";
  muted = false;
  enabled = true;
  contentHint = "";
  constructor(readonly kind: string) {
    super();
  }
  stop(): void {
    this.readyState = "ended";
  }
  getSettings(): object {
    return {};
  }
  fall(event: "mute" | "unmute" | "ended"): void {
    this.muted = event === "mute";
    if (event === "ended") this.readyState = "ended";
    this.dispatchEvent(new Event(event));
  }
}

describe("Interruptions", () => {
  let media: LocalMedia;
  let told: Interruption[];
  let watch: Interruptions;
  let broken: boolean;
  let opened: number;
  const mic = (): FakeTrack => media.mic as unknown as FakeTrack;

  beforeEach(async () => {
    vi.useFakeTimers();
    broken = false;
    opened = 0;
    vi.stubGlobal("navigator", {
      userAgent: "",
      mediaDevices: {
        enumerateDevices: async () => [],
        getUserMedia: async (constraints: MediaStreamConstraints) => {
          if (broken) throw new DOMException("", "NotReadableError");
          opened += 1;
          const tracks = [...(constraints.audio ? [new FakeTrack("audio")] : []), ...(constraints.video ? [new FakeTrack("video")] : [])];
          return { getTracks: () => tracks, getAudioTracks: () => tracks.filter((t) => t.kind === "audio"), getVideoTracks: () => tracks.filter((t) => t.kind === "video") };
        },
      },
    });
    media = new LocalMedia();
    await media.acquire({ mic: true, camera: false });
    told = [];
    watch = new Interruptions(media, (state) => told.push(state));
  });
  afterEach(() => {
    watch.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("does nothing about a short mute", async () => {
    mic().fall("mute");
    await vi.advanceTimersByTimeAsync(500);
    mic().fall("unmute");
    await vi.advanceTimersByTimeAsync(5000);
    expect([told, opened]).toEqual([[], 1]);
  });

  it("opens the microphone again when a phone call has taken it", async () => {
    const before = media.mic;
    mic().fall("mute");
    await vi.advanceTimersByTimeAsync(2000);
    expect(told).toEqual(["taken", "none"]);
    expect(media.mic).not.toBe(before);
    expect((before as unknown as FakeTrack).readyState).toBe("ended");
  });

  it("asks for a tap when the device stays taken, and resumes from the tap", async () => {
    broken = true;
    mic().fall("ended");
    await vi.advanceTimersByTimeAsync(2000);
    expect(told).toEqual(["taken", "tap"]);
    broken = false;
    await watch.resume();
    expect([told.at(-1), media.state.mic.on]).toEqual(["none", true]);
  });

  it("watches the new track after a change of device, not the former", async () => {
    const former = mic();
    await media.useDevice("mic", "other");
    former.dispatchEvent(new Event("ended"));
    await vi.advanceTimersByTimeAsync(3000);
    expect(told).toEqual([]);
    mic().fall("mute");
    await vi.advanceTimersByTimeAsync(2000);
    expect(told).toEqual(["taken", "none"]);
  });
});
