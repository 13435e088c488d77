/** The pure parts of the viewer: where a picture lies, what its header says, parts of a body, traces, deliveries, order of fetching. */
import { describe, expect, it } from "vitest";
import { ApiProblem } from "@/shared/api";
import type { Shown } from "@/shared/uploads";
import { progressOf, refusedOf, takenOf } from "./bringing";
import { colourAmong, COLOURS } from "./colours";
import { picturesOf, rowOf, uidOf, type Json, type Picture } from "./dicom-json";
import { MM_PER_S, PER_MM, sheetOf, spanOf } from "./ecg";
import { inside, placed, toFrame, toPicture, zoomedAt, MOST_ZOOM } from "./geometry";
import { BadBody, partsOf } from "./multipart";
import { SeriesSource, type Fetch } from "./source";
import { dragged, windowOf } from "./windows";
import type { Pixels } from "./decoder";

const ROW = "0000000000000000000000000000000a";
const of = (vr: string, ...Value: unknown[]): { vr: string; Value: unknown[] } => ({ vr, Value });
const ct = (row: string, more: Json = {}): Json => ({
  "00080018": of("UI", uidOf(row)), "00080060": of("CS", "CT"), "00280010": of("US", 4), "00280011": of("US", 6), "00280002": of("US", 1),
  "00280030": of("DS", 0.5, 0.7), "00281050": of("DS", 40), "00281051": of("DS", 400), "00281052": of("DS", -1024), "00281053": of("DS", 1),
  "00200032": of("DS", -180, -180, 12.25), ...more,
});

describe("where a picture lies", () => {
  const frame = { width: 800, height: 600 };
  const picture = { width: 512, height: 256, right: 1, down: 2 };

  it("whole and in the middle at zoom 1, whatever the shape of its pixels", () => {
    const at = placed(frame, picture, { zoom: 1, x: 0, y: 0 });
    expect([at.across * 512, at.along * 256]).toEqual([600, 600]);
    expect([at.left, at.top]).toEqual([100, 0]);
  });

  it("a point of the frame is a point of the picture and back", () => {
    const at = placed(frame, picture, { zoom: 3, x: 20, y: -7 });
    const [x, y] = toFrame(at, toPicture(at, 123, 456));
    expect([x, y].map(Math.round)).toEqual([123, 456]);
    expect([inside(picture, [0, 0]), inside(picture, [513, 0]), inside(picture, [3, -1])]).toEqual([true, false, false]);
  });

  it("what is under the hand stays under it while zooming, within bounds", () => {
    let view = { zoom: 1, x: 5, y: 3 };
    const before = toPicture(placed(frame, picture, view), 700, 90);
    view = zoomedAt(frame, picture, view, 2.5, 700, 90);
    const after = toPicture(placed(frame, picture, view), 700, 90);
    expect(after[0]).toBeCloseTo(before[0]);
    expect(after[1]).toBeCloseTo(before[1]);
    expect(zoomedAt(frame, picture, view, 1e6, 0, 0).zoom).toBe(MOST_ZOOM);
  });
});

