/** The shared view: who may do what, and eight viewers that see the same after any line. */
import { describe, expect, it } from "vitest";
import { apply, documentOf, EMPTY, opOf, Refused, type Document, type Measurement, type Op, type Person } from "./document";
import { valueOf, valueWords } from "./measure";
import { Replica, type Missed, type Stamped } from "./replica";
import { Throttle } from "./throttle";

const hex = (number: number): string => number.toString(16).padStart(32, "0");
const SERIES = "5".repeat(32);

function mark(id: string, by: string): Measurement {
  return { id, by, instance: "8".repeat(32), frame: 0, shape: "length", points: [[0, 0], [3, 4]], label: "" };
}

/** Seeded, so that what failed fails again (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The server's side, as imaging/table.py: numbers, remembers the last, knows what comes again. */
class Server {
  document: Document = EMPTY;
  private recent: Stamped[] = [];
  private readonly known = new Map<string, Stamped>();

  constructor(private readonly kept: number) {}

  act(opId: string, person: Person, op: Op): Stamped {
    const before = this.known.get(`${person.id}/${opId}`);
    if (before) return before;
    this.document = apply(this.document, person, op);
    const stamped: Stamped = { version: this.document.version, opId, seat: person.id, op };
    this.recent = [...this.recent, stamped].slice(-this.kept);
    this.known.set(`${person.id}/${opId}`, stamped);
    return stamped;
  }

  since(version: number): Missed {
    if (version === this.document.version) return { acts: [], snapshot: null };
    const oldest = this.recent[0]?.version ?? this.document.version + 1;
    if (version > this.document.version || version < oldest - 1) return { acts: [], snapshot: this.document };
    return { acts: this.recent.filter((one) => one.version > version), snapshot: null };
  }
}

function anyOp(chance: () => number, by: Person, people: readonly Person[], number: number): Op {
  const pick = Math.floor(chance() * 8);
  const someone = people[Math.floor(chance() * people.length)] as Person;
  const ops: Op[] = [
    { kind: "show", series: SERIES, at: number }, { kind: "scroll", at: number }, { kind: "window", centre: number, width: 400 },
    { kind: "place", zoom: 1 + chance(), x: number, y: 2 }, { kind: "lead", to: chance() < 0.5 ? "" : someone.id },
    { kind: "follow", on: chance() < 0.5 }, { kind: "put", measurement: mark(hex(number % 20), by.id) }, { kind: "take", id: hex(number % 20) },
  ];
  return ops[pick] as Op;
}

describe("who may", () => {
  const one: Person = { id: hex(1), presides: false };
  const two: Person = { id: hex(2), presides: false };
  const chair: Person = { id: hex(3), presides: true };
  const led = apply(EMPTY, one, { kind: "lead", to: one.id });

  it("moves the view: the leader, or anybody while nobody leads", () => {
    expect(apply(EMPTY, two, { kind: "scroll", at: 4 }).view.at).toBe(4);
    expect(apply(led, one, { kind: "scroll", at: 4 }).view.at).toBe(4);
    expect(() => apply(led, two, { kind: "scroll", at: 4 })).toThrow(Refused);
    expect(() => apply(led, chair, { kind: "scroll", at: 4 })).toThrow("images.not_leading");
  });

  it("hands the lead on: its holder, the chair always; a free one is taken, not given", () => {
    expect(apply(led, one, { kind: "lead", to: two.id }).leader).toBe(two.id);
    expect(apply(led, chair, { kind: "lead", to: chair.id }).leader).toBe(chair.id);
    expect(() => apply(led, two, { kind: "lead", to: two.id })).toThrow(Refused);
    expect(() => apply(EMPTY, two, { kind: "lead", to: one.id })).toThrow(Refused);
    const apart = apply(EMPTY, one, { kind: "follow", on: false });
    expect(apart.apart.has(one.id)).toBe(true);
    expect(apply(apart, one, { kind: "lead", to: one.id }).apart.has(one.id)).toBe(false);
    expect(apply(apart, one, { kind: "follow", on: true }).apart.size).toBe(0);
  });

  it("changes a measurement: who made it; the chair may remove it", () => {
    const drawn = apply(EMPTY, one, { kind: "put", measurement: mark(hex(9), one.id) });
    expect(() => apply(drawn, two, { kind: "put", measurement: mark(hex(9), two.id) })).toThrow("images.not_yours");
    expect(() => apply(drawn, two, { kind: "take", id: hex(9) })).toThrow("images.not_yours");
    expect(apply(drawn, chair, { kind: "take", id: hex(9) }).measurements.size).toBe(0);
    expect(apply(drawn, two, { kind: "take", id: hex(8) }).measurements.size).toBe(1);
    let full: Document = EMPTY;
    for (let number = 0; number < 500; number += 1) full = apply(full, one, { kind: "put", measurement: mark(hex(number), one.id) });
    expect(() => apply(full, one, { kind: "put", measurement: mark(hex(999), one.id) })).toThrow("images.table_full");
  });

  it("a picture begins with its own window and place", () => {
    const moved = apply(apply(EMPTY, one, { kind: "window", centre: 40, width: 400 }), one, { kind: "place", zoom: 3, x: 1, y: 2 });
    expect(apply(moved, one, { kind: "show", series: SERIES, at: 7 }).view).toEqual({ series: SERIES, at: 7, centre: null, width: null, zoom: 1, x: 0, y: 0 });
  });
});

