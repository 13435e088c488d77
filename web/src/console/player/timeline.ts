/** Pure arithmetic of a recording's timeline. All times in milliseconds from the recording's start. */
import type { Manifest, ManifestSegment } from "../types";

export interface Track { seat: string; track: "av" | "screen"; segments: readonly ManifestSegment[] }

/** The segment that covers `t`, or null in a hole. Segments are ordered and do not overlap. */
export function segmentAt(segments: readonly ManifestSegment[], t: number): ManifestSegment | null {
  let low = 0;
  let high = segments.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const one = segments[middle] as ManifestSegment;
    if (t < one.start_ms) high = middle - 1;
    else if (t >= one.start_ms + one.duration_ms) low = middle + 1;
    else return one;
  }
  return null;
}

/** Segments a player wants in memory at `t`: the one being shown and those starting within `ahead`. */
export function wanted(segments: readonly ManifestSegment[], t: number, ahead: number): ManifestSegment[] {
  return segments.filter((one) => one.start_ms + one.duration_ms > t && one.start_ms < t + ahead);
}

/**
 * Which tracks a segment holds, e.g. "video 2" = sound and picture. A source buffer takes only one such set in its life
 * (Media Source Extensions, 3.5.7: the number of tracks of each kind may not change), so the player starts a new one.
 */
export function layoutOf(mime: string): string {
  const codecs = /codecs="?([^"]*)"?/.exec(mime)?.[1] ?? "";
  return `${mime.split("/")[0]} ${codecs.split(",").filter((one) => one.trim()).length}`;
}

/** The end of the recording: the manifest's own word, or the last sample anybody sent. */
export function lengthOf(manifest: Manifest): number {
  const last = manifest.tracks.flatMap((track) => track.segments.map((one) => one.start_ms + one.duration_ms));
  return Math.max(manifest.duration_ms, 0, ...last);
}

/** Why nothing of this person is there at `t`; null = no known gap. */
export function gapAt(gaps: Manifest["gaps"], seat: string, t: number): string | null {
  const found = gaps.find((gap) => (!gap.seat || gap.seat === seat) && gap.start_ms <= t && (gap.end_ms === null || t < gap.end_ms));
  return found?.cause ?? null;
}

/** When all tracks are silent at `t`, the next moment at which one has something; null = nothing follows. */
export function nextSound(tracks: readonly Track[], t: number): number | null {
  if (tracks.some((track) => segmentAt(track.segments, t))) return t;
  const starts = tracks.flatMap((track) => track.segments.map((one) => one.start_ms)).filter((start) => start > t);
  return starts.length ? Math.min(...starts) : null;
}
