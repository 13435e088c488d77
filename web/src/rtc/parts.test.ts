/** The small parts of src/rtc: reducer, demands, devices, browser detection, figures. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Demand, SeatView, Snapshot } from "../shared/protocol";
import { retryDelay } from "./backoff";
import { Demands } from "./demands";
import { LocalMedia, verdictOf } from "./devices";
import { engine, family, inApp } from "./in-app";
import { admitted, applyDirect, applyRoom, awayAside, fromSnapshot, isAside, others } from "./room-state";
import { StatsSampler } from "./stats";

const seat = (id: string, more: Partial<SeatView> = {}): SeatView => ({
  id, role: "family", display_name: id, institution: null, state: "admitted", online: true, publishing: [], muted: [], hand: false, quality: null,
  consent: { rec_av: "undecided" }, recorded: false, ...more,
});
const snapshot: Snapshot = {
  epoch: "e", seq: 1, me: { seat: "me", role: "patient", may: [], publish: [] },
  consult: { id: "c", kind: "follow_up", status: "waiting", starts_at: "", ends_at: "" },
  seats: [seat("me", { role: "patient", state: "waiting" })], recording: null, chat: [], speaker: null, server_time: "2026-01-01T00:00:10Z",
};
const NOW = Date.parse("2026-01-01T00:00:00Z");

describe("room state", () => {
  const start = fromSnapshot(snapshot, null, NOW);

  it("knows the server's clock and who is admitted", () => {
    expect(start.skew).toBe(10_000);
    expect(admitted(start)).toBe(false);
    expect(admitted(applyRoom(start, { epoch: "e", seq: 2, type: "seat", seat: seat("me", { state: "admitted" }) }))).toBe(true);
  });

  it("never changes a former state", () => {
    const frozen = Object.freeze({ ...start, seats: Object.freeze({ ...start.seats }) });
    const next = applyRoom(frozen, { epoch: "e", seq: 2, type: "consent", seat: "me", standing: { rec_av: "permitted" } });
    expect([next.seats.me?.consent.rec_av, frozen.seats.me?.consent.rec_av]).toEqual(["permitted", "undecided"]);
  });

  it("keeps pauses and exam views, and forgets who asked once the own pause is over", () => {
    const pauses = [{ seat: "me", role: "patient", since: "2026-03-10T09:00:00Z" }];
    let state = applyRoom(start, { epoch: "e", seq: 2, type: "privacy", privacy: { pauses } });
    state = applyDirect(state, { type: "asked", what: "privacy_resume", by: "doc" });
    expect([state.privacy.pauses?.length, state.askedBy]).toEqual([1, "doc"]);
    state = applyRoom(state, { epoch: "e", seq: 3, type: "privacy", privacy: { exam: { state: "on", seat: "me", since: "2026-03-10T09:01:00Z" } } });
    expect([state.privacy.pauses, state.privacy.exam?.state, state.askedBy]).toEqual([undefined, "on", null]);
    const side = applyRoom(state, { epoch: "e", seq: 4, type: "seat", seat: seat("side", { role: "declared", state: "admitted", declared_by: "doc" }) });
    expect(others(side).map((one) => one.id)).not.toContain("side");
  });

  it("knows who is aside, who the chair asked to mute, and what a new chair may do", () => {
    const side = { by: "a", since: "2026-03-10T09:00:00Z", members: ["a", "b"] };
    let state = applyRoom(start, { epoch: "e", seq: 2, type: "panel", panel: { quorum: { state: "held" }, side } });
    expect([isAside(state, "a"), isAside(state, "me"), awayAside(state, "a"), awayAside(state, "d")]).toEqual([true, false, true, false]);
    state = applyRoom(state, { epoch: "e", seq: 3, type: "panel", panel: { quorum: { state: "held" }, side: { ...side, members: ["a", "me"] } } });
    expect([isAside(state, "me"), awayAside(state, "a")]).toEqual([true, false]);
    state = applyDirect(state, { type: "asked", what: "mute", by: "a" });
    expect([state.muteAskedBy, state.askedBy]).toEqual(["a", null]);
    state = applyDirect(state, { type: "me", me: { seat: "me", role: "chair", may: ["preside"], publish: [] } });
    expect(state.me.may).toEqual(["preside"]);
    expect(fromSnapshot(snapshot, state, NOW).panel).toBeNull();
  });

  it("keeps one of two equal chat messages, and ignores events of a newer server", () => {
    const message = { id: "m", seat: "me", text: "x", sent_at: "" };
    let state = applyRoom(start, { epoch: "e", seq: 2, type: "chat", message });
    state = applyRoom(state, { epoch: "e", seq: 3, type: "chat", message });
    expect(state.chat).toHaveLength(1);
    expect(applyRoom(state, { epoch: "e", seq: 4, type: "hologram" } as never)).toBe(state);
  });

  it("keeps queue and qualities over a new snapshot", () => {
    let state = applyDirect(start, { type: "queue", position: 3, ahead: 2, estimate_minutes: 16 });
    state = applyDirect(state, { type: "quality", seat: "d", level: "poor" });
    const again = fromSnapshot(snapshot, state, NOW);
    expect([again.queue?.ahead, again.qualities.d?.level]).toEqual([2, "poor"]);
  });

  it("lists others in the room, the doctor first", () => {
    const state = fromSnapshot({ ...snapshot, seats: [seat("me"), seat("z"), seat("w", { state: "waiting" }), seat("d", { role: "attending" })] }, null, NOW);
    expect(others(state).map((one) => one.id)).toEqual(["d", "z"]);
  });
});

describe("demands", () => {
  afterEach(() => vi.useRealTimers());
  const element = (width: number, height: number): Element => ({ getBoundingClientRect: () => ({ width, height }) }) as Element;

  it("tells the largest place of each picture once, after a quiet moment", () => {
    vi.useFakeTimers();
    vi.stubGlobal("ResizeObserver", undefined);
    vi.stubGlobal("devicePixelRatio", 3);
    const sent: Demand[][] = [];
    const demands = new Demands((next) => sent.push(next));
    demands.show("a", "s1", "camera", element(100, 50));
    demands.show("b", "s1", "camera", element(300, 200));
    demands.show("c", "s2", "screen", element(0, 0));
    expect(sent).toHaveLength(0);
    vi.advanceTimersByTime(200);
    expect(sent).toEqual([[{ seat: "s1", source: "camera", width: 600, height: 400 }]]);
    demands.show("b", "s1", "camera", element(300, 200));
    vi.advanceTimersByTime(200);
    expect(sent).toHaveLength(1);
    demands.setPageHidden(true);
    vi.advanceTimersByTime(200);
    expect(sent.at(-1)).toEqual([]);
    demands.resend();
    expect(sent).toHaveLength(3);
    demands.close();
    vi.unstubAllGlobals();
  });

  it("tells a new picture at once, and nothing before there is one: the server's own guess is better than none", () => {
    vi.useFakeTimers();
    vi.stubGlobal("ResizeObserver", undefined);
    vi.stubGlobal("devicePixelRatio", 1);
    const sent: Demand[][] = [];
    const demands = new Demands((next) => sent.push(next));
    demands.resend();
    vi.advanceTimersByTime(20);
    expect(sent).toHaveLength(0);
    demands.show("a", "s1", "camera", element(100, 50));
    vi.advanceTimersByTime(0);
    expect(sent).toHaveLength(1);
    demands.hide("a");
    demands.show("b", "s1", "camera", element(400, 300)); // moved to another place: no hurry
    vi.advanceTimersByTime(100);
    expect(sent).toHaveLength(1);
    demands.hide("b");
    vi.advanceTimersByTime(100);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(100);
    expect(sent.at(-1)).toEqual([]);
    demands.close();
    vi.unstubAllGlobals();
  });
});

describe("devices", () => {
  afterEach(() => vi.unstubAllGlobals());
  const track = (kind: string): MediaStreamTrack =>
    Object.assign(new EventTarget(), { kind, enabled: true, readyState: "live", muted: false, stop: vi.fn(), getSettings: () => ({}) }) as unknown as MediaStreamTrack;
  const streamOf = (...tracks: MediaStreamTrack[]) => ({
    getTracks: () => tracks,
    getAudioTracks: () => tracks.filter((one) => one.kind === "audio"),
    getVideoTracks: () => tracks.filter((one) => one.kind === "video"),
  });
  const failing = (name: string): DOMException => new DOMException("", name);
  function stub(answer: (constraints: MediaStreamConstraints) => unknown): void {
    vi.stubGlobal("navigator", {
      userAgent: "", mediaDevices: { getUserMedia: async (constraints: MediaStreamConstraints) => answer(constraints), enumerateDevices: async () => [] },
    });
  }

  it("names what went wrong", () => {
    expect(["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"].map((name) => verdictOf(failing(name)))).toEqual(["denied", "missing", "busy", "missing"]);
  });

  it("opens the microphone alone when there is no camera", async () => {
    stub((constraints) => {
      if (constraints.video) throw failing("NotFoundError");
      return streamOf(track("audio"));
    });
    const media = new LocalMedia();
    await media.acquire({ mic: true, camera: true });
    expect(media.state).toMatchObject({ mic: { on: true, available: true, error: null }, camera: { on: false, error: "missing" } });
  });

  it("never throws, even where capture does not exist", async () => {
    vi.stubGlobal("navigator", { userAgent: "" });
    const media = new LocalMedia();
    await media.acquire({ mic: true, camera: true });
    expect(media.state).toMatchObject({ mic: { available: false, error: "missing" }, camera: { error: "missing" } });
  });

  it("closes the camera when it is turned off, keeps mute over a new microphone", async () => {
    const camera = track("video");
    stub((constraints) => streamOf(...(constraints.audio ? [track("audio")] : []), ...(constraints.video ? [camera] : [])));
    const media = new LocalMedia();
    media.setMuted(true);
    await media.acquire({ mic: true, camera: true });
    expect(media.mic?.enabled).toBe(false);
    media.stopCamera();
    expect(camera.stop).toHaveBeenCalled();
    expect(media.state.camera).toMatchObject({ on: false, available: true });
  });

  it("goes back to the former camera when the other one does not open", async () => {
    const asked: unknown[] = [];
    stub((constraints) => {
      const facing = (constraints.video as MediaTrackConstraints | undefined)?.facingMode;
      asked.push(facing);
      if (JSON.stringify(facing)?.includes("environment")) throw failing("NotReadableError");
      return streamOf(track("video"));
    });
    const media = new LocalMedia();
    await media.acquire({ mic: false, camera: true });
    expect(await media.switchCamera()).toBe(false);
    expect([media.facing, media.state.camera.on]).toEqual(["user", true]);
    expect(asked).toHaveLength(3);
  });
});

describe("browsers", () => {
  const wechat = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.38";
  const safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 Version/16.5 Mobile/15E148 Safari/604.1";
  const android = "Mozilla/5.0 (Linux; Android 11; M2007J3SC) AppleWebKit/537.36 Chrome/95.0.4638.74 Mobile Safari/537.36";
  it("tells in-app browsers from real ones", () => {
    expect([inApp(wechat), inApp(safari), inApp(android), inApp(`${android} wxwork/4.1 MicroMessenger/7`)]).toEqual(["wechat", null, null, "wecom"]);
  });
  it("tells systems and engines", () => {
    expect([family(safari), family(android), family("Macintosh", 5), family("Macintosh", 0)]).toEqual(["ios", "android", "ios", "desktop"]);
    expect([engine(safari), engine(android), engine("Firefox/120.0"), engine("Chrome/120 Edg/120")]).toEqual(["safari", "chrome", "firefox", "edge"]);
  });
});

describe("figures", () => {
  it("computes rates and counts since the former sample", () => {
    const sampler = new StatsSampler();
    const rows = (bytes: number, freezes: number, concealed: number) => [
      { type: "inbound-rtp", bytesReceived: bytes, freezeCount: freezes, concealedSamples: concealed, silentConcealedSamples: 0, frameWidth: 640, framesPerSecond: 24 },
      { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.042 },
    ];
    expect(sampler.sample(rows(1000, 1, 480), 0)).toMatchObject({ kbps_in: 0, freezes: 0, rtt_ms: 42 });
    expect(sampler.sample(rows(126_000, 3, 48_480), 1000)).toMatchObject({ kbps_in: 1000, freezes: 2, concealed_ms: 1000, fps: 24, width: 640 });
  });
  it("spreads retries by at most a fifth", () => {
    expect([retryDelay(1, () => 0), retryDelay(1, () => 1), retryDelay(50, () => 0)]).toEqual([300, 360, 7000]);
  });
});
