import { describe, expect, it } from "vitest";
import type { ManifestSegment } from "../types";
import { gapAt, layoutOf, nextSound, segmentAt, wanted } from "./timeline";

const piece = (number: number, start_ms: number, duration_ms: number): ManifestSegment => ({
  id: `s${number}`, number, start_ms, duration_ms, mime: "video/webm", size: 1, url: "",
});
const pieces = [piece(0, 100, 1000), piece(1, 1100, 900), piece(2, 5000, 500)];

describe("timeline", () => {
  it("finds the segment at a moment, edges included at the start only", () => {
    expect(segmentAt(pieces, 99)).toBeNull();
    expect(segmentAt(pieces, 100)?.id).toBe("s0");
    expect(segmentAt(pieces, 1099)?.id).toBe("s0");
    expect(segmentAt(pieces, 1100)?.id).toBe("s1");
    expect(segmentAt(pieces, 2000)).toBeNull();
    expect(segmentAt(pieces, 5499)?.id).toBe("s2");
    expect(segmentAt([], 0)).toBeNull();
  });
  it("wants what is shown and what follows soon", () => {
    expect(wanted(pieces, 500, 1000).map((one) => one.id)).toEqual(["s0", "s1"]);
    expect(wanted(pieces, 2500, 1000)).toEqual([]);
  });
  it("names the gap of a person or of everybody", () => {
    const gaps = [{ seat: "a", cause: "network", start_ms: 10, end_ms: 20 }, { seat: null, cause: "paused", start_ms: 50, end_ms: null }];
    expect(gapAt(gaps, "a", 15)).toBe("network");
    expect(gapAt(gaps, "b", 15)).toBeNull();
    expect(gapAt(gaps, "b", 5000)).toBe("paused");
  });
  it("skips to the next moment with something in it", () => {
    const tracks = [{ seat: "a", track: "av" as const, segments: pieces }];
    expect(nextSound(tracks, 150)).toBe(150);
    expect(nextSound(tracks, 3000)).toBe(5000);
    expect(nextSound(tracks, 6000)).toBeNull();
  });
});

describe("layoutOf", () => {
  it("tells sound alone, picture alone and both apart, whatever the codec", () => {
    const both = layoutOf('video/webm; codecs="vp8,opus"');
    expect(layoutOf('video/mp4; codecs="avc1.42e01f, opus"')).toBe(both);
    expect(layoutOf('audio/webm; codecs="opus"')).not.toBe(both);
    expect(layoutOf("video/webm; codecs=vp8")).not.toBe(both);
    expect(layoutOf("video/webm; codecs=vp8")).not.toBe(layoutOf("audio/webm; codecs=opus"));
  });
});