describe("the wire", () => {
  it("operations and documents come back as they went", () => {
    const measurement = mark(hex(1), hex(2));
    const ops: Op[] = [
      { kind: "show", series: SERIES, at: 1 }, { kind: "scroll", at: 2 }, { kind: "window", centre: 1, width: 2 }, { kind: "place", zoom: 2, x: 1, y: 1 },
      { kind: "lead", to: "" }, { kind: "follow", on: false }, { kind: "put", measurement }, { kind: "take", id: hex(1) },
    ];
    for (const op of ops) expect(opOf(JSON.parse(JSON.stringify({ ...op })) as never)).toEqual(op);
    expect(opOf({ kind: "put", measurement: { ...measurement, label: undefined, points: [[0, 0], [3, 4]] } } as never)).toEqual({ kind: "put", measurement });
    const told = documentOf({ version: 3, view: EMPTY.view, leader: "", apart: [hex(1)], measurements: [{ ...measurement, points: [[0, 0], [3, 4]] }] });
    expect([told.apart.has(hex(1)), told.measurements.get(hex(1))]).toEqual([true, measurement]);
  });
});

describe("eight viewers", () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))("see the same after loss, doubling, reorder and reconnect (seed %i)", (seed) => {
    const chance = seeded(seed);
    const server = new Server(seed % 2 ? 8 : 512);
    const people = Array.from({ length: 8 }, (_, number): Person => ({ id: hex(100 + number), presides: number < 2 }));
    const viewers = people.map((person) => ({ replica: new Replica(person), inbox: [] as Stamped[], online: true }));
    const tell = (stamped: Stamped): void => {
      for (const viewer of viewers) {
        if (!viewer.online || chance() < 0.2) continue; // lost
        viewer.inbox.splice(Math.floor(chance() * (viewer.inbox.length + 1)), 0, stamped); // overtaken
        if (chance() < 0.2) viewer.inbox.push(stamped); // doubled
      }
    };
    const send = (viewer: (typeof viewers)[number], opId: string, op: Op, acked = 0.7): void => {
      try {
        const before = server.document.version;
        const stamped = server.act(opId, viewer.replica.person, op);
        if (server.document.version > before) tell(stamped);
        if (chance() < acked) viewer.replica.answered(opId, stamped.version); // the ack may be lost
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
        viewer.replica.refused(opId);
      }
    };
    for (let number = 0; number < 200; number += 1) {
      const viewer = viewers[Math.floor(chance() * viewers.length)] as (typeof viewers)[number];
      const opId = `op-${number}`;
      const op = anyOp(chance, viewer.replica.person, people, number);
      viewer.replica.do(opId, op);
      if (viewer.online && chance() > 0.2) send(viewer, opId, op);
      for (const each of viewers) for (const stamped of each.inbox.splice(0, Math.floor(chance() * 4))) each.replica.hear(stamped);
      if (chance() < 0.05) viewer.online = !viewer.online;
      if (viewer.online && viewer.replica.gap && chance() < 0.3) viewer.replica.catchUp(server.since(viewer.replica.confirmed.version));
      viewer.replica.shown; // never throws, whatever is pending
    }
    for (const viewer of viewers) {
      viewer.online = true;
      for (const [opId, op] of viewer.replica.pending) send(viewer, opId, op, 1);
    }
    for (const viewer of viewers) {
      viewer.replica.catchUp(server.since(viewer.replica.confirmed.version));
      for (const stamped of viewer.inbox.splice(0)) viewer.replica.hear(stamped);
      viewer.replica.catchUp(server.since(viewer.replica.confirmed.version));
    }
    for (const viewer of viewers) {
      expect(viewer.replica.confirmed).toEqual(server.document);
      expect(viewer.replica.shown).toEqual(server.document);
      expect([viewer.replica.gap, viewer.replica.pending.length]).toEqual([false, 0]);
    }
    expect(server.document.version).toBeGreaterThan(20);
  });

  it("own acts are shown at once and go when refused", () => {
    const replica = new Replica({ id: hex(1), presides: false });
    replica.do("a", { kind: "scroll", at: 5 });
    expect([replica.shown.view.at, replica.confirmed.view.at]).toEqual([5, 0]);
    replica.hear({ version: 1, opId: "x", seat: hex(2), op: { kind: "lead", to: hex(2) } });
    expect(replica.shown.view.at).toBe(0);
    replica.refused("a");
    expect(replica.pending).toEqual([]);
    replica.forget();
    expect(replica.confirmed).toBe(EMPTY);
  });
});

