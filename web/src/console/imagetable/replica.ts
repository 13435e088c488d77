/**
 * A viewer's side of the shared view: what the server said, in order, and own acts that it has not answered yet.
 * Messages may be lost, doubled or overtake each other. Twin of imaging/replica.py.
 */
import { apply, EMPTY, Refused, type Document, type Op, type Person } from "./document";

const MOST_AHEAD = 1_024; // messages held back while an earlier one is missing

/** An operation with the version the document has after it. */
export interface Stamped { readonly version: number; readonly opId: string; readonly seat: string; readonly op: Op }
export interface Missed { readonly acts: readonly Stamped[]; readonly snapshot: Document | null }

export class Replica {
  confirmed: Document = EMPTY;
  private ahead = new Map<number, Stamped>();
  private readonly waiting = new Map<string, Op>();

  constructor(readonly person: Person) {}

  /** Something is missing: ask the server what came since `confirmed.version`. */
  get gap(): boolean {
    return this.ahead.size > 0;
  }

  /** Own acts without an answer, oldest first: sent again after a reconnect, with the same ids. */
  get pending(): readonly (readonly [string, Op])[] {
    return [...this.waiting];
  }

  /** The confirmed document with own acts on top, so that the hand feels no delay. */
  get shown(): Document {
    let document = this.confirmed;
    for (const op of this.waiting.values()) {
      try {
        document = apply(document, this.person, op);
      } catch (error) {
        if (!(error instanceof Refused)) throw error; // the server will say so
      }
    }
    return document;
  }

  do(opId: string, op: Op): void {
    this.waiting.set(opId, op);
  }

  /** The server took it and gave it this number; the room's own word of it may be lost. */
  answered(opId: string, version: number): void {
    const op = this.waiting.get(opId);
    if (op) this.hear({ version, opId, seat: this.person.id, op });
  }

  /** The server did not take it: it disappears. */
  refused(opId: string): void {
    this.waiting.delete(opId);
  }

  /** A message of the table, in whatever order. The server has judged it: whoever did it might. */
  hear(stamped: Stamped): void {
    if (stamped.seat === this.person.id) this.waiting.delete(stamped.opId);
    if (stamped.version <= this.confirmed.version) return;
    if (this.ahead.size < MOST_AHEAD) this.ahead.set(stamped.version, stamped);
    for (let next = this.take(); next; next = this.take()) {
      this.confirmed = apply(this.confirmed, { id: next.seat, presides: true }, next.op);
    }
  }

  /** The answer to "what did I miss". A snapshot is the truth, whatever one had. */
  catchUp(missed: Missed): void {
    if (missed.snapshot) {
      this.confirmed = missed.snapshot;
      this.ahead.clear();
    }
    for (const stamped of missed.acts) this.hear(stamped);
    for (const version of [...this.ahead.keys()]) if (version <= this.confirmed.version) this.ahead.delete(version);
  }

  /** Another life of the table: what one had means nothing there. Own unanswered acts stay and are sent again. */
  forget(): void {
    this.confirmed = EMPTY;
    this.ahead.clear();
  }

  private take(): Stamped | undefined {
    const next = this.ahead.get(this.confirmed.version + 1);
    if (next) this.ahead.delete(next.version);
    return next;
  }
}
