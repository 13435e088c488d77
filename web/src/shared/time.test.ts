/** Times typed on a page are those of the house, wherever the browser is. */
import { describe, expect, it } from "vitest";
import { setZone, weekday, zoned } from "./time";

describe("times of the house", () => {
  it("reads a typed time in the house's zone", () => {
    setZone("Asia/Shanghai");
    expect(zoned("2026-11-29", "09:00")).toBe("2026-11-29T01:00:00.000Z");
    setZone("Europe/Berlin");
    expect(zoned("2026-07-01", "00:30")).toBe("2026-06-30T22:30:00.000Z");
    setZone("Asia/Shanghai");
  });
  it("names the day", () => {
    expect(weekday("2026-11-29T12:00:00Z", "en")).toContain("Sun");
  });
});
