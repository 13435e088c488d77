/** Samples getStats() into the few figures that tell quality. */
export interface Sample {
  freezes: number;
  concealed_ms: number;
  rtt_ms: number;
  kbps_in: number;
  kbps_out: number;
  fps: number;
  width: number;
}

interface Totals { at: number; bytesIn: number; bytesOut: number; freezes: number; concealed: number }

type Row = Record<string, unknown> & { type: string };

const num = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

export class StatsSampler {
  private former: Totals | null = null;

  /** `rows` as of RTCStatsReport values; `now` in ms. The first sample has rates of 0; counts are since the former sample. */
  sample(rows: Iterable<Row>, now: number): Sample {
    const totals: Totals = { at: now, bytesIn: 0, bytesOut: 0, freezes: 0, concealed: 0 };
    let [rtt, fps, width] = [0, 0, 0];
    for (const row of rows) {
      if (row.type === "inbound-rtp") {
        totals.bytesIn += num(row.bytesReceived);
        totals.freezes += num(row.freezeCount);
        totals.concealed += Math.max(0, num(row.concealedSamples) - num(row.silentConcealedSamples));
        if (num(row.frameWidth) > width) [width, fps] = [num(row.frameWidth), num(row.framesPerSecond)];
      } else if (row.type === "outbound-rtp") totals.bytesOut += num(row.bytesSent);
      else if (row.type === "candidate-pair" && row.nominated === true && row.state === "succeeded") rtt = Math.max(rtt, num(row.currentRoundTripTime));
    }
    const former = this.former;
    this.former = totals;
    const seconds = former ? (now - former.at) / 1000 : 0;
    const since = (value: number, before: number | undefined): number => Math.max(0, value - (before ?? value));
    const rate = (value: number, before: number | undefined): number => (seconds > 0 ? Math.round((since(value, before) * 8) / 1000 / seconds) : 0);
    return {
      freezes: since(totals.freezes, former?.freezes),
      concealed_ms: Math.round(since(totals.concealed, former?.concealed) / 48),
      rtt_ms: Math.round(rtt * 1000),
      kbps_in: rate(totals.bytesIn, former?.bytesIn),
      kbps_out: rate(totals.bytesOut, former?.bytesOut),
      fps: Math.round(fps),
      width,
    };
  }
}
