/**
 * The one RTCPeerConnection of a seat. We always offer, and the offer leaves before its candidates are gathered:
 * the server is ICE-lite and learns our address from our checks.
 *
 * Publish sections come first (microphone, camera with three simulcast layers, later the screen), then a pool of
 * receive sections, audio and video in turn. What a section carries is told by `slots`, never by SDP.
 */
import type { Ack, Slot, Source } from "../shared/protocol";
import { retryDelay } from "./backoff";
import type { Reading } from "./ducking";

export type MediaLink = "off" | "connecting" | "connected" | "interrupted";

export interface RemoteTrack { seat: string; source: Source; mid: string; track: MediaStreamTrack; turn: number }

export interface PeerOptions {
  /** `media.offer`; a code of `session.offline` means: try again when told by `signalBack()`. */
  signal: (sdp: string, sources: Record<string, Source>) => Promise<Ack<{ sdp: string }>>;
  onMedia: (link: MediaLink) => void;
  onStreams: (streams: ReadonlyMap<string, RemoteTrack>) => void;
  onRefused?: (code: string) => void;
  create?: (configuration: RTCConfiguration) => RTCPeerConnection;
  configuration?: RTCConfiguration;
}

export const CAMERA_LAYERS: RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_600_000 },
];
const SCREEN_LAYER: RTCRtpEncodingParameters[] = [{ maxBitrate: 2_500_000, maxFramerate: 15 }];
const VOICE: RTCRtpEncodingParameters[] = [{ maxBitrate: 40_000, priority: "high", networkPriority: "high" }];

const DISCONNECTED_PATIENCE = 2000;
const CONNECT_PATIENCE = 6000;
const RESEND = 2000; // an offer that got no answer
const RESEND_REFUSED = 7000; // an offer that was refused
const GONE = "media.transport_gone";

type Tracks = Record<Source, MediaStreamTrack | null>;

export class Peer {
  private readonly options: PeerOptions;
  private pc: RTCPeerConnection | null = null;
  private senders: Partial<Record<Source, RTCRtpTransceiver>> = {};
  private pool: { audio: RTCRtpTransceiver[]; video: RTCRtpTransceiver[] } = { audio: [], video: [] };
  private wanted = { audio: 2, video: 2 };
  private tracks: Tracks = { mic: null, camera: null, screen: null };
  private slots: Slot[] = [];
  private turns = new Map<string, { what: string; turn: number }>();
  private running = false;
  private again: { restart: boolean } | null = null;
  private prepared = false;
  private grown = false;
  private waitingForSignal = false;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private resend: ReturnType<typeof setTimeout> | undefined;
  private rebuilds = 0;
  private closed = false;
  private signalling = false;
  private link: MediaLink = "off";

  constructor(options: PeerOptions) {
    this.options = options;
  }

  /** Build the connection and its first description now, so that joining costs one message less. Sends nothing. */
  async prepare(): Promise<void> {
    if (this.pc || this.closed) return;
    const pc = this.build();
    try {
      await pc.setLocalDescription();
      this.prepared = pc === this.pc && !this.grown;
    } catch {
      this.prepared = false;
    }
  }

  /** From now on offers may be sent. */
  start(): void {
    if (this.closed) return;
    this.signalling = true;
    if (!this.pc) this.build();
    this.show("connecting");
    this.expectConnection();
    this.negotiate(false);
  }

  get connection(): RTCPeerConnection | null {
    return this.pc;
  }

  /** How loud a remote voice was last and when that was measured; null where the browser does not say. */
  heard(track: MediaStreamTrack): Reading | null {
    const receiver = this.pool.audio.find((transceiver) => transceiver.receiver.track === track)?.receiver;
    const [latest] = receiver?.getSynchronizationSources?.() ?? [];
    return latest?.audioLevel === undefined ? null : { level: latest.audioLevel, stamp: latest.timestamp };
  }