describe("what a header says", () => {
  it("a row's id goes out and comes back", () => {
    expect(uidOf(ROW)).toBe("2.25.10");
    expect(rowOf("2.25.10")).toBe(ROW);
    expect(rowOf(uidOf("f".repeat(32)))).toBe("f".repeat(32));
  });

  it("one slice, with its window, spacing and scale", () => {
    const [only, ...more] = picturesOf(ct(ROW));
    expect(more).toEqual([]);
    expect(only).toMatchObject({
      instance: ROW, frame: 0, rows: 4, columns: 6, colour: false, inverted: false, slope: 1, intercept: -1024, window: { centre: 40, width: 400 },
      spacing: [0.5, 0.7], atDetector: false, modality: "CT", position: "12.3", lossy: false,
    });
  });

  it("frames of one file, each by its own functional groups or the shared", () => {
    const own = (intercept: number): Json => ({ "00289145": of("SQ", { "00281052": of("DS", intercept), "00281053": of("DS", 2) }) });
    const frames = picturesOf(ct(ROW, {
      "00280008": of("IS", 2), "00281052": undefined, "00280030": undefined,
      "52009229": of("SQ", { "00289110": of("SQ", { "00280030": of("DS", 1, 1) }) }), "52009230": of("SQ", own(5), own(6)),
    }));
    expect(frames.map(({ frame, intercept, slope, spacing }) => [frame, intercept, slope, spacing])).toEqual([[0, 5, 2, [1, 1]], [1, 6, 2, [1, 1]]]);
  });

  it("no window, no spacing, nothing at all; a detector's spacing; an ultrasound's", () => {
    const bare = picturesOf({ "00080018": of("UI", "2.25.1"), "00280010": of("US", 2), "00280011": of("US", 2) })[0];
    expect(bare).toMatchObject({ window: null, spacing: null, slope: 1, intercept: 0, modality: "" });
    expect(picturesOf({ "00080018": of("UI", "2.25.1") })).toEqual([]);
    expect(picturesOf(ct(ROW, { "00280030": undefined, "00181164": of("DS", 0.2, 0.2) }))[0]).toMatchObject({ spacing: [0.2, 0.2], atDetector: true });
    const region = (delta: number, unit = 3): Json => ({ "00186024": of("US", unit), "00186026": of("US", unit), "0018602C": of("FD", delta), "0018602E": of("FD", delta) });
    const ultrasound = (...regions: Json[]): unknown => picturesOf(ct(ROW, { "00280030": undefined, "00186011": of("SQ", ...regions) }))[0]?.spacing;
    expect(ultrasound(region(0.01), region(0.01))).toEqual([0.1, 0.1]);
    expect(ultrasound(region(0.01), region(0.02))).toBeNull();
    expect(ultrasound(region(0.01, 4))).toBeNull();
  });

  it("windows: the picture's, one from its values, one by the hand", () => {
    const picture = picturesOf(ct(ROW))[0] as Picture;
    const pixels: Pixels = { width: 2, height: 1, components: 1, pixels: new Uint16Array([1024, 1424]) };
    expect(windowOf(picture, pixels)).toEqual({ centre: 40, width: 400 });
    expect(windowOf({ ...picture, window: null }, pixels)).toEqual({ centre: 200, width: 400 });
    expect(windowOf({ ...picture, window: null }, null).width).toBeGreaterThan(0);
    expect(windowOf({ ...picture, colour: true }, pixels)).toEqual({ centre: 127.5, width: 255 });
    expect(dragged({ centre: 40, width: 300 }, 10, -20)).toEqual({ centre: 20, width: 310 });
    expect(dragged({ centre: 0, width: 5 }, -1000, 0).width).toBe(1);
  });
});

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const TYPE = 'multipart/related; type="image/jls"; boundary=b1';
const body = (...parts: string[]): Uint8Array =>
  encode(`${parts.map((part) => `--b1\r\nContent-Type: image/jls\r\nContent-Location: here\r\nContent-Length: ${part.length}\r\n\r\n${part}\r\n`).join("")}--b1--\r\n`);

describe("parts of a body", () => {
  it("come out as they went in, also with lines of their own", () => {
    const found = partsOf(TYPE, body("one", "t\r\n--b1--\r\nwo", ""));
    expect(found.map((part) => new TextDecoder().decode(part.body))).toEqual(["one", "t\r\n--b1--\r\nwo", ""]);
    expect(found[0]?.location).toBe("here");
  });

  it.each([["", body("one")], [TYPE, encode("--b2\r\n")], [TYPE, encode("--b1\r\nContent-Length: 99\r\n\r\nshort\r\n")], [TYPE, encode("--b1\r\n\r\nx")], [TYPE, encode("no line")]])(
    "what is none is refused (%#)", (type, bytes) => { expect(() => partsOf(type, bytes)).toThrow(BadBody); });
});

describe("an electrocardiogram on paper", () => {
  const lead = { label: "Lead II", unit: "uV", scale: 2.5, baseline: 0 };

  it("a second is 25 mm, a millivolt 10 mm upwards", () => {
    const sheet = sheetOf({ hz: 500, label: "", channels: [lead], samples: [[0, ...new Array<number>(499).fill(400)]] });
    const points = sheet.traces[0]?.path.slice(1).split("L").map((point) => point.split(" ").map(Number)) ?? [];
    const [first, last] = [points[0] ?? [], points[points.length - 1] ?? []];
    expect(sheet.traces[0]?.label).toBe("II");
    expect((first[1] ?? 0) - (last[1] ?? 0)).toBeCloseTo(10 * PER_MM); // 400 * 2.5 uV = 1 mV
    expect((last[0] ?? 0) - (first[0] ?? 0)).toBeGreaterThan(24.5 * PER_MM);
    expect(sheet.seconds).toBe(1);
  });

  it("a spike of one sample is not lost, however dense", () => {
    const samples = new Array<number>(20_000).fill(0);
    samples[12_345] = 400;
    const sheet = sheetOf({ hz: 4_000, label: "", channels: [lead], samples: [samples] });
    const ys = sheet.traces[0]?.path.slice(1).split("L").map((point) => Number(point.split(" ")[1])) ?? [];
    expect(Math.min(...ys)).toBeCloseTo((sheet.traces[0]?.base ?? 0) - 100);
    expect(ys.length).toBeLessThan(3_000);
  });

  it("a line is time and voltage; without samples there is no trace", () => {
    expect(spanOf([[0, 0], [MM_PER_S * PER_MM * 0.4, 50]])).toEqual({ ms: 400, mv: 0.5 });
    expect(spanOf([[0, 0]])).toBeNull();
    expect(sheetOf({ hz: 0, label: "", channels: [lead], samples: [[]] }).traces[0]?.path).toBe("");
  });
});

