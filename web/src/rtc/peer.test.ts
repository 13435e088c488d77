import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Ack, Source } from "../shared/protocol";
import { Peer, type MediaLink, type RemoteTrack } from "./peer";

class FakeTransceiver {
  mid: string | null = null;
  sender = { track: null as unknown, replaceTrack: vi.fn(async (track: unknown) => { this.sender.track = track; }) };
  receiver: { track: { id: string; kind: string } };
  constructor(readonly kind: string, readonly init: RTCRtpTransceiverInit, id: number) {
    this.receiver = { track: { id: `r${id}`, kind } };
  }
}

class FakeConnection extends EventTarget {
  static all: FakeConnection[] = [];
  transceivers: FakeTransceiver[] = [];
  connectionState: RTCPeerConnectionState = "new";
  signalingState: RTCSignalingState = "stable";
  localDescription: { sdp: string } | null = null;
  remoteDescription: { sdp: string } | null = null;
  restarts = 0;
  closed = false;
  private offers = 0;

  constructor() {
    super();
    FakeConnection.all.push(this);
  }

  addTransceiver(what: string | { kind: string }, init: RTCRtpTransceiverInit): FakeTransceiver {
    const made = new FakeTransceiver(typeof what === "string" ? what : what.kind, init, this.transceivers.length);
    this.transceivers.push(made);
    return made;
  }

  async createOffer(options: { iceRestart?: boolean } = {}): Promise<{ sdp: string }> {
    if (options.iceRestart) this.restarts += 1;
    this.offers += 1;
    return { sdp: `offer${this.offers} sections=${this.transceivers.length}` };
  }

  async setLocalDescription(description?: { type?: string; sdp?: string }): Promise<void> {
    if (description?.type === "rollback") {
      this.signalingState = "stable";
      return;
    }
    const made = description?.sdp ?? (await this.createOffer()).sdp;
    this.transceivers.forEach((transceiver, index) => {
      transceiver.mid = String(index);
    });
    this.localDescription = { sdp: made };
    this.signalingState = "have-local-offer";
  }

  async setRemoteDescription(description: { sdp: string }): Promise<void> {
    this.remoteDescription = description;
    this.signalingState = "stable";
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  close(): void {
    this.closed = true;
    this.connectionState = "closed";
  }
}

const settle = async (): Promise<void> => {
  for (let n = 0; n < 20; n += 1) await Promise.resolve();
};

describe("Peer", () => {
  let sent: { sdp: string; sources: Record<string, Source> }[];
  let answers: (() => Ack<{ sdp: string }>)[];
  let media: MediaLink[];
  let streams: ReadonlyMap<string, RemoteTrack>;
  let peer: Peer;
  const pc = (): FakeConnection => FakeConnection.all.at(-1) as FakeConnection;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeConnection.all = [];
    sent = [];
    answers = [];
    media = [];
    streams = new Map();
    peer = new Peer({
      signal: async (sdp, sources) => {
        sent.push({ sdp, sources });
        return answers.shift()?.() ?? { ok: true, sdp: "answer" };
      },
      onMedia: (link) => media.push(link),
      onStreams: (next) => {
        streams = next;
      },
      create: () => new FakeConnection() as unknown as RTCPeerConnection,
    });
  });
  afterEach(() => {
    peer.close();
    vi.useRealTimers();
  });

  it("offers microphone, three camera layers and an interleaved pool, without waiting for candidates", async () => {
    peer.start();
    await settle();
    expect(pc().transceivers.map((transceiver) => transceiver.kind)).toEqual(["audio", "video", "audio", "video", "audio", "video"]);
    expect(pc().transceivers.map((transceiver) => transceiver.init.direction)).toEqual(["sendonly", "sendonly", ...Array(4).fill("recvonly")]);
    expect(pc().transceivers[1]?.init.sendEncodings?.map((layer) => [layer.rid, layer.scaleResolutionDownBy])).toEqual([["q", 4], ["h", 2], ["f", 1]]);
    expect(sent[0]?.sources).toEqual({ "0": "mic", "1": "camera" });
    expect(pc().remoteDescription).toEqual({ type: "answer", sdp: "answer" });
  });

  it("uses the description prepared before joining", async () => {
    await peer.prepare();
    expect(sent).toHaveLength(0);
    peer.start();
    await settle();
    expect(sent.map((offer) => offer.sdp)).toEqual(["offer1 sections=6"]);
  });

  it("does not send a prepared description that lacks a section", async () => {
    await peer.prepare();
    peer.setPool(3, 4);
    peer.start();
    await settle();
    expect(sent.map((offer) => offer.sdp)).toEqual(["offer2 sections=9"]);
  });

  it("grows the pool by one more offer, never shrinks it", async () => {
    peer.start();
    await settle();
    peer.setPool(4, 5);
    await settle();
    peer.setPool(1, 1);
    await settle();
    expect(sent.map((offer) => offer.sdp)).toEqual(["offer1 sections=6", "offer2 sections=11"]);
  });

  it("adds the screen once, and only replaces the track afterwards", async () => {
    peer.start();
    await settle();
    const track = { kind: "video" } as unknown as MediaStreamTrack;
    await peer.setTrack("screen", track);
    await settle();
    await peer.setTrack("screen", null);
    await peer.setTrack("screen", track);
    await settle();
    expect(sent).toHaveLength(2);
    expect(Object.values(sent[1]?.sources ?? {})).toEqual(["mic", "camera", "screen"]);
  });

