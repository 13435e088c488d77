/**
 * One seat's line to its room: ticket, connect, join, and coming back by itself.
 *
 * The server numbers its room events; a client that lost its socket resumes from its last number or is given a
 * snapshot. Everything here survives any number of sockets. No media, no DOM.
 */
import { operationId } from "../shared/operation";
import type { Ack, AckError, DirectEvent, Locale, Me, RoomEvent, Snapshot } from "../shared/protocol";
import { retryDelay } from "./backoff";
import type { Connect, Wire } from "./socket";

export type Link = "idle" | "connecting" | "live" | "reconnecting" | "ended";
export interface End { kind: "left" | "ended" | "removed" | "replaced" | "refused"; code: string }

export interface SessionListener {
  onLink(link: Link, end: End | null): void;
  /** The whole state anew. `fresh` = another epoch than before: media on the server is gone. */
  onSnapshot(snapshot: Snapshot, fresh: boolean): void;
  onResumed(me: Me): void;
  onRoom(event: RoomEvent): void;
  onDirect(event: DirectEvent): void;
}

export interface SessionOptions {
  /** A fresh single-use ticket. A rejection with `status` 400-499 ends the session with its `code`; others are retried. */
  ticket: () => Promise<string>;
  connect: Connect;
  locale: () => Locale;
  listener: SessionListener;
  random?: () => number;
}

type JoinAck = Ack<{ snapshot?: Snapshot; replay?: RoomEvent[]; me?: Me }>;
interface Pending { event: string; body: object; resolve: (ack: Ack) => void; deadline: number; sentOn: Wire | null }

const ACK_TIMEOUT = 8000;
const ATTEMPT_TIMEOUT = 8000;
const OP_LIFETIME = 30_000;
const MAX_PENDING = 50;
const OFFLINE: AckError = { ok: false, code: "session.offline" };
const ENDING = new Set(["end", "terminate"]);
/** Refusals of a join that another attempt, with a new ticket, may heal. Everything else ends the session. */
const PASSING = /^(token|rate|server|internal|store)\.|^session\.(busy|offline|error)$/;

export class Session {
  link: Link = "idle";
  end: End | null = null;

  private readonly options: SessionOptions;
  private wire: Wire | null = null;
  private position: { epoch: string; seq: number } | null = null;
  private joining = false;
  private held: (() => void)[] = [];
  private pending: Pending[] = [];
  private attempt = 0;
  private turn = 0; // a number per attempt: late answers of former attempts are dropped
  private timer: ReturnType<typeof setTimeout> | undefined;
  private takeover = false;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  start(takeover = false): void {
    if (this.link === "connecting" || this.link === "live" || this.link === "reconnecting") return;
    this.takeover = takeover;
    this.end = null;
    this.attempt = 0;
    this.move("connecting");
    void this.tryOnce();
  }

  /** The network changed, the page woke up, or the person pressed the button: do not wait for timeouts. */
  retryNow(): void {
    if (this.link === "idle" || this.link === "ended") return;
    this.attempt = 0;
    this.dropWire();
    if (this.link === "live") this.move("reconnecting");
    void this.tryOnce();
  }

  /** Leave for good (the seat stays open for coming back with a new Session). */
  async leave(): Promise<void> {
    if (this.link === "live" && this.wire) {
      await this.wire.ask("leave", { op: operationId() }, 1500).catch(() => undefined);
    }
    this.finish({ kind: "left", code: "left" });
  }

  close(): void {
    if (this.link !== "ended") this.finish({ kind: "left", code: "closed" });
  }

  /** A question with an operation id: kept and resent over a reconnect until answered or too old. */
  act<T = unknown>(event: string, body: object = {}): Promise<Ack<T>> {
    if (this.link === "ended" || this.pending.length >= MAX_PENDING) return Promise.resolve(OFFLINE);
    return new Promise((resolve) => {
      const item: Pending = {
        event, body: { ...body, op: operationId() }, resolve: (ack) => resolve(ack as Ack<T>), deadline: Date.now() + OP_LIFETIME,
        sentOn: null,
      };
      this.pending.push(item);
      if (this.link === "live") void this.deliver(item);
    });
  }

  /** A question that makes no sense later (an SDP offer). `session.offline` when it cannot be asked now. */
  async ask<T = unknown>(event: string, body: object): Promise<Ack<T>> {
    if (this.link !== "live" || !this.wire) return OFFLINE;
    try {
      return (await this.wire.ask(event, body, ACK_TIMEOUT)) as Ack<T>;
    } catch {
      return OFFLINE;
    }
  }

  tell(event: string, body: object): void {
    if (this.link === "live") this.wire?.tell(event, body);
  }

  private move(link: Link): void {
    if (this.link === link) return;
    this.link = link;
    this.options.listener.onLink(link, this.end);
  }

  private finish(end: End): void {
    if (this.link === "ended") return;
    this.turn += 1;
    clearTimeout(this.timer);
    this.dropWire();
    this.end = end;
    // The end of the room may overtake the answer to the act that ended it.
    for (const item of this.pending.splice(0)) item.resolve(end.kind === "ended" && ENDING.has(item.event) ? { ok: true } : OFFLINE);
    this.position = null;
    this.move("ended");
  }

