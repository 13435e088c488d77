import { expect, test } from "vitest";
import { boundsOf, type DicomJson, levelsOf, pictureIn, tileUrl } from "./slide-levels";

function level(uid: string, width: number, height: number, tile = 240): DicomJson {
  return {
    "00080016": { vr: "UI", Value: ["1.2.840.10008.5.1.4.1.1.77.1.6"] }, "00080018": { vr: "UI", Value: [uid] },
    "00480006": { vr: "UL", Value: [width] }, "00480007": { vr: "UL", Value: [height] },
    "00280010": { vr: "US", Value: [tile] }, "00280011": { vr: "US", Value: [tile] },
  };
}

test("levels come coarse first, and only levels", () => {
  const photo: DicomJson = { ...level("2.25.9", 10, 10), "00080016": { Value: ["1.2.3"] } };
  const found = levelsOf([level("2.25.1", 1000, 500), photo, level("2.25.3", 250, 125), level("2.25.2", 500, 250), level("", 5, 5), level("2.25.7", 0, 5), {}]);
  expect(found.map((one) => [one.uid, one.columns, one.rows])).toEqual([["2.25.3", 2, 1], ["2.25.2", 3, 2], ["2.25.1", 5, 3]]);
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
