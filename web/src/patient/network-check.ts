/** A few small downloads tell round-trip time and rate: an estimate in three words. */
import type { NetworkVerdict } from "@/shared/protocol";

export interface NetworkEstimate { verdict: NetworkVerdict; rtt_ms: number; kbps: number }

export function judge(rttMs: number, kbps: number): NetworkVerdict {
  if (kbps >= 1500 && rttMs <= 200) return "good";
  return kbps >= 400 && rttMs <= 500 ? "fair" : "poor";
}

type Probe = (size: number) => Promise<number>;

const probe: Probe = async (size) => {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 8000);
  try {
    const response = await fetch(`/api/probe?size=${size}`, { cache: "no-store", signal: abort.signal });
    if (!response.ok) throw new Error(`probe ${response.status}`);
    return (await response.arrayBuffer()).byteLength;
  } finally {
    clearTimeout(timer);
  }
};

/** Null when nothing answers. `now` in ms. */
export async function measureNetwork(ask: Probe = probe, now: () => number = () => performance.now()): Promise<NetworkEstimate | null> {
  try {
    await ask(1); // warms the connection up
    const times: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const from = now();
      await ask(1);
      times.push(now() - from);
    }
    const rtt = [...times].sort((a, b) => a - b)[1] ?? 0;
    let kbps = 0;
    for (const size of [50_000, 500_000]) {
      const from = now();
      const bytes = await ask(size);
      const ms = Math.max(1, now() - from - rtt / 2);
      kbps = (bytes * 8) / ms;
      if (ms > 1500) break; // slow enough to know
    }
    return { verdict: judge(rtt, kbps), rtt_ms: Math.round(rtt), kbps: Math.round(kbps) };
  } catch {
    return null;
  }
}
