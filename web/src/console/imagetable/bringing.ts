/** What a page tells of the deliveries of one consult: how far they are, what was taken, what was not and why. Pure. */
import type { Shown } from "@/shared/uploads";

const NAMES = 8; // told of files refused for the same reason
export interface Refused { readonly code: string; readonly count: number; readonly names: string; readonly more: number }

/** Of everything that is not given up, 0 to 1. */
export function progressOf(deliveries: readonly Shown[]): number {
  const going = deliveries.filter((one) => one.state !== "failed");
  const size = going.reduce((sum, one) => sum + one.size, 0);
  return size ? going.reduce((sum, one) => sum + one.sent, 0) / size : 0;
}

export function takenOf(deliveries: readonly Shown[]): number {
  return deliveries.filter((one) => one.state === "done").reduce((sum, one) => sum + one.count - one.refused.length, 0);
}

/** The same words for many files are said once, with their names. */
export function refusedOf(deliveries: readonly Shown[]): Refused[] {
  const found = new Map<string, string[]>();
  for (const one of deliveries) for (const { code, file } of one.refused) found.set(code, [...(found.get(code) ?? []), one.names[file] ?? ""]);
  return [...found].map(([code, names]) => ({ code, count: names.length, names: names.slice(0, NAMES).join("、"), more: Math.max(0, names.length - NAMES) }));
}
