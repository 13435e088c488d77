/** One live consult of one seat: signalling, media, devices and their recovery behind one immutable state. */
import type { Ack, DirectEvent, Locale, Me, Purpose, Role, RoomEvent, SeatLink, Snapshot, Source } from "../shared/protocol";
import { Demands } from "./demands";
import type { LocalMedia, LocalState } from "./devices";
import type { KeptOff } from "./kept-off";
import type { Reading } from "./ducking";
import { Interruptions, type Interruption } from "./interruptions";
import { mark, Peer, type MediaLink, type RemoteTrack } from "./peer";
import { admitted, applyDirect, applyRoom, fromSnapshot, others, type RoomState } from "./room-state";
import type { PointerTold, TableTold } from "./messages.gen";
import { Session, type End, type Link, type SessionListener } from "./session";
import { connectSocketIo, type Connect } from "./socket";
import { StatsSampler } from "./stats";
import { keepAwake } from "./wake-lock";

export interface CallState {
  readonly link: Link;
  readonly end: End | null;
  readonly media: MediaLink;
  /** performance.now() since which signalling or media is not working; null while all is well. */
  readonly since: number | null;
  readonly room: RoomState | null;
  readonly local: LocalState;
  readonly videoLimited: boolean;
  readonly interruption: Interruption;
  readonly streams: ReadonlyMap<string, RemoteTrack>;
}

export interface CallOptions {
  ticket: () => Promise<string>;
  locale: () => Locale;
  media: LocalMedia;
  /** What to publish once admitted; devices are opened only then. */
  publish: { mic: boolean; camera: boolean };
  /** What the person turned off before the page was loaded anew. */
  keptOff?: KeptOff;
  connect?: Connect;
  configuration?: RTCConfiguration;
}

const STATS_EVERY = 10_000;
const ASLEEP = 20_000; // ms hidden after which the line is not trusted

export class Call {
  state: CallState;
  readonly demands: Demands;
  private readonly options: CallOptions;
  private readonly session: Session;
  private peer: Peer | null = null;
  private readonly listeners = new Set<(state: CallState) => void>();
  private readonly tables = new Set<(told: TableTold | PointerTold) => void>();
  private interruptions: Interruptions | null = null;
  private statsTimer: ReturnType<typeof setInterval> | undefined;
  private hiddenAt: number | null = null;
  private readonly sampler = new StatsSampler();
  private readonly undo: (() => void)[] = [];
  private mediaStarted = false;
  private screenShown = false; // a section for it exists: its pauses have to be told too
  private mediaGone = false; // the server restarted: our connection leads nowhere

  constructor(options: CallOptions) {
    this.options = options;
    this.session = new Session({
      ticket: options.ticket, connect: options.connect ?? connectSocketIo, locale: options.locale, listener: this.listener(),
    });
    this.demands = new Demands((demands) => {
      if (this.mediaStarted) this.session.tell("media.view", { demands });
    });
    this.state = {
      link: "idle", end: null, media: "off", since: null, room: null, local: options.media.state, videoLimited: false,
      interruption: "none", streams: new Map(),
    };
  }