  async setTrack(source: Source, track: MediaStreamTrack | null): Promise<void> {
    this.tracks[source] = track;
    if (!this.pc) return;
    const transceiver = this.senders[source];
    if (transceiver) await transceiver.sender.replaceTrack(track).catch(() => this.recreate());
    else if (track && source === "screen") {
      this.addSender("screen");
      this.negotiate(false);
    }
  }

  setPool(audio: number, video: number): void {
    this.wanted = { audio: Math.max(this.wanted.audio, audio), video: Math.max(this.wanted.video, video) };
    if (this.pc && this.growPool()) this.negotiate(false);
  }

  setSlots(slots: Slot[]): void {
    this.slots = slots;
    this.mapStreams();
  }

  /** The network changed: new paths for the same connection. */
  restartIce(): void {
    if (!this.pc || !this.signalling) return;
    if (this.pc.connectionState === "closed") return this.recreate();
    this.expectConnection();
    this.negotiate(true);
  }

  /** A new connection with the same tracks: the server lost the old one, or ICE could not be restarted. */
  recreate(): void {
    if (this.closed) return;
    this.teardown();
    this.slots = [];
    this.build();
    this.mapStreams();
    this.show(this.link === "connected" ? "interrupted" : this.link === "off" ? "connecting" : this.link);
    if (!this.signalling) return;
    this.expectConnection();
    this.negotiate(false);
  }

  /** Signalling works again: whatever could not be sent is sent now. */
  signalBack(): void {
    if (!this.waitingForSignal) return;
    clearTimeout(this.resend);
    this.waitingForSignal = false;
    this.expectConnection();
    this.negotiate(false);
  }

  close(): void {
    this.closed = true;
    this.teardown();
    this.link = "off";
    this.options.onStreams(new Map());
  }

