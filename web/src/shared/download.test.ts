import { describe, expect, it, vi } from "vitest";
import { ApiProblem } from "./api";
import { download, nameOf } from "./download";

describe("download", () => {
  it("takes the full name, the plain one, or the fallback", () => {
    expect(nameOf("attachment; filename=\"a.pdf\"; filename*=UTF-8''%E5%90%8C%E6%84%8F.pdf", "x")).toBe("同意.pdf");
    expect(nameOf("attachment; filename=\"a.pdf\"; filename*=UTF-8''%E5%9", "x")).toBe("a.pdf");
    expect(nameOf(null, "x")).toBe("x");
  });

  it("saves what came", async () => {
    const url = vi.fn(() => "blob:1");
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: url, revokeObjectURL: vi.fn() }));
    const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => undefined);
    await download("/x", "f.pdf", async () => new Response("%PDF", { status: 200 }));
    expect(url).toHaveBeenCalledOnce();
    expect(click).toHaveBeenCalledOnce();
  });

  it("tells the code of a refusal, and of silence", async () => {
    const busy = async (): Promise<Response> => new Response(JSON.stringify({ code: "paper.busy" }), { status: 503 });
    await expect(download("/x", "f", busy)).rejects.toMatchObject({ code: "paper.busy", status: 503 });
    const bare = async (): Promise<Response> => new Response("no", { status: 500 });
    await expect(download("/x", "f", bare)).rejects.toMatchObject({ code: "http.500" });
    await expect(download("/x", "f", () => Promise.reject(new TypeError("gone")))).rejects.toBeInstanceOf(ApiProblem);
  });
});
