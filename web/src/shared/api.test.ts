import { describe, expect, it, vi } from "vitest";
import { Api, ApiProblem } from "./api";

const answer = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });

describe("Api", () => {
  it("adds an operation id and the CSRF token it was given", async () => {
    const seen: RequestInit[] = [];
    const api = new Api(async (_, init) => {
      seen.push(init ?? {});
      return answer(200, { csrf: "abc" });
    });
    await api.post("/api/login", { login: "x" });
    await api.post("/api/more", {});
    expect(JSON.parse(String(seen[0]?.body))).toMatchObject({ login: "x", op: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
    expect((seen[0]?.headers as Record<string, string>)["X-CSRF"]).toBeUndefined();
    expect((seen[1]?.headers as Record<string, string>)["X-CSRF"]).toBe("abc");
  });

  it("turns a problem into its code, reasons and field", async () => {
    const api = new Api(async () => answer(422, { code: "visit.not_admitted", reasons: ["a", "b"], field: "x", ask: "code" }));
    const error = (await api.post("/x").catch((e: unknown) => e)) as ApiProblem;
    expect([error.status, error.code, error.reasons, error.field, error.body.ask]).toEqual([422, "visit.not_admitted", ["a", "b"], "x", "code"]);
  });

  it("resends a silent mutation once with the same operation id, a read never", async () => {
    const ops: unknown[] = [];
    const send = vi.fn(async (_: unknown, init?: RequestInit) => {
      ops.push(init?.body ? (JSON.parse(String(init.body)) as { op: string }).op : null);
      throw new TypeError("network");
    });
    const api = new Api(send as unknown as typeof fetch);
    await expect(api.post("/x")).rejects.toMatchObject({ code: "network.unreachable", status: 0 });
    expect(ops).toHaveLength(2);
    expect(ops[0]).toBe(ops[1]);
    await expect(api.get("/y")).rejects.toMatchObject({ code: "network.unreachable" });
    expect(send).toHaveBeenCalledTimes(3);
  });

  it("has a code for answers that are not JSON", async () => {
    const api = new Api(async () => new Response("<html>", { status: 502 }));
    await expect(api.get("/x")).rejects.toMatchObject({ code: "http.502" });
  });
});
