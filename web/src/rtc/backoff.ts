/** When to try again: at once, then 0.3, 1.2, 2.7, 4.8 s, then every 7 s for as long as it takes. */
const STEPS = [0, 300, 1200, 2700, 4800] as const;
const FOREVER = 7000;

/** Milliseconds before attempt `n` (0 = first). `random` spreads a crowd that lost the same server by up to 20 %. */
export function retryDelay(n: number, random: () => number = Math.random): number {
  const base = STEPS[n] ?? FOREVER;
  return Math.round(base * (1 + 0.2 * random()));
}