describe("deliveries", () => {
  const delivery = (more: Partial<Shown>): Shown => ({
    id: "a", consult: "c", url: null, state: "done", code: "", refused: [], addedAt: 0, count: 2, names: ["x.dcm", "y.dcm"], sent: 0, size: 100, ...more,
  });

  it("are told together: how far, how many, which not", () => {
    const some = [delivery({ sent: 100 }), delivery({ state: "sending", sent: 50 }), delivery({ state: "failed", sent: 10, size: 900 })];
    expect(progressOf(some)).toBe(0.75);
    expect([progressOf([]), takenOf(some)]).toEqual([0, 2]);
  });

  it("the same refusal is told once, with the names of its files", () => {
    const some = [delivery({ refused: [{ file: 1, code: "upload.damaged" }] }), delivery({ refused: [{ file: 0, code: "upload.damaged" }, { file: 1, code: "images.conflict" }] })];
    expect(takenOf(some)).toBe(1);
    expect(refusedOf(some)).toEqual([
      { code: "upload.damaged", count: 2, names: "y.dcm、x.dcm", more: 0 }, { code: "images.conflict", count: 1, names: "y.dcm", more: 0 },
    ]);
    const many = delivery({ count: 10, names: Array.from({ length: 10 }, (_, file) => `${file}`), refused: Array.from({ length: 10 }, (_, file) => ({ file, code: "upload.damaged" })) });
    expect(refusedOf([many])).toMatchObject([{ count: 10, names: "0、1、2、3、4、5、6、7", more: 2 }]);
  });
});

describe("the order of fetching", () => {
  const decode = async (): Promise<Pixels> => ({ width: 6, height: 4, components: 1, pixels: new Uint16Array(24) });
  const rows = Array.from({ length: 100 }, (_, number) => number.toString(16).padStart(32, "0"));

  function server(asked: string[], broken = ""): Fetch {
    return async (path) => {
      asked.push(path);
      await Promise.resolve();
      if (broken && path.includes(broken)) throw new ApiProblem(403, "consent.missing");
      const query = new URLSearchParams(path.split("?")[1] ?? "");
      const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 100)];
      if (path.includes("/metadata")) return { type: "application/dicom+json", bytes: encode(JSON.stringify(rows.slice(offset, offset + limit).map((row) => ct(row)))) };
      if (path.includes("/previews")) return { type: TYPE, bytes: body(...rows.slice(offset, offset + limit).map(() => "x")) };
      return { type: TYPE, bytes: body("whole") };
    };
  }
  const settle = async (): Promise<void> => { for (let turn = 0; turn < 60; turn += 1) await new Promise((resolve) => setTimeout(resolve, 0)); };

  it("one slice, its frame, the rest, small pictures, then the neighbours; what is looked at goes first", async () => {
    const asked: string[] = [];
    const source = new SeriesSource("/s", 100, true, decode, server(asked));
    await source.open(70);
    expect(asked[0]).toBe("/s/metadata?offset=70&limit=1");
    await settle();
    expect(asked[1]).toBe(`/s/instances/${uidOf(rows[70] ?? "")}/frames/1`);
    expect(asked.slice(2, 5)).toEqual(["/s/metadata", "/s/previews?offset=64&limit=64", "/s/previews?offset=0&limit=64"]);
    expect(source.shown(70)?.whole).toBe(true);
    expect(source.shown(0)?.whole).toBe(false);
    expect(source.ready).toBe(1);
    expect(source.thumbnail).not.toBeNull();
    const before = asked.length;
    source.look(10);
    await settle();
    expect(asked[before]).toBe(`/s/instances/${uidOf(rows[10] ?? "")}/frames/1`);
    expect(source.shown(10)?.whole).toBe(true);
    source.close();
    expect(source.shown(10)).toBeNull();
  });

  it("a refusal is told, and not asked for again and again", async () => {
    const asked: string[] = [];
    const source = new SeriesSource("/s", 100, true, decode, server(asked, "/frames/"));
    await source.open(0);
    await settle();
    expect(source.problem).toBe("consent.missing");
    expect(asked.filter((path) => path.includes(`/${uidOf(rows[0] ?? "")}/frames/`))).toHaveLength(1);
    await expect(new SeriesSource("/s", 100, true, decode, server([], "/metadata")).open(0)).rejects.toThrow("consent.missing");
  });
});

describe("colours of people", () => {
  it("are the same on every page, whoever it asks first, and differ while there are enough", () => {
    const people = ["0b", "1a", "2c", "9f"];
    expect(people.map((one) => colourAmong(one, [...people].reverse()))).toEqual(COLOURS.slice(0, 4));
    expect(colourAmong("1a", ["0b", "2c"])).toBe(COLOURS[1]);
    const many = Array.from({ length: 9 }, (_, number) => String(number));
    expect(colourAmong("8", many)).toBe(COLOURS[0]);
  });
});
