/** A page at the shared view: its own moves, refusals, a line that goes and comes, looking apart, hands. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Ack } from "@/shared/protocol";
import type { TableTold } from "@/rtc/messages.gen";
import { apply, documentOf, EMPTY, opOf, Refused, type Document, type Person } from "./document";
import { SharedTable, SoloLine, type TableLine } from "./shared-table";

const hex = (number: number): string => number.toString(16).padStart(32, "0");
const [ME, YOU] = [hex(1), hex(2)];
const SERIES = hex(5);

/** The room: numbers acts, tells everybody; a broken line answers nothing. */
class Room {
  document: Document = EMPTY;
  epoch = "one";
  broken: Ack | null = null;
  readonly asked: object[] = [];
  readonly points: Record<string, number>[] = [];
  readonly pages: SharedTable[] = [];
  private acts: TableTold[] = [];

  line(person: Person): TableLine {
    return {
      ask: async <T>(event: string, body: object) => {
        this.asked.push({ event, ...body });
        await Promise.resolve();
        return (this.broken ?? (event === "table.since" ? this.since(body as { epoch: string; version: number }) : this.act(person, body))) as Ack<T>;
      },
      point: (body) => { this.points.push(body as Record<string, number>); },
    };
  }

  private since({ epoch, version }: { epoch: string; version: number }): object {
    const { view, leader, apart, measurements } = this.document;
    const document = { version: this.document.version, view, leader, apart: [...apart], measurements: [...measurements.values()] };
    const known = epoch === this.epoch;
    return { ok: true, epoch: this.epoch, version: this.document.version, acts: known ? this.acts.filter((one) => one.version > version) : [], ...(known ? {} : { document }) };
  }

  private act(person: Person, body: object): object {
    const { op, ...act } = body as { op: string };
    try {
      this.document = apply(this.document, person, opOf(act as never));
    } catch (error) {
      if (error instanceof Refused) return { ok: false, code: error.code };
      throw error;
    }
    const told = { type: "table", epoch: this.epoch, version: this.document.version, seat: person.id, op, act } as unknown as TableTold;
    this.acts.push(told);
    for (const page of this.pages) page.hear(told);
    return { ok: true, version: this.document.version };
  }
}

function enter(room: Room, id: string, presides = false): SharedTable {
  const person = { id, presides };
  const page = new SharedTable(room.line(person), person, () => Date.now());
  room.pages.push(page);
  return page;
}

describe("a page at the shared view", () => {
  beforeEach(() => { vi.useFakeTimers({ now: 1_000_000 }); });
  afterEach(() => { vi.useRealTimers(); });
  const settle = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  async function two(): Promise<[Room, SharedTable, SharedTable]> {
    const room = new Room();
    const pages: [SharedTable, SharedTable] = [enter(room, ME), enter(room, YOU)];
    for (const page of pages) await page.online();
    return [room, ...pages];
  }

  it("shows its own move at once and tells the last one, at most eight a second", async () => {
    const [room, me, you] = await two();
    me.move({ kind: "show", series: SERIES, at: 0 });
    await settle();
    expect(you.view.series).toBe(SERIES);
    const before = room.asked.length;
    for (let at = 1; at <= 50; at += 1) {
      me.move({ kind: "scroll", at });
      expect(me.view.at).toBe(at);
      await settle(10);
    }
    await settle(300);
    expect(you.view.at).toBe(50);
    expect(room.asked.length - before).toBeLessThanOrEqual(7);
    expect(me.document).toEqual(room.document);
  });

  it("who leads is followed; looking apart is one's own, and coming back is seeing what they see", async () => {
    const [, me, you] = await two();
    you.act({ kind: "lead", to: YOU });
    await settle();
    expect([me.leads, you.leads]).toEqual([false, true]);
    expect(me.move({ kind: "scroll", at: 9 })).toBe(false);
    me.follow(false);
    expect(me.move({ kind: "scroll", at: 9 })).toBe(true);
    you.move({ kind: "scroll", at: 3 });
    await settle(300);
    expect([me.view.at, you.view.at]).toEqual([9, 3]);
    me.follow(true);
    await settle();
    expect([me.view.at, me.apart]).toEqual([3, false]);
  });

  it("what the server refuses disappears and its code is told", async () => {
    const [, me, you] = await two();
    you.act({ kind: "lead", to: YOU });
    me.act({ kind: "lead", to: ME }); // at the same time
    expect(me.document.leader).toBe(ME);
    await settle();
    expect([me.document.leader, me.refusal]).toEqual([YOU, "images.not_leading"]);
  });

  it("an act into a line that is gone is said again when it is back", async () => {
    const [room, me, you] = await two();
    room.broken = { ok: false, code: "session.offline" };
    me.move({ kind: "show", series: SERIES, at: 4 });
    await settle(100);
    expect([me.view.at, you.view.series, me.refusal]).toEqual([4, "", ""]);
    room.broken = null;
    await settle(2_000);
    expect([you.view.series, me.document.version]).toEqual([SERIES, 1]);
  });

  it("another life of the room begins with what it says", async () => {
    const [room, me] = await two();
    me.move({ kind: "show", series: SERIES, at: 4 });
    await settle();
    room.epoch = "two";
    room.document = EMPTY;
    me.hear({ type: "table", epoch: "two", version: 1, seat: YOU, op: "o".repeat(16), act: { kind: "scroll", at: 1 } });
    await settle();
    expect(me.document.version).toBe(0);
    room.broken = { ok: false, code: "consent.missing" };
    await me.online();
    expect(me.refusal).toBe("consent.missing");
  });

  it("hands: told at most 25 times a second, counted upwards, and out after three seconds", async () => {
    const [room, me] = await two();
    for (let x = 0; x < 100; x += 1) { me.point(SERIES, 0, x, 1); await settle(10); }
    await settle(50);
    expect(room.points.length).toBeLessThanOrEqual(27);
    expect(room.points.at(-1)?.x).toBe(99);
    expect(room.points.every((one, at) => at === 0 || (one.count ?? 0) > (room.points[at - 1]?.count ?? 0))).toBe(true);
    me.hearPointer({ type: "pointer", seat: YOU, colour: "#56b4e9", instance: SERIES, frame: 0, x: 1, y: 2 });
    expect(me.pointers.size).toBe(1);
    await settle(3_100);
    expect(me.pointers.size).toBe(0);
    me.close();
  });

  it("alone it is the same table", async () => {
    const person = { id: ME, presides: true };
    const alone = new SharedTable(new SoloLine(person), person);
    await alone.online();
    alone.move({ kind: "show", series: SERIES, at: 2 });
    alone.act({ kind: "put", measurement: { id: hex(7), by: ME, instance: hex(8), frame: 0, shape: "point", points: [[1, 1]], label: "" } });
    alone.act({ kind: "take", id: hex(9) });
    alone.point(SERIES, 0, 1, 1);
    await settle(500);
    expect([alone.view.at, alone.document.measurements.size, alone.document.version]).toEqual([2, 1, 3]);
    expect(documentOf({ ...EMPTY, apart: [], measurements: [] }).version).toBe(0);
  });
});
