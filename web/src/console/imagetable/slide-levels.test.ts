import { expect, test } from "vitest";
import type { Json } from "./dicom-json";
import { MOST_ZOOM_SLIDE, zoomedAt } from "./geometry";
import { boundsOf, levelsOf, pictureIn, slideOf, tileUrl } from "./slide-levels";

function level(uid: string, width: number, height: number, tile = 240): Json {
  return {
    "00080016": { vr: "UI", Value: ["1.2.840.10008.5.1.4.1.1.77.1.6"] }, "00080018": { vr: "UI", Value: [uid] },
    "00480006": { vr: "UL", Value: [width] }, "00480007": { vr: "UL", Value: [height] },
    "00280010": { vr: "US", Value: [tile] }, "00280011": { vr: "US", Value: [tile] },
  };
}

test("levels come coarse first, and only levels", () => {
  const photo: Json = { ...level("2.25.9", 10, 10), "00080016": { Value: ["1.2.3"] } };
  const found = levelsOf([level("2.25.1", 1000, 500), photo, level("2.25.3", 250, 125), level("2.25.2", 500, 250), level("", 5, 5), level("2.25.7", 0, 5), {}]);
  expect(found.map((one) => [one.uid, one.columns, one.rows])).toEqual([["2.25.3", 2, 1], ["2.25.2", 3, 2], ["2.25.1", 5, 3]]);
});

test("a slide is one picture of its finest level, with that level's spacing", () => {
  const pixel = (mm: number): Json => ({ "52009229": { vr: "SQ", Value: [{ "00289110": { vr: "SQ", Value: [{ "00280030": { vr: "DS", Value: [mm, mm] } }] } }] } });
  const fine = { ...level("2.25.10", 1000, 500), ...pixel(0.0005), "00280008": { vr: "IS", Value: [15] } };
  expect(slideOf("/s", [fine, { ...level("2.25.2", 500, 250), ...pixel(0.001) }])).toMatchObject({ base: "/s", instance: `${"0".repeat(31)}a`, frame: 0, width: 1000, height: 500, spacing: [0.0005, 0.0005] });
  expect(slideOf("/s", [level("2.25.10", 1000, 500)])?.spacing).toBeNull();
  expect(slideOf("/s", [])).toBeNull();
});

test("a slide is enlarged as far as the room takes it, another picture less", () => {
  const [frame, slide] = [{ width: 800, height: 400 }, { width: 100_000, height: 50_000, right: 1, down: 1 }];
  const most = (picture: typeof slide & { most?: number }): number => zoomedAt(frame, picture, { zoom: 1, x: 0, y: 0 }, 1e6, 0, 0).zoom;
  expect([most({ ...slide, most: MOST_ZOOM_SLIDE }), most(slide)]).toEqual([100, 20]);
});

test("tiles are numbered row by row from one", () => {
  const [one] = levelsOf([level("2.25.1", 1000, 500)]);
  expect(tileUrl("/s", one!, 0, 0)).toBe("/s/instances/2.25.1/frames/1");
  expect(tileUrl("/s", one!, 4, 2)).toBe("/s/instances/2.25.1/frames/15");
});

test("the shared place says what part of the slide fills the frame", () => {
  const [one] = levelsOf([level("2.25.1", 1000, 500)]);
  expect(boundsOf(one!, { width: 800, height: 400 }, { left: 0, top: 0, across: 0.8, along: 0.8 })).toEqual({ x: -0, y: -0, width: 1, height: 0.5 });
  expect(boundsOf(one!, { width: 800, height: 400 }, { left: -400, top: -200, across: 4, along: 4 })).toEqual({ x: 0.1, y: 0.05, width: 0.2, height: 0.1 });
});

test("the picture is cut out of its envelope by its length", async () => {
  const body = "--b\r\nContent-Type: image/jpeg\r\nContent-Length: 6\r\n\r\n\r\n--b-\r\n--b--\r\n";
  const blob = pictureIn(new TextEncoder().encode(body));
  expect([blob.type, await blob.text()]).toEqual(["image/jpeg", "\r\n--b-"]);
  for (const bad of ["", "--b\r\n\r\nx", "--b\r\nContent-Length: 9\r\n\r\nx", "--b\r\nContent-Length: 0\r\n\r\n"]) {
    expect(() => pictureIn(new TextEncoder().encode(bad))).toThrow();
  }
});