  it("maps slots to seats by mid and counts re-mappings", async () => {
    peer.start();
    await settle();
    peer.setSlots([{ mid: "2", seat: "a", source: "mic" }, { mid: "3", seat: "a", source: "camera" }, { mid: "4", seat: null, source: null }]);
    expect([...streams.keys()]).toEqual(["a/mic", "a/camera"]);
    const before = streams.get("a/camera");
    peer.setSlots([{ mid: "2", seat: "a", source: "mic" }, { mid: "3", seat: "b", source: "camera" }]);
    expect(streams.get("b/camera")?.track).toBe(before?.track);
    expect(streams.get("b/camera")?.turn).toBe((before?.turn ?? 0) + 1);
    expect(streams.get("a/mic")?.turn).toBe(1);
  });

  it("restarts ICE after two seconds of silence, rebuilds when that fails", async () => {
    peer.start();
    await settle();
    pc().become("connected");
    pc().become("disconnected");
    await vi.advanceTimersByTimeAsync(1900);
    expect(pc().restarts).toBe(0);
    await vi.advanceTimersByTimeAsync(200);
    expect([pc().restarts, media.at(-1)]).toEqual([1, "interrupted"]);
    await vi.advanceTimersByTimeAsync(6100);
    expect(FakeConnection.all).toHaveLength(2);
    expect(FakeConnection.all[0]?.closed).toBe(true);
    pc().become("connected");
    expect(media).toEqual(["connecting", "connected", "interrupted", "connected"]);
  });

  it("a short silence heals without any action", async () => {
    peer.start();
    await settle();
    pc().become("connected");
    pc().become("disconnected");
    await vi.advanceTimersByTimeAsync(1500);
    pc().become("connected");
    await vi.advanceTimersByTimeAsync(10_000);
    expect([pc().restarts, FakeConnection.all.length, media.at(-1)]).toEqual([0, 1, "connected"]);
  });

  it("waits for signalling, builds nothing meanwhile, and offers when it is back", async () => {
    let online = false;
    for (let n = 0; n < 100; n += 1) answers.push(() => (online ? { ok: true, sdp: "answer" } : { ok: false, code: "session.offline" }));
    peer.start();
    await settle();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeConnection.all).toHaveLength(1);
    online = true;
    peer.signalBack();
    await settle();
    expect(pc().remoteDescription).not.toBeNull();
    expect(new Set(sent.map((offer) => offer.sdp))).toEqual(new Set(["offer1 sections=6"]));
  });

  it("sends an offer again by itself when its answer was lost on a living line, later when it was refused", async () => {
    answers.push(() => ({ ok: false, code: "session.offline" }), () => ({ ok: false, code: "rate.limited" }));
    peer.start();
    await settle();
    await vi.advanceTimersByTimeAsync(2100);
    expect(sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(6500);
    expect(sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(600);
    expect([sent.length, pc().remoteDescription !== null, FakeConnection.all.length]).toEqual([3, true, 1]);
  });

  it("builds nothing anew while an answer is on its way, however slow the server", async () => {
    let answer: (ack: Ack<{ sdp: string }>) => void = () => undefined;
    const slow = new Peer({
      signal: (sdp, sources) => { sent.push({ sdp, sources }); return new Promise((resolve) => { answer = resolve; }); },
      onMedia: () => undefined,
      onStreams: () => undefined,
      create: () => new FakeConnection() as unknown as RTCPeerConnection,
    });
    slow.start();
    await settle();
    await vi.advanceTimersByTimeAsync(7500);
    answer({ ok: true, sdp: "answer" });
    await settle();
    expect([sent.length, FakeConnection.all.length, pc().remoteDescription?.sdp]).toEqual([1, 1, "answer"]);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(FakeConnection.all.length).toBeGreaterThan(1); // answered, yet no path: now it is
    slow.close();
  });

  it("tells how loud a remote voice is, where the browser says", async () => {
    peer.start();
    await settle();
    peer.setSlots([{ mid: "2", seat: "a", source: "mic" }, { mid: "3", seat: "a", source: "camera" }]);
    const { track } = streams.get("a/mic") as RemoteTrack;
    expect(peer.heard(track)).toBeNull();
    const receiver = pc().transceivers[2]?.receiver as { getSynchronizationSources?: () => object[] };
    receiver.getSynchronizationSources = () => [];
    expect(peer.heard(track)).toBeNull();
    receiver.getSynchronizationSources = () => [{ audioLevel: 0.3, timestamp: 5 }];
    expect(peer.heard(track)).toEqual({ level: 0.3, stamp: 5 });
    expect(peer.heard({} as MediaStreamTrack)).toBeNull();
  });

  it("makes a new connection where the server let the old one go", async () => {
    answers.push(() => ({ ok: true, sdp: "answer" }), () => ({ ok: false, code: "media.transport_gone" }));
    peer.start();
    await settle();
    pc().become("connected");
    pc().become("failed");
    await settle();
    expect(FakeConnection.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    expect([FakeConnection.all.length, FakeConnection.all[0]?.closed, sent.length]).toEqual([2, true, 3]);
    pc().become("connected");
    await vi.advanceTimersByTimeAsync(30_000);
    expect([FakeConnection.all.length, media.at(-1)]).toEqual([2, "connected"]);
  });

  it("keeps tracks over a rebuild", async () => {
    const track = { kind: "audio" } as unknown as MediaStreamTrack;
    await peer.setTrack("mic", track);
    peer.start();
    await settle();
    peer.recreate();
    await settle();
    expect(FakeConnection.all).toHaveLength(2);
    expect(pc().transceivers[0]?.kind).toBe("audio");
    expect(sent).toHaveLength(2);
  });

  it("says nothing after close", async () => {
    peer.start();
    peer.close();
    await settle();
    expect(pc().closed).toBe(true);
    expect(streams.size).toBe(0);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(FakeConnection.all).toHaveLength(1);
  });
});
