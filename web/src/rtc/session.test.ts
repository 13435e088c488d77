import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DirectEvent, Me, RoomEvent, Snapshot } from "../shared/protocol";
import { Session, type End, type Link } from "./session";
import type { Wire } from "./socket";

const me: Me = { seat: "s1", role: "patient", may: [], publish: ["mic"] };
const snapshot = (epoch: string, seq: number): Snapshot => ({
  epoch, seq, me, consult: { id: "c", kind: "follow_up", status: "waiting", starts_at: "", ends_at: "" }, seats: [], recording: null, chat: [],
  speaker: null, server_time: "2026-01-01T00:00:00Z",
});
const chat = (epoch: string, seq: number): RoomEvent => ({ epoch, seq, type: "chat", message: { id: `m${seq}`, seat: "s2", text: "x", sent_at: "" } });

class FakeWire implements Wire {
  asked: { event: string; body: Record<string, unknown>; resolve: (value: unknown) => void; reject: (reason: Error) => void }[] = [];
  told: { event: string; body: object }[] = [];
  closed = false;
  private readonly handlers = new Map<string, (body: never) => void>();

  on(event: string, handler: (body: never) => void): void {
    this.handlers.set(event, handler);
  }

  ask(event: string, body: object): Promise<unknown> {
    return new Promise((resolve, reject) => this.asked.push({ event, body: body as Record<string, unknown>, resolve, reject }));
  }

  tell(event: string, body: object): void {
    this.told.push({ event, body });
  }

  close(): void {
    this.closed = true;
    for (const { reject } of this.asked.splice(0)) reject(new Error("closed"));
  }

  fire(event: string, body: unknown = undefined): void {
    this.handlers.get(event)?.(body as never);
  }

  async answer(event: string, value: unknown): Promise<void> {
    const index = this.asked.findIndex((item) => item.event === event);
    const [item] = this.asked.splice(index, 1);
    if (index < 0 || !item) throw new Error(`nobody asked ${event}`);
    item.resolve(value);
    await settle();
  }
}

const settle = async (): Promise<void> => {
  for (let n = 0; n < 8; n += 1) await Promise.resolve();
};

class World {
  wires: FakeWire[] = [];
  tickets = 0;
  ticketError: unknown = null;
  links: Link[] = [];
  ends: (End | null)[] = [];
  room: RoomEvent[] = [];
  direct: DirectEvent[] = [];
  snapshots: { seq: number; fresh: boolean }[] = [];
  resumed = 0;
  session = new Session({
    ticket: async () => {
      this.tickets += 1;
      if (this.ticketError) throw this.ticketError;
      return `t${this.tickets}`;
    },
    connect: () => {
      const wire = new FakeWire();
      this.wires.push(wire);
      return wire;
    },
    locale: () => "zh",
    random: () => 0,
    listener: {
      onLink: (link, end) => {
        this.links.push(link);
        this.ends.push(end);
      },
      onSnapshot: (s, fresh) => this.snapshots.push({ seq: s.seq, fresh }),
      onResumed: () => {
        this.resumed += 1;
      },
      onRoom: (event) => this.room.push(event),
      onDirect: (event) => this.direct.push(event),
    },
  });

  get wire(): FakeWire {
    const wire = this.wires.at(-1);
    if (!wire) throw new Error("not connected");
    return wire;
  }

  async live(epoch = "e1", seq = 5): Promise<void> {
    this.session.start();
    await settle();
    this.wire.fire("connect");
    await this.wire.answer("join", { ok: true, snapshot: snapshot(epoch, seq) });
  }

  async again(): Promise<void> {
    await vi.advanceTimersByTimeAsync(0);
    this.wire.fire("connect");
    await settle();
  }
}

