/**
 * While an interpreter speaks, everybody else is played more quietly, on this device only. Pure: levels and times in, volumes
 * out. `rtc/peer.ts` measures, `shared/components/RemoteAudio.vue` plays.
 */
import type { SeatView } from "../shared/protocol";

/** `level`: 0 to 1 of full scale, `stamp`: when it was measured, on whatever clock. */
export interface Reading { readonly level: number; readonly stamp: number }

/** What is known of one voice. `floor`: what its line sounds like when nobody speaks. */
export interface Ear {
  readonly speaking: boolean;
  readonly floor: number;
  readonly stamp: number;
  readonly freshAt: number;
  readonly loudSince: number | null;
  readonly loudAt: number;
  readonly at: number;
}

export const QUIET = 0.25; // of the volume: about 12 dB less, still to be followed
const LEAST = 0.015; // of full scale, about -36 dB
const ABOVE = 3; // times the floor, about 10 dB
const FLOOR_MS = 8000; // how slowly a line that became noisier is believed
const BEGIN_MS = 150; // longer than a click or a cough
const HOLD_MS = 1200; // shorter pauses are within a sentence
const STALE_MS = 400; // no packet for so long: silence is not sent
const DOWN_MS = 200;
const UP_MS = 600;

export function newEar(now: number): Ear {
  return { speaking: false, floor: LEAST / ABOVE, stamp: -1, freshAt: now, loudSince: null, loudAt: -Infinity, at: now };
}

/** The next state of one voice. */
export function hear(ear: Ear, reading: Reading | null, now: number): Ear {
  const fresh = reading !== null && reading.stamp !== ear.stamp;
  const freshAt = fresh ? now : ear.freshAt;
  const level = reading !== null && now - freshAt < STALE_MS ? reading.level : 0;
  const loud = level >= Math.max(LEAST, ABOVE * ear.floor);
  const rising = ear.floor + (level - ear.floor) * Math.min(1, (now - ear.at) / FLOOR_MS);
  const loudSince = loud ? (ear.loudSince ?? now) : null;
  const loudAt = loud ? now : ear.loudAt;
  const begun = loudSince !== null && now - loudSince >= BEGIN_MS;
  return {
    speaking: begun || (ear.speaking && now - loudAt < HOLD_MS),
    floor: level > 0 ? Math.min(level, rising) : ear.floor,
    stamp: reading?.stamp ?? ear.stamp,
    freshAt, loudSince, loudAt, at: now,
  };
}

/** One step from a volume towards quiet or towards full; never a jump. */
export function towards(volume: number, quiet: boolean, elapsed: number): number {
  const way = (1 - QUIET) * (elapsed / (quiet ? DOWN_MS : UP_MS));
  return quiet ? Math.max(QUIET, volume - way) : Math.min(1, volume + way);
}

/** Whose voice quiets the others for me: interpreters here. An interpreter needs every word at full volume. */
export function interpreters(seats: Iterable<SeatView>, me: string): ReadonlySet<string> {
  const found = [...seats].filter((seat) => seat.role === "interpreter" && seat.state === "admitted").map((seat) => seat.id);
  return new Set(found.includes(me) ? [] : found);
}
