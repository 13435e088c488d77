/**
 * The shared view of one consult, as a page has it: its replica, its line to the room, its own acts kept until answered,
 * everybody's pointers. Outside a call a SoloLine answers, so that a case is prepared with the same hands.
 */
import type { Ack } from "@/shared/protocol";
import { operationId } from "@/shared/operation";
import type { PointerTold, TableTold } from "@/rtc/messages.gen";
import { apply, documentOf, EMPTY, EMPTY_VIEW, moved, opOf, Refused, type Document, type Move, type Op, type Person, type View } from "./document";
import { Replica, type Stamped } from "./replica";
import { Throttle } from "./throttle";

export interface TableLine {
  ask<T>(event: "table.act" | "table.since", body: object): Promise<Ack<T>>;
  point(body: object): void;
}

export interface Pointer { readonly seat: string; readonly colour: string; readonly instance: string; readonly frame: number; readonly x: number; readonly y: number; readonly until: number }

const MOVES_EVERY = 125; // ms between what is told of one's own scrolling, windowing and zooming
const POINTS_EVERY = 40;
const STAYS = 3_000; // ms until a hand that does not move goes out (imaging/pointers.py)
const RETRY = 600;
/** Not a refusal of the act itself: it is said again. */
const LATER = /^(session\.(offline|busy|not_joined)|rate\.|server\.|internal\.)/;

export class SharedTable {
  readonly pointers = new Map<string, Pointer>();
  /** Code of the last refusal of an own act; "" none. */
  refusal = "";
  private readonly replica: Replica;
  private readonly hot = new Map<Move["kind"], Move>(); // own moves not told yet, the last of each kind
  private own: View = EMPTY_VIEW; // what is looked at apart from the others
  private epoch = "";
  private asking = false;
  private count = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private readonly moves = new Throttle<null>(MOVES_EVERY, () => this.tellMoves());
  private readonly points = new Throttle<object>(POINTS_EVERY, (body) => this.line.point({ ...body, count: ++this.count }));
  private readonly listeners = new Set<() => void>();
  private readonly fading = new Set<ReturnType<typeof setTimeout>>();

  constructor(private readonly line: TableLine, readonly person: Person, private readonly now: () => number = () => Date.now()) {
    this.replica = new Replica(person);
    this.count = Math.floor(now()); // above whatever this seat counted before a reload
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  get document(): Document {
    return this.replica.shown;
  }

  get apart(): boolean {
    return this.document.apart.has(this.person.id);
  }

  /** Whether one's own moves are the others' too. */
  get leads(): boolean {
    const { leader } = this.document;
    return !this.apart && (leader === "" || leader === this.person.id);
  }

  /** What this page looks at: apart from the others, or what all see with one's own hand on it. */
  get view(): View {
    if (this.apart) return this.own;
    let { view } = this.document;
    if (this.leads) for (const op of this.hot.values()) view = moved(view, op);
    return view;
  }

  /** Scroll, window, zoom or show; false when somebody else leads. */
  move(op: Move): boolean {
    this.refusal = "";
    if (this.apart) {
      this.own = moved(this.own, op);
      this.changed();
      return true;
    }
    if (!this.leads) return false;
    if (op.kind === "show") {
      this.hot.clear();
      this.moves.stop();
      this.act(op);
      return true;
    }
    this.hot.set(op.kind, op);
    this.moves.push(null);
    this.changed();
    return true;
  }

  act(op: Op): void {
    this.refusal = "";
    if (op.kind !== "show" && this.hot.size > 0) this.moves.flush(); // in the order they were made
    const opId = operationId();
    this.replica.do(opId, op);
    this.changed();
    void this.send(opId, op);
  }

  /** One button: look apart from here on, or see again what the others see. */
  follow(on: boolean): void {
    if (!on) this.own = this.view;
    this.moves.flush();
    this.act({ kind: "follow", on });
  }

  point(instance: string, frame: number, x: number, y: number): void {
    this.points.push({ instance, frame, x: round(x), y: round(y) });
  }

  hear(told: TableTold): void {
    if (told.epoch !== this.epoch) {
      void this.catchUp();
      return;
    }
    this.replica.hear(stampedOf(told));
    if (this.replica.gap) void this.catchUp();
    this.changed();
  }

  hearPointer(told: PointerTold): void {
    const { seat, colour, instance, frame, x, y } = told;
    this.pointers.set(seat, { seat, colour, instance, frame, x, y, until: this.now() + STAYS });
    const timer = setTimeout(() => {
      this.fading.delete(timer);
      for (const [id, pointer] of this.pointers) if (pointer.until <= this.now()) this.pointers.delete(id);
      this.changed();
    }, STAYS + 20);
    this.fading.add(timer);
    this.changed();
  }

  /** The line is there, for the first time or again: what was missed, then what is still unanswered. */
  async online(): Promise<void> {
    await this.catchUp();
    for (const [opId, op] of this.replica.pending) await this.send(opId, op);
  }

  close(): void {
    this.moves.stop();
    this.points.stop();
    clearTimeout(this.retry);
    for (const timer of this.fading) clearTimeout(timer);
    this.listeners.clear();
  }

  private tellMoves(): void {
    for (const op of [...this.hot.values()]) {
      this.hot.delete(op.kind);
      const opId = operationId();
      this.replica.do(opId, op);
      void this.send(opId, op);
    }
    this.changed();
  }

  private async send(opId: string, op: Op): Promise<void> {
    const { kind, ...rest } = op;
    const ack = await this.line.ask<{ version: number }>("table.act", { op: opId, kind, ...rest });
    if (ack.ok) this.replica.answered(opId, ack.version);
    else if (LATER.test(ack.code)) this.again();
    else {
      this.replica.refused(opId);
      this.refusal = ack.code;
    }
    if (this.replica.gap) void this.catchUp();
    this.changed();
  }

  /** Said too fast, or into a line that is gone: the oldest first, a little later. */
  private again(): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.online(), RETRY);
  }

  private async catchUp(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const ack = await this.line.ask<{ epoch: string; version: number; acts: TableTold[]; document?: object }>(
      "table.since", { epoch: this.epoch, version: this.replica.confirmed.version },
    );
    this.asking = false;
    if (!ack.ok) {
      if (LATER.test(ack.code)) this.again();
      else this.refusal = ack.code;
    } else {
      if (ack.epoch !== this.epoch) this.replica.forget();
      this.epoch = ack.epoch;
      this.replica.catchUp({ acts: ack.acts.map(stampedOf), snapshot: ack.document ? documentOf(ack.document) : null });
    }
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function stampedOf(told: TableTold): Stamped {
  return { version: told.version, opId: told.op, seat: told.seat, op: opOf(told.act) };
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

/** The table of somebody alone: no room, the same answers. */
export class SoloLine implements TableLine {
  private document = EMPTY;

  constructor(private readonly person: Person) {}

  async ask<T>(event: "table.act" | "table.since", body: object): Promise<Ack<T>> {
    if (event === "table.since") {
      const { version, view, leader, apart, measurements } = this.document;
      const document = { version, view, leader, apart: [...apart], measurements: [...measurements.values()] };
      return { ok: true, epoch: "solo", version, acts: [], document } as unknown as Ack<T>;
    }
    try {
      this.document = apply(this.document, this.person, opOf(body as never));
    } catch (error) {
      if (error instanceof Refused) return { ok: false, code: error.code };
      throw error;
    }
    return { ok: true, version: this.document.version } as unknown as Ack<T>;
  }

  point(): void {
    // nobody is there to see it
  }
}