  private build(): RTCPeerConnection {
    const configuration: RTCConfiguration = { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require", ...this.options.configuration };
    const pc = (this.options.create ?? ((c) => new RTCPeerConnection(c)))(configuration);
    this.pc = pc;
    this.senders = {};
    this.pool = { audio: [], video: [] };
    this.turns = new Map([...this.turns].map(([mid, was]) => [mid, { what: "", turn: was.turn }]));
    pc.addEventListener("connectionstatechange", () => {
      if (pc === this.pc) this.onConnection(pc.connectionState);
    });
    this.addSender("mic");
    this.addSender("camera");
    if (this.tracks.screen) this.addSender("screen");
    this.growPool();
    this.grown = false;
    return pc;
  }

  private addSender(source: Source): void {
    if (!this.pc) return;
    const kind = source === "mic" ? "audio" : "video";
    const encodings = { mic: VOICE, camera: CAMERA_LAYERS, screen: SCREEN_LAYER }[source];
    const track = this.tracks[source];
    this.senders[source] = this.pc.addTransceiver(track ?? kind, {
      direction: "sendonly", sendEncodings: encodings.map((encoding) => ({ ...encoding })),
    });
    this.grow();
  }

  private growPool(): boolean {
    const before = this.pool.audio.length + this.pool.video.length;
    while (this.pool.audio.length < this.wanted.audio || this.pool.video.length < this.wanted.video) {
      for (const kind of ["audio", "video"] as const) {
        if (this.pool[kind].length >= this.wanted[kind] || !this.pc) continue;
        this.pool[kind].push(this.pc.addTransceiver(kind, { direction: "recvonly" }));
        this.grow();
      }
    }
    return this.pool.audio.length + this.pool.video.length > before;
  }

  /** A description made before this section does not contain it. */
  private grow(): void {
    this.grown = true;
    this.prepared = false;
  }

  /** One offer at a time; what happens meanwhile is taken together into the next. */
  private negotiate(restart: boolean): void {
    if (!this.signalling || this.closed) return;
    this.again = { restart: restart || (this.again?.restart ?? false) };
    if (!this.running) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.again && this.pc && !this.closed && !this.waitingForSignal) {
        const { restart } = this.again;
        this.again = null;
        await this.offer(this.pc, restart);
      }
    } finally {
      this.running = false;
    }
    if (this.again && !this.waitingForSignal && !this.closed) this.negotiate(false);
  }

  private async offer(pc: RTCPeerConnection, restart: boolean): Promise<void> {
    try {
      if (this.prepared && !restart) this.prepared = false;
      else {
        this.grown = false;
        await pc.setLocalDescription(await pc.createOffer({ iceRestart: restart }));
      }
      mark("hz:offer");
      const ack = await this.options.signal(pc.localDescription?.sdp ?? "", this.sources());
      if (pc !== this.pc) return; // replaced meanwhile; the new one makes its own offer
      if (!ack.ok) return this.notAnswered(ack.code);
      await pc.setRemoteDescription({ type: "answer", sdp: ack.sdp });
      mark("hz:answer");
      this.mapStreams();
    } catch {
      if (pc === this.pc && !this.closed) this.scheduleRebuild();
    }
  }

  /** The description stays as it is and is sent again: when signalling is back, or a little later. */
  private notAnswered(code: string): void {
    if (code === GONE) return this.scheduleRebuild(); // the server let this connection go: it takes no other than a new one
    this.prepared = !this.grown;
    this.again = { restart: false };
    this.waitingForSignal = true;
    clearTimeout(this.resend);
    this.resend = setTimeout(() => this.signalBack(), code === "session.offline" ? RESEND : RESEND_REFUSED);
    if (code !== "session.offline") this.options.onRefused?.(code);
  }

  private sources(): Record<string, Source> {
    const named: Record<string, Source> = {};
    for (const source of ["mic", "camera", "screen"] as const) {
      const mid = this.senders[source]?.mid;
      if (mid) named[mid] = source;
    }
    return named;
  }

  private mapStreams(): void {
    const byMid = new Map<string, RTCRtpTransceiver>();
    for (const transceiver of [...this.pool.audio, ...this.pool.video]) if (transceiver.mid) byMid.set(transceiver.mid, transceiver);
    const streams = new Map<string, RemoteTrack>();
    for (const { mid, seat, source } of this.slots) {
      const what = seat && source ? `${seat}/${source}` : "";
      const former = this.turns.get(mid) ?? { what: "", turn: 0 };
      const turn = former.what === what ? former.turn : former.turn + 1;
      this.turns.set(mid, { what, turn });
      const track = byMid.get(mid)?.receiver.track;
      if (seat && source && track) streams.set(what, { seat, source, mid, track, turn });
    }
    this.options.onStreams(streams);
  }

  private onConnection(state: RTCPeerConnectionState): void {
    if (state === "connected") {
      clearTimeout(this.patience);
      this.rebuilds = 0;
      mark("hz:media");
      this.show("connected");
    } else if (state === "disconnected") {
      clearTimeout(this.patience);
      this.patience = setTimeout(() => {
        this.show("interrupted");
        this.restartIce();
      }, DISCONNECTED_PATIENCE);
    } else if (state === "failed") {
      this.show("interrupted");
      this.restartIce();
    }
  }

  private expectConnection(): void {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      if (this.running) this.expectConnection(); // an answer on its way: a new offer would only burden a slow server more
      else if (!this.waitingForSignal && this.pc?.connectionState !== "connected") this.scheduleRebuild();
    }, CONNECT_PATIENCE);
  }

  private scheduleRebuild(): void {
    if (this.link === "connected") this.show("interrupted");
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.recreate(), retryDelay(this.rebuilds));
    this.rebuilds += 1;
  }

  private show(link: MediaLink): void {
    if (this.link === link || this.closed) return;
    this.link = link;
    this.options.onMedia(link);
  }

  private teardown(): void {
    clearTimeout(this.patience);
    clearTimeout(this.resend);
    this.waitingForSignal = false;
    this.prepared = false;
    this.again = null;
    const pc = this.pc;
    this.pc = null;
    pc?.close();
  }
}

/** A performance mark, once per name and page life, for tests and quality figures. */
export function mark(name: string): void {
  try {
    if (performance.getEntriesByName(name).length === 0) performance.mark(name);
  } catch {
    // no user timing here
  }
}
