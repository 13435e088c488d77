import type { HttpRequest, HttpResponse, HttpStack } from "tus-js-client";
import { beforeEach, expect, test } from "vitest";
import { ApiProblem } from "./api";
import { type Delivery, deliveriesOf, type Keep, refusalsIn, type Server, type Shown, UploadQueue } from "./uploads";

const C = "c".repeat(32);
const MB = 1024 * 1024;

/** A tus server of one process, whose line can die after so many bytes. */
class FakeServer implements HttpStack, Server {
  uploads = new Map<string, { length: number; offset: number; done: boolean }>();
  received = 0;
  online = true;
  dieAfter = Infinity;
  refusals: unknown[] = [];
  problem: { status: number; code: string } | null = null;
  metadata: string[] = [];
  private made = 0;

  getName(): string { return "fake"; }

  changing(): Record<string, string> { return { "X-CSRF": "t", "X-Operation": "o" }; }

  async post<T>(path: string): Promise<T> {
    if (!this.online) throw new ApiProblem(0, "network.unreachable");
    if (this.problem) throw new ApiProblem(this.problem.status, this.problem.code, { code: this.problem.code });
    const upload = this.uploads.get(path.split("/")[6]!)!;
    expect(upload.offset).toBe(upload.length);
    upload.done = true;
    const answer = this.refusals.length ? { "00081198": { vr: "SQ", Value: this.refusals } } : {};
    if (this.refusals.length) throw new ApiProblem(409, "http.409", answer);
    return answer as T;
  }

  createRequest(method: string, url: string): HttpRequest {
    const headers = new Map<string, string>();
    return {
      getMethod: () => method, getURL: () => url,
      setHeader: (name, value) => void headers.set(name, value), getHeader: (name) => headers.get(name),
      setProgressHandler: () => undefined, abort: async () => undefined, getUnderlyingObject: () => null,
      send: async (body: Blob | undefined) => this.answer(method, url, headers, body),
    };
  }

  private async answer(method: string, url: string, headers: Map<string, string>, body?: Blob): Promise<HttpResponse> {
    if (!this.online) throw new Error("no line");
    expect(headers.get("X-CSRF")).toBe("t");
    if (method === "POST") {
      const id = String(++this.made);
      this.metadata.push(headers.get("Upload-Metadata") ?? "");
      this.uploads.set(id, { length: Number(headers.get("Upload-Length")), offset: 0, done: false });
      return reply(201, { Location: `/api/consults/${C}/images/uploads/${id}` });
    }
    const id = new URL(url, "http://x").pathname.split("/")[6]!;
    const upload = this.uploads.get(id);
    if (!upload) return reply(404, { "X-Problem": "not_found" });
    if (method === "DELETE") this.uploads.delete(id);
    if (method === "PATCH") {
      expect(Number(headers.get("Upload-Offset"))).toBe(upload.offset);
      const size = Math.min(body!.size, this.dieAfter);
      upload.offset += size;
      this.received += size;
      this.dieAfter -= size;
      if (size < body!.size) {
        this.online = false;
        throw new Error("the line died");
      }
    }
    return reply(method === "HEAD" ? 200 : 204, { "Upload-Offset": String(upload.offset), "Upload-Length": String(upload.length) });
  }
}

function reply(status: number, headers: Record<string, string>): HttpResponse {
  return { getStatus: () => status, getHeader: (name) => headers[name], getBody: () => "", getUnderlyingObject: () => null };
}

class Memory implements Keep {
  rows = new Map<string, Delivery>();
  async all(): Promise<Delivery[]> { return [...this.rows.values()]; }
  async put(delivery: Delivery): Promise<void> { this.rows.set(delivery.id, delivery); }
  async remove(id: string): Promise<void> { this.rows.delete(id); }
}

let server: FakeServer;
let keep: Memory;
let shown: Shown[];
let timers: Array<() => void>;
let waits: number[];

beforeEach(() => {
  server = new FakeServer();
  keep = new Memory();
  shown = [];
  timers = [];
  waits = [];
});

function queue(owner = "me"): UploadQueue {
  const clock = { later: (run: () => void, ms: number) => { timers.push(run); waits.push(ms); return () => { timers = timers.filter((each) => each !== run); }; } };
  return new UploadQueue(owner, keep, server, (now) => { shown = now; }, { stack: server, clock });
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 2_000, interval: 2 }).toBe(true);
}