describe("Session", () => {
  let world: World;
  beforeEach(() => {
    vi.useFakeTimers();
    world = new World();
  });
  afterEach(() => {
    world.session.close();
    vi.useRealTimers();
  });

  it("joins with version, operation id and locale", async () => {
    world.session.start();
    await settle();
    world.wire.fire("connect");
    const body = world.wire.asked[0]?.body;
    expect(body).toMatchObject({ v: 1, locale: "zh" });
    expect(body?.op).toMatch(/^[0-9a-f]{32}$/);
    expect(body).not.toHaveProperty("resume");
  });

  it("applies room events in order, ignores old ones", async () => {
    await world.live();
    world.wire.fire("room", chat("e1", 6));
    world.wire.fire("room", chat("e1", 6));
    world.wire.fire("room", chat("e1", 4));
    world.wire.fire("room", chat("e1", 7));
    expect(world.room.map((event) => event.seq)).toEqual([6, 7]);
  });

  it("asks again on the same socket when a number is missing, and applies the replay once", async () => {
    await world.live();
    world.wire.fire("room", chat("e1", 8));
    expect(world.wire.asked.map((item) => [item.event, item.body.resume])).toEqual([["join", { epoch: "e1", seq: 5 }]]);
    world.wire.fire("room", chat("e1", 9));
    await world.wire.answer("join", { ok: true, me, replay: [chat("e1", 6), chat("e1", 7), chat("e1", 8)] });
    expect(world.room.map((event) => event.seq)).toEqual([6, 7, 8, 9]);
    expect(world.wires).toHaveLength(1);
  });

  it("resumes with its last number after a lost socket, with a fresh ticket", async () => {
    await world.live();
    world.wire.fire("disconnect", "transport close");
    expect(world.session.link).toBe("reconnecting");
    await world.again();
    expect(world.tickets).toBe(2);
    expect(world.wire.asked[0]?.body.resume).toEqual({ epoch: "e1", seq: 5 });
    await world.wire.answer("join", { ok: true, me, replay: [chat("e1", 6)] });
    expect([world.session.link, world.resumed, world.room.length]).toEqual(["live", 1, 1]);
  });

  it("says when the server has forgotten the room (another epoch)", async () => {
    await world.live();
    world.wire.fire("disconnect", "transport close");
    await world.again();
    await world.wire.answer("join", { ok: true, snapshot: snapshot("e2", 1) });
    expect(world.snapshots).toEqual([{ seq: 5, fresh: false }, { seq: 1, fresh: true }]);
  });

  it("waits 0, .3, 1.2, 2.7, 4.8, then 7 s, and never gives up", async () => {
    world.ticketError = { status: 0, code: "network.unreachable" };
    world.session.start();
    const at: number[] = [];
    let seen = 0;
    const from = Date.now();
    for (let ms = 0; ms < 40_000; ms += 100) {
      await vi.advanceTimersByTimeAsync(ms === 0 ? 0 : 100);
      if (world.tickets > seen) at.push(Date.now() - from);
      seen = world.tickets;
    }
    const gaps = at.slice(1).map((value, index) => value - (at[index] ?? 0));
    expect(gaps.slice(0, 6)).toEqual([300, 1200, 2700, 4800, 7000, 7000]);
    expect(world.session.link).toBe("connecting");
  });

  it("ends with the server's code when no ticket is given", async () => {
    world.ticketError = { status: 403, code: "consent.missing" };
    world.session.start();
    await settle();
    expect(world.session.end).toEqual({ kind: "refused", code: "consent.missing" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.tickets).toBe(1);
  });

  it("ends when the join is refused, and takes over when told", async () => {
    world.session.start();
    await settle();
    world.wire.fire("connect");
    await world.wire.answer("join", { ok: false, code: "session.other_device" });
    expect(world.session.end?.code).toBe("session.other_device");
    world.session.start(true);
    await settle();
    world.wire.fire("connect");
    expect(world.wire.asked[0]?.body.takeover).toBe(true);
  });

  it("does not come back after being replaced, removed or ended", async () => {
    for (const [event, body, kind] of [
      ["direct", { type: "replaced" }, "replaced"],
      ["direct", { type: "removed", reason: "disturbing" }, "removed"],
      ["room", { epoch: "e1", seq: 6, type: "ended", reason: "done" }, "ended"],
    ] as const) {
      const one = new World();
      await one.live();
      one.wire.fire(event, body);
      expect(one.session.end?.kind).toBe(kind);
      expect(one.wire.closed).toBe(true);
      await vi.advanceTimersByTimeAsync(30_000);
      expect(one.tickets).toBe(1);
    }
  });

  it("sends an unanswered act again after a reconnect under the same operation id", async () => {
    await world.live();
    const answer = world.session.act("chat", { text: "hello" });
    const first = world.wire.asked[0]?.body.op;
    world.wire.fire("disconnect", "transport close");
    await world.again();
    await world.wire.answer("join", { ok: true, me, replay: [] });
    expect(world.wire.asked[0]?.body).toMatchObject({ text: "hello", op: first });
    await world.wire.answer("chat", { ok: false, code: "operation.repeated" });
    expect(await answer).toEqual({ ok: true });
  });

  it("an act that ends the room is done when the room has ended, even if its answer is overtaken", async () => {
    await world.live();
    const [end, chat] = [world.session.act("end"), world.session.act("chat", { text: "x" })];
    world.wire.fire("room", { epoch: "e1", seq: 6, type: "ended", reason: "done" });
    expect(await end).toEqual({ ok: true });
    expect(await chat).toEqual({ ok: false, code: "session.offline" });
  });

  it("answers a question at once with session.offline while there is no line", async () => {
    world.session.start();
    expect(await world.session.ask("media.offer", { sdp: "" })).toEqual({ ok: false, code: "session.offline" });
  });

  it("a changed network does not wait for the timer, nor for the dead socket", async () => {
    await world.live();
    world.session.retryNow();
    await settle();
    expect(world.wires).toHaveLength(2);
    expect(world.wires[0]?.closed).toBe(true);
    expect(world.session.link).toBe("reconnecting");
  });

  it("takes the snapshot of being let in", async () => {
    await world.live("e1", 5);
    world.wire.fire("direct", { type: "admitted", snapshot: snapshot("e1", 12) });
    world.wire.fire("room", chat("e1", 13));
    expect(world.snapshots.at(-1)).toEqual({ seq: 12, fresh: false });
    expect(world.room.map((event) => event.seq)).toEqual([13]);
  });

  it("tries again when an attempt hangs", async () => {
    world.session.start();
    await settle();
    await vi.advanceTimersByTimeAsync(8000 + 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(world.wires.length).toBe(2);
    expect(world.wires[0]?.closed).toBe(true);
  });
});