  subscribe(listener: (state: CallState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(options: { takeover?: boolean } = {}): void {
    mark("hz:join");
    this.watchPage();
    this.preparePeer();
    this.session.start(options.takeover ?? false);
  }

  retryNow(): void {
    this.session.retryNow();
    if (this.mediaStarted) this.peer?.recreate();
  }

  async leave(): Promise<void> {
    this.stopMedia();
    await this.session.leave();
    this.close();
  }

  close(): void {
    this.stopMedia();
    this.session.close();
    this.demands.close();
    for (const undo of this.undo.splice(0)) undo();
  }

  // ---- own devices ------------------------------------------------------------------------------------------

  async setMuted(source: "mic" | "camera", muted: boolean): Promise<void> {
    const { media, keptOff } = this.options;
    keptOff?.set(source, muted);
    if (source === "mic") {
      media.setMuted(muted);
      if (!muted && !media.mic) await media.acquire({ mic: true, camera: false });
    } else if (muted) media.stopCamera();
    else await media.acquire({ mic: false, camera: true });
    this.tellMuted();
  }

  switchCamera = (): Promise<boolean> => this.options.media.switchCamera();
  useDevice = (source: "mic" | "camera", deviceId: string): Promise<void> => this.options.media.useDevice(source, deviceId);
  shareScreen = (): Promise<boolean> => this.options.media.startScreen();
  stopScreen = (): void => this.options.media.stopScreen();

  /** From a tap, after a phone call took the devices. */
  async resumeDevices(): Promise<void> {
    await this.interruptions?.resume();
  }

  heard = (track: MediaStreamTrack): Reading | null => this.peer?.heard(track) ?? null;

  // ---- acts ---------------------------------------------------------------------------------------------------

  chat = (text: string): Promise<Ack> => this.session.act("chat", { text });
  hand = (raised: boolean): Promise<Ack> => this.session.act("hand", { raised });
  ready = (ready: boolean): Promise<Ack> => this.session.act("ready", { ready });
  admit = (seat: string): Promise<Ack> => this.session.act("admit", { seat });
  remove = (seat: string, reason: string): Promise<Ack> => this.session.act("remove", { seat, reason });
  end = (): Promise<Ack> => this.session.act("end");
  terminate = (reason_code: string, advice: string): Promise<Ack> => this.session.act("terminate", { reason_code, advice });
  startRecording = (): Promise<Ack> => this.session.act("recording.start");
  stopRecording = (reason?: string): Promise<Ack> => this.session.act("recording.stop", reason ? { reason } : {});
  withdraw = (purposes: Purpose[], reason?: string): Promise<Ack> => this.session.act("consent.withdraw", { purposes, ...(reason ? { reason } : {}) });
  pausePrivacy = (): Promise<Ack> => this.session.act("privacy.pause");
  resumePrivacy = (): Promise<Ack> => this.session.act("privacy.resume");
  requestExam = (): Promise<Ack> => this.session.act("exam.request");
  answerExam = (agrees: boolean): Promise<Ack> => this.session.act("exam.answer", { agrees });
  endExam = (): Promise<Ack> => this.session.act("exam.end");
  declare = (display_name: string, kind: string, on_camera: boolean, agrees: boolean | null): Promise<Ack<{ seat: string }>> =>
    this.session.act("person.declare", { display_name, kind, on_camera, ...(agrees === null ? {} : { agrees }) });
  answerFor = (seat: string, agrees: boolean): Promise<Ack> => this.session.act("person.answer", { seat, agrees });
  personGone = (seat: string): Promise<Ack> => this.session.act("person.gone", { seat });
  openPanel = (): Promise<Ack> => this.session.act("panel.open");
  orderPanel = (seats: string[]): Promise<Ack> => this.session.act("panel.order", { seats });
  giveWord = (seat: string | null): Promise<Ack> => this.session.act("panel.word", { seat });
  nextWord = (): Promise<Ack> => this.session.act("panel.next");
  spotlight = (seat: string | null): Promise<Ack> => this.session.act("panel.spotlight", { seat });
  handOver = (seat: string): Promise<Ack> => this.session.act("panel.chair", { seat });
  takeChair = (): Promise<Ack> => this.session.act("panel.take");
  askToMute = (seat: string): Promise<Ack> => this.session.act("panel.ask", { seat });
  startSide = (inviting: boolean): Promise<Ack> => this.session.act("side.start", { inviting });
  enterSide = (): Promise<Ack> => this.session.act("side.enter");
  leaveSide = (): Promise<Ack> => this.session.act("side.leave");
  listenFromSide = (on: boolean): Promise<Ack> => this.session.act("side.listen", { on });
  endSide = (): Promise<Ack> => this.session.act("side.end");
  attest = (seats: string[]): Promise<Ack> => this.session.act("room.attest", { seats });
  spoken = (seat: string, phase: "begin" | "end" | "cancel"): Promise<Ack> => this.session.act("consent.spoken", { seat, phase });
  invite = (role: Role, display_name: string, relation: string): Promise<Ack<{ seat: string; link: SeatLink }>> =>
    this.session.act("guest.invite", { role, display_name, relation });

  /** The shared view of images (console/imagetable): its questions and pointers out, what the room says of it in. */
  table = <T>(event: "table.act" | "table.since", body: object): Promise<Ack<T>> => this.session.ask(event, body);
  point = (body: object): void => this.session.tell("table.point", body);
  onTable(listener: (told: TableTold | PointerTold) => void): () => void {
    this.tables.add(listener);
    return () => this.tables.delete(listener);
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  private set(change: Partial<CallState>): void {
    const next = { ...this.state, ...change };
    const healthy = next.link === "live" && (!this.mediaStarted || next.media === "connected");
    const since = next.link === "ended" || next.link === "idle" || healthy ? null : (this.state.since ?? performance.now());
    this.state = { ...next, since };
    for (const listener of this.listeners) listener(this.state);
  }

  private listener(): SessionListener {
    return {
      onLink: (link, end) => {
        if (link === "live") mark("hz:joined");
        if (link === "ended") this.stopMedia();
        this.set({ link, end });
        if (link === "live") this.onLive();
      },
      onSnapshot: (snapshot, fresh) => this.onSnapshot(snapshot, fresh),
      onResumed: (me) => this.onResumed(me),
      onRoom: (event) => this.onRoom(event),
      onDirect: (event) => this.onDirect(event),
    };
  }

  private onSnapshot(snapshot: Snapshot, fresh: boolean): void {
    this.set({ room: fromSnapshot(snapshot, this.state.room, Date.now()) });
    if (fresh) this.mediaGone = true;
    this.followAdmission();
  }

  private onResumed(me: Me): void {
    if (this.state.room) this.set({ room: { ...this.state.room, me } });
  }

  private onRoom(event: RoomEvent): void {
    if (this.state.room) this.set({ room: applyRoom(this.state.room, event) });
    if (event.type === "seat") this.followAdmission();
  }

  private onDirect(event: DirectEvent): void {
    if (event.type === "table" || event.type === "pointer") for (const listener of this.tables) listener(event as TableTold | PointerTold);
    else if (event.type === "slots") this.peer?.setSlots(event.slots);
    else if (event.type === "pool") this.peer?.setPool(event.audio, event.video);
    else if (event.type !== "admitted" && this.state.room) {
      const room = applyDirect(this.state.room, event);
      this.set({ room, videoLimited: room.videoLimited });
    }
  }

  /** Signalling is back, or there for the first time. */
  private onLive(): void {
    this.followAdmission();
    const gone = this.mediaGone;
    this.mediaGone = false;
    if (!this.mediaStarted) return;
    this.tellMuted();
    this.demands.resend();
    if (gone) this.peer?.recreate();
    else if (this.state.media === "interrupted") this.peer?.restartIce();
    this.peer?.signalBack();
  }

  private followAdmission(): void {
    const inside = admitted(this.state.room);
    if (inside && !this.mediaStarted && this.session.link === "live") this.startMedia();
    else if (!inside && this.mediaStarted && this.state.room) this.stopMedia();
  }

  private preparePeer(): Peer {
    if (this.peer) return this.peer;
    const peer = new Peer({
      signal: (sdp, sources) => this.session.ask("media.offer", { sdp, sources }),
      onMedia: (media) => this.set({ media }),
      onStreams: (streams) => this.set({ streams }),
      ...(this.options.configuration ? { configuration: this.options.configuration } : {}),
    });
    this.peer = peer;
    const { media } = this.options;
    void peer.setTrack("mic", media.mic);
    void peer.setTrack("camera", media.camera);
    void peer.prepare();
    return peer;
  }

  private startMedia(): void {
    this.mediaStarted = true;
    const peer = this.preparePeer();
    const { media, publish, keptOff } = this.options;
    const inRoom = this.state.room ? others(this.state.room).length + 1 : 2;
    peer.setPool(inRoom, inRoom);
    const off = media.onChange((source: Source, track) => {
      void peer.setTrack(source, track);
      this.set({ local: media.state });
      this.tellMuted();
    });
    this.undo.push(off);
    this.interruptions = new Interruptions(media, (interruption) => this.set({ interruption }));
    peer.start();
    if (keptOff?.has("mic")) media.setMuted(true);
    void media.acquire({ mic: publish.mic, camera: publish.camera && !keptOff?.has("camera") }).then(() => this.tellMuted());
    keepAwake(true);
    this.statsTimer = setInterval(() => void this.sendStats(), STATS_EVERY);
    this.demands.resend();
    this.set({ local: media.state });
  }

  private stopMedia(): void {
    clearInterval(this.statsTimer);
    this.interruptions?.close();
    this.interruptions = null;
    this.peer?.close();
    this.peer = null;
    if (!this.mediaStarted) return;
    this.mediaStarted = false;
    this.options.media.release();
    keepAwake(false);
    this.set({ media: "off", streams: new Map(), local: this.options.media.state, interruption: "none", videoLimited: false });
  }

  private tellMuted(): void {
    if (!this.mediaStarted) return;
    const { mic, camera, screen } = this.options.media.state;
    this.session.tell("media.mute", { source: "mic", muted: !mic.on });
    this.session.tell("media.mute", { source: "camera", muted: !camera.on });
    if (screen.on) this.screenShown = true;
    if (this.screenShown) this.session.tell("media.mute", { source: "screen", muted: !screen.on });
    this.set({ local: this.options.media.state });
  }

  private async sendStats(): Promise<void> {
    const pc = this.peer?.connection;
    if (!pc || this.session.link !== "live") return;
    const report = await pc.getStats().catch(() => null);
    if (!report) return;
    const rows: (Record<string, unknown> & { type: string })[] = [];
    report.forEach((row) => rows.push(row as Record<string, unknown> & { type: string }));
    this.session.tell("stats", this.sampler.sample(rows, performance.now()));
  }

  // ---- the world around: network, page, devices ---------------------------------------------------------------

  private watchPage(): void {
    if (this.undo.length > 0) return;
    const connection = (navigator as { connection?: EventTarget & { type?: string } }).connection;
    let type = connection?.type;
    this.listen(window, "online", () => this.networkChanged());
    if (connection) {
      this.listen(connection, "change", () => {
        if (connection.type === type) return; // figures only, same network
        type = connection.type;
        if (navigator.onLine) this.networkChanged();
      });
    }
    this.listen(document, "visibilitychange", () => this.visibility());
    this.listen(window, "pagehide", () => {
      this.hiddenAt = performance.now();
    });
    this.listen(window, "pageshow", () => this.visibility());
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (devices?.addEventListener) this.listen(devices, "devicechange", () => this.set({ local: this.options.media.state }));
  }

  private listen(target: EventTarget, event: string, listener: () => void): void {
    target.addEventListener(event, listener);
    this.undo.push(() => target.removeEventListener(event, listener));
  }

  private networkChanged(): void {
    if (this.session.link === "idle" || this.session.link === "ended") return;
    this.session.retryNow();
    if (this.mediaStarted) this.peer?.restartIce(); // leaves as soon as signalling is back
  }

  private visibility(): void {
    const hidden = document.visibilityState === "hidden";
    this.demands.setPageHidden(hidden);
    if (hidden) {
      this.hiddenAt = performance.now();
      return;
    }
    const slept = this.hiddenAt !== null && performance.now() - this.hiddenAt > ASLEEP;
    this.hiddenAt = null;
    if (slept && this.session.link !== "live") this.session.retryNow();
    this.set({}); // elements re-attach on any change
  }
}
