/** An electrocardiogram as on paper: 25 mm a second, 10 mm a millivolt, one lead below the other. Pure. */
export interface EcgGroup {
  hz: number; label: string;
  channels: { label: string; unit: string; scale: number; baseline: number }[];
  samples: number[][];
}
export interface Ecg { groups: EcgGroup[] }
export interface Trace { readonly label: string; readonly path: string; readonly base: number }
/** All in tenths of a millimetre: the pixels of this picture. */
export interface Sheet { readonly width: number; readonly height: number; readonly traces: readonly Trace[]; readonly seconds: number }

export const PER_MM = 10;
export const MM_PER_S = 25;
export const MM_PER_MV = 10;
const ROW = 24; // mm a lead
const LEFT = 14; // mm for the lead's name
const MARGIN = 6;
const LEAST_SECONDS = 2;
const STEP = 2; // pixels a drawn point: two tenths of a millimetre, a pen's width
const UNITS: Readonly<Record<string, number>> = { uV: 1e-3, mV: 1, V: 1e3, nV: 1e-6 };

export function sheetOf(group: EcgGroup): Sheet {
  const longest = Math.max(0, ...group.samples.map((one) => one.length));
  const seconds = group.hz > 0 ? longest / group.hz : 0;
  const traces = group.channels.map((channel, number) => {
    const base = (MARGIN + (number + 0.5) * ROW) * PER_MM;
    const toMv = (UNITS[channel.unit] ?? 1) * channel.scale;
    const offset = channel.baseline * (UNITS[channel.unit] ?? 1);
    return { label: channel.label.replace(/^(MDC_ECG_)?lead[ _]/i, ""), base, path: pathOf(group.samples[number] ?? [], group.hz, (value) => base - (value * toMv + offset) * MM_PER_MV * PER_MM) };
  });
  return {
    width: (LEFT + Math.max(LEAST_SECONDS, seconds) * MM_PER_S + MARGIN) * PER_MM,
    height: (2 * MARGIN + traces.length * ROW) * PER_MM,
    traces, seconds,
  };
}

/** Where many samples fall on one point, the lowest and the highest are drawn: no spike is lost. */
function pathOf(samples: readonly number[], hz: number, y: (value: number) => number): string {
  const each = (MM_PER_S * PER_MM) / hz; // pixels between samples
  const bundle = Math.max(1, Math.floor(STEP / each));
  const points: string[] = [];
  const point = (at: number): void => { points.push(`${(LEFT * PER_MM + at * each).toFixed(1)} ${y(samples[at] ?? 0).toFixed(1)}`); };
  for (let from = 0; from < samples.length; from += bundle) {
    let [low, high] = [from, from];
    for (let at = from; at < Math.min(samples.length, from + bundle); at += 1) {
      if ((samples[at] ?? 0) < (samples[low] ?? 0)) low = at;
      if ((samples[at] ?? 0) > (samples[high] ?? 0)) high = at;
    }
    point(Math.min(low, high));
    if (low !== high) point(Math.max(low, high));
  }
  return points.length ? `M${points.join("L")}` : "";
}

/** A line over the paper as time and voltage. */
export function spanOf([a, b]: readonly (readonly [number, number])[]): { ms: number; mv: number } | null {
  if (!a || !b) return null;
  return { ms: (Math.abs(a[0] - b[0]) / PER_MM / MM_PER_S) * 1000, mv: Math.abs(a[1] - b[1]) / PER_MM / MM_PER_MV };
}
