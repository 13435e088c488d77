import { describe, expect, it } from "vitest";
import type { SeatView } from "../shared/protocol";
import { hear, interpreters, newEar, QUIET, towards, type Ear } from "./ducking";

const STEP = 50;

/** Levels at every 50 ms, each measured anew unless null (no packet came). */
function after(levels: (number | null)[], ear: Ear = newEar(0)): Ear {
  return levels.reduce<Ear>((was, level) => {
    const now = was.at + STEP;
    return hear(was, { level: level ?? 0.9, stamp: level === null ? was.stamp : now }, now);
  }, ear);
}
const times = <T>(count: number, what: T): T[] => Array<T>(count).fill(what);

describe("an interpreter's voice", () => {
  it("is speech when it lasts longer than a click", () => {
    expect(after(times(3, 0.2)).speaking).toBe(false);
    expect(after(times(4, 0.2)).speaking).toBe(true);
    expect(after([0.9, 0.9, 0, 0.9, 0.9, 0, 0.9]).speaking).toBe(false);
  });

  it("goes on over the pauses of a sentence and ends after them", () => {
    const speaking = after(times(10, 0.2));
    expect(after(times(23, 0.001), speaking).speaking).toBe(true);
    expect(after(times(24, 0.001), speaking).speaking).toBe(false);
    expect(after([...times(20, 0.001), 0.2, ...times(20, 0.001)], speaking).speaking).toBe(true);
  });

  it("ends when nothing is sent any more, whatever the last level was", () => {
    const speaking = after(times(10, 0.2));
    expect(after(times(40, null), speaking).speaking).toBe(false);
    expect(hear(speaking, null, speaking.at + 3000).speaking).toBe(false);
  });

  it("is heard above a noisy line, and the noise alone is no speech for long", () => {
    const noisy = after(times(400, 0.02));
    expect(noisy.speaking).toBe(false);
    expect(after(times(10, 0.03), noisy).speaking).toBe(false);
    expect(after(times(10, 0.2), noisy).speaking).toBe(true);
  });

  it("is still speech after a minute without a breath louder than its own floor", () => {
    const sentences = Array.from({ length: 60 }, () => [...times(16, 0.2), ...times(4, 0.002)]).flat();
    expect(after(sentences).speaking).toBe(true);
    expect(after(sentences).floor).toBeLessThan(0.03);
  });
});

describe("the others", () => {
  it("become quiet and come back without a jump, and never beyond", () => {
    expect(towards(1, true, 100)).toBeCloseTo(1 - (1 - QUIET) / 2);
    expect(towards(1, true, 9999)).toBe(QUIET);
    expect(towards(QUIET, false, 300)).toBeCloseTo(QUIET + (1 - QUIET) / 2);
    expect(towards(0.9, false, 9999)).toBe(1);
    expect(towards(0.5, true, 0)).toBe(0.5);
  });

  it("give way to interpreters who are in the room, but not on an interpreter's own device", () => {
    const seat = (id: string, role: string, state = "admitted"): SeatView => ({ id, role, state }) as unknown as SeatView;
    const seats = [seat("p", "patient"), seat("i", "interpreter"), seat("w", "interpreter", "waiting"), seat("j", "interpreter")];
    expect([...interpreters(seats, "p")]).toEqual(["i", "j"]);
    expect([...interpreters(seats, "i")]).toEqual([]);
    expect([...interpreters([seat("p", "patient")], "d")]).toEqual([]);
  });
});