  private dropWire(): void {
    this.turn += 1;
    clearTimeout(this.timer);
    this.joining = false;
    this.held = [];
    this.wire?.close();
    this.wire = null;
  }

  private later(): void {
    this.dropWire();
    if (this.link === "live") this.move("reconnecting");
    this.timer = setTimeout(() => void this.tryOnce(), retryDelay(this.attempt, this.options.random));
    this.attempt += 1;
  }

  private async tryOnce(): Promise<void> {
    const turn = ++this.turn;
    let ticket: string;
    try {
      ticket = await this.options.ticket();
    } catch (error) {
      if (turn !== this.turn) return;
      const { status, code } = error as { status?: number; code?: string };
      if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429) {
        this.finish({ kind: "refused", code: code ?? "internal.error" });
      } else this.later();
      return;
    }
    if (turn !== this.turn) return;
    this.open(ticket, turn);
  }

  private open(ticket: string, turn: number): void {
    const wire = this.options.connect(ticket);
    this.wire = wire;
    const mine = (handle: () => void) => () => {
      if (turn === this.turn) handle();
    };
    this.timer = setTimeout(mine(() => this.later()), ATTEMPT_TIMEOUT);
    wire.on("connect", mine(() => void this.join(turn)));
    wire.on("connect_error", mine(() => this.later()));
    wire.on("disconnect", mine(() => this.later()));
    wire.on("room", ((event: RoomEvent) => mine(() => this.receive(() => this.onRoom(event)))()) as never);
    wire.on("direct", ((event: DirectEvent) => mine(() => this.onDirect(event))()) as never);
  }

  private receive(handle: () => void): void {
    if (this.joining) this.held.push(handle);
    else handle();
  }

  private async join(turn: number): Promise<void> {
    const wire = this.wire;
    if (!wire) return;
    this.joining = true;
    const body = {
      v: 1, op: operationId(), locale: this.options.locale(),
      ...(this.position ? { resume: this.position } : {}),
      ...(this.takeover ? { takeover: true } : {}),
    };
    let ack: JoinAck;
    try {
      ack = (await wire.ask("join", body, ACK_TIMEOUT)) as JoinAck;
    } catch {
      if (turn === this.turn) this.later();
      return;
    }
    if (turn !== this.turn) return;
    clearTimeout(this.timer);
    if (ack.ok) this.joined(ack);
    else this.refused(ack);
  }

  private refused(ack: AckError): void {
    if (PASSING.test(ack.code)) this.later();
    else this.finish({ kind: "refused", code: ack.code });
  }

  private joined(ack: Extract<JoinAck, { ok: true }>): void {
    this.attempt = 0;
    this.joining = false;
    const held = this.held.splice(0);
    if (ack.snapshot) this.takeSnapshot(ack.snapshot);
    else if (ack.me) this.options.listener.onResumed(ack.me);
    for (const event of ack.replay ?? []) this.onRoom(event);
    this.move("live");
    for (const handle of held) handle();
    for (const item of [...this.pending]) void this.deliver(item);
  }

  private takeSnapshot(snapshot: Snapshot): void {
    const fresh = this.position !== null && this.position.epoch !== snapshot.epoch;
    this.position = { epoch: snapshot.epoch, seq: snapshot.seq };
    this.options.listener.onSnapshot(snapshot, fresh);
  }

  private onRoom(event: RoomEvent): void {
    const at = this.position;
    if (at && event.epoch === at.epoch && event.seq <= at.seq) return; // already seen
    if (!at || event.epoch !== at.epoch || event.seq !== at.seq + 1) {
      this.rejoin();
      return;
    }
    at.seq = event.seq;
    this.options.listener.onRoom(event);
    if (event.type === "ended") this.finish({ kind: "ended", code: event.reason });
  }

  /** A hole in the numbers: ask again on the same socket; the server replays or sends a snapshot. */
  private rejoin(): void {
    if (this.joining || !this.wire) return;
    void this.join(this.turn);
  }

  private onDirect(event: DirectEvent): void {
    if (event.type === "replaced") this.finish({ kind: "replaced", code: "session.replaced" });
    else if (event.type === "removed") this.finish({ kind: "removed", code: event.reason });
    else {
      this.receive(() => {
        if (event.type === "admitted") this.takeSnapshot(event.snapshot);
        this.options.listener.onDirect(event);
      });
    }
  }

  private async deliver(item: Pending): Promise<void> {
    const wire = this.wire;
    if (!wire || item.sentOn === wire) return;
    item.sentOn = wire;
    let ack: Ack;
    try {
      ack = (await wire.ask(item.event, item.body, ACK_TIMEOUT)) as Ack;
    } catch {
      if (Date.now() < item.deadline && this.link !== "ended") return; // sent again after the next join
      ack = OFFLINE;
    }
    if (!ack.ok && ack.code === "operation.repeated") ack = { ok: true };
    this.pending = this.pending.filter((other) => other !== item);
    item.resolve(ack);
  }
}
