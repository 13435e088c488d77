import { describe, expect, it } from "vitest";
import { PlayerClock } from "./clock";

describe("player clock", () => {
  it("stands still until played, stops where it is paused", () => {
    const clock = new PlayerClock(10_000);
    expect(clock.at(500)).toBe(0);
    clock.play(1_000);
    expect(clock.at(3_000)).toBe(2_000);
    clock.pause(3_000);
    expect(clock.at(9_000)).toBe(2_000);
  });
  it("keeps its place when the rate changes", () => {
    const clock = new PlayerClock(100_000);
    clock.play(0);
    clock.setRate(2, 1_000);
    expect(clock.at(2_000)).toBe(3_000);
  });
  it("ends at the end and starts over from there", () => {
    const clock = new PlayerClock(1_000);
    clock.play(0);
    expect(clock.at(5_000)).toBe(1_000);
    clock.pause(5_000);
    clock.play(6_000);
    expect(clock.at(6_100)).toBe(100);
  });
  it("jumps stay inside", () => {
    const clock = new PlayerClock(1_000);
    clock.jump(-5, 0);
    expect(clock.at(0)).toBe(0);
    clock.jump(9_999, 0);
    expect(clock.at(0)).toBe(1_000);
  });
});