describe("measurements", () => {
  it("come to millimetres by the spacing, or pixels without", () => {
    const of = (shape: Measurement["shape"], ...points: [number, number][]): string => valueWords(valueOf({ shape, points }, [0.5, 0.7]));
    expect(of("length", [0, 0], [10, 0])).toBe("7.0 mm");
    expect(of("length", [0, 0], [0, 10])).toBe("5.0 mm");
    expect(of("angle", [10, 0], [0, 0], [0, 10])).toBe("90.0°");
    expect(of("rectangle", [0, 0], [10, 20])).toBe("70.0 mm²");
    expect(of("ellipse", [0, 0], [10, 20])).toBe("55.0 mm²");
    expect(of("arrow", [0, 0], [1, 1])).toBe("");
    expect(of("point", [0, 0])).toBe("");
    expect(of("angle", [10, 0], [0, 0])).toBe("");
    expect(valueWords(valueOf({ shape: "length", points: [[0, 0], [300, 400]] }, null))).toBe("500 px");
    expect(valueWords(valueOf({ shape: "rectangle", points: [[0, 0], [3, 4]] }, null))).toBe("12.0 px²");
    const cells = [0.0005, 0.0005] as const;
    expect(valueWords(valueOf({ shape: "length", points: [[0, 0], [300, 400]] }, cells))).toBe("250 µm");
    expect(valueWords(valueOf({ shape: "rectangle", points: [[0, 0], [100, 100]] }, cells))).toBe("2500 µm²");
  });
});

describe("throttle", () => {
  it("lets one through at once, then the last of each interval", async () => {
    let now = 0;
    const sent: number[] = [];
    const throttle = new Throttle<number>(40, (value) => sent.push(value), () => now);
    throttle.push(1);
    throttle.push(2);
    throttle.push(3);
    expect(sent).toEqual([1]);
    throttle.flush();
    expect(sent).toEqual([1, 3]);
    now = 100;
    throttle.push(4);
    expect(sent).toEqual([1, 3, 4]);
    throttle.push(5);
    throttle.stop();
    throttle.flush();
    expect(sent).toEqual([1, 3, 4]);
  });
});