const file = (size: number): Blob => new Blob([new Uint8Array(size)]);

test("files go out as one delivery with their sizes, and are forgotten once the case has them", async () => {
  await queue().add(C, [file(10), file(20)], MB);
  await until(() => shown[0]?.state === "done");
  expect(server.metadata).toEqual([`sizes ${btoa("10,20")}`]);
  expect([...server.uploads.values()]).toEqual([{ length: 30, offset: 30, done: true }]);
  expect(keep.rows.size).toBe(0);
});

test("a dead line costs no byte twice, also over a reload of the page", async () => {
  server.dieAfter = 3 * MB;
  const first = queue();
  await first.add(C, [file(4 * MB), file(1 * MB)], 10 * MB);
  await until(() => timers.length === 1);
  expect(shown[0]).toMatchObject({ state: "waiting", code: "network.unreachable", count: 2, size: 5 * MB });
  await first.close();
  timers = [];

  server.online = true;
  server.dieAfter = Infinity;
  const second = queue();
  await second.open();
  await until(() => shown[0]?.state === "done");
  expect(server.received).toBe(5 * MB);
  expect(server.uploads.size).toBe(1);
});

test("while there is no line it waits longer each time, and goes on at once when the line is back", async () => {
  server.online = false;
  const one = queue();
  await one.add(C, [file(10)], MB);
  for (let count = 1; count <= 7; count += 1) {
    await until(() => timers.length === 1 && waits.length === count);
    timers.pop()!();
  }
  await until(() => waits.length === 8);
  expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  server.online = true;
  one.retry();
  await until(() => shown[0]?.state === "done");
});

test("a refusal is told with its code and not tried again by itself", async () => {
  server.problem = { status: 409, code: "images.not_taken" };
  const one = queue();
  await one.add(C, [file(10)], MB);
  await until(() => shown[0]?.state === "failed");
  expect(shown[0]?.code).toBe("images.not_taken");
  expect(timers).toEqual([]);
  server.problem = null;
  await one.again(shown[0]!.id);
  await until(() => shown[0]?.state === "done");
  expect(server.received).toBe(10);
});

test("a busy server is asked again", async () => {
  server.problem = { status: 503, code: "upload.busy" };
  await queue().add(C, [file(10)], MB);
  await until(() => timers.length === 1);
  expect(shown[0]?.state).toBe("waiting");
});

test("files the chamber refused are named one by one", async () => {
  server.refusals = [{ "00000902": { vr: "LO", Value: ["upload.damaged"] }, "00201200": { vr: "IS", Value: [1] } }];
  await queue().add(C, [file(1), file(2)], MB);
  await until(() => shown[0]?.state === "done");
  expect(shown[0]?.refused).toEqual([{ file: 1, code: "upload.damaged" }]);
  expect(refusalsIn(null)).toEqual([]);
});

test("what is given up is removed here and at the server", async () => {
  server.dieAfter = 5;
  const one = queue();
  await one.add(C, [file(10)], MB);
  await until(() => timers.length === 1);
  server.online = true;
  await one.drop(shown[0]!.id);
  expect(shown).toEqual([]);
  expect(keep.rows.size).toBe(0);
  expect(server.uploads.size).toBe(0);
});

test("an upload the server no longer knows begins anew", async () => {
  server.dieAfter = 5;
  const one = queue();
  await one.add(C, [file(10)], MB);
  await until(() => timers.length === 1);
  server.uploads.clear();
  server.online = true;
  server.dieAfter = Infinity;
  one.retry();
  await until(() => shown[0]?.state === "done");
  expect(server.uploads.size).toBe(1);
});

test("another account on the same machine neither sees nor sends it", async () => {
  server.online = false;
  const mine = queue("me");
  await mine.add(C, [file(10)], MB);
  await mine.close();
  server.online = true;
  await queue("somebody").open();
  expect(keep.rows.size).toBe(0);
  expect(shown).toEqual([]);
  expect(server.received).toBe(0);
});

test("a series becomes deliveries of at most 64 files and so many bytes", () => {
  const many = Array.from({ length: 500 }, () => file(1));
  expect(deliveriesOf(many, MB).map((each) => each.length)).toEqual([64, 64, 64, 64, 64, 64, 64, 52]);
  expect(deliveriesOf([file(6), file(5), file(20), file(1)], 10).map((each) => each.map((one) => one.size))).toEqual([[6], [5], [20], [1]]);
});
