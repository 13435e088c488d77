import { afterEach, describe, expect, it, vi } from "vitest";
import { KeptOff } from "./kept-off";

afterEach(() => {
  vi.unstubAllGlobals();
  sessionStorage.clear();
});

describe("KeptOff", () => {
  it("keeps what was turned off over a load of the page, each consult its own", () => {
    const first = new KeptOff("a");
    first.set("camera", true);
    first.set("camera", true);
    first.set("mic", true);
    first.set("mic", false);
    const after = new KeptOff("a");
    expect([after.has("camera"), after.has("mic"), new KeptOff("b").has("camera")]).toEqual([true, false, false]);
    after.set("camera", false);
    expect(first.has("camera")).toBe(false);
  });

  it("keeps nothing where storage is barred, and stops nobody", () => {
    const barred = () => { throw new DOMException("", "SecurityError"); };
    vi.stubGlobal("sessionStorage", { getItem: barred, setItem: barred });
    const kept = new KeptOff("a");
    kept.set("mic", true);
    expect(kept.has("mic")).toBe(false);
  });
});
