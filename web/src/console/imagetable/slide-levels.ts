/** A pathology slide as its series tells it: levels of tiles, each level an instance, each tile a frame (DICOM WSI, TILED_FULL). */

import { number, picturesOf, rowOf, text, type Json } from "./dicom-json";
import type { Spacing } from "./measure";

export interface Level {
  uid: string;
  width: number;
  height: number;
  tileWidth: number;
  tileHeight: number;
  columns: number;
  rows: number;
}

/** A slide as the table shows it: one picture, measured on its finest level. */
export interface Slide {
  readonly base: string;
  readonly levels: readonly Level[];
  /** Row id of the finest level. */
  readonly instance: string;
  readonly frame: 0;
  readonly width: number;
  readonly height: number;
  readonly spacing: Spacing | null;
}

/** Where the frame shows the picture: its top left corner in screen pixels, and screen pixels per pixel of the slide. */
export interface Place {
  left: number;
  top: number;
  across: number;
  along: number;
}

const WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6";
const INSTANCE = "00080018";
const CLASS = "00080016";

/** From the coarsest to the finest; what is no level of a slide is left out. */
export function levelsOf(metadata: readonly Json[]): Level[] {
  const found = metadata.filter((one) => text(one, CLASS) === WHOLE_SLIDE).map((one): Level => {
    const [width, height, tileHeight, tileWidth] = [size(one, "00480006"), size(one, "00480007"), size(one, "00280010"), size(one, "00280011")];
    return {
      uid: text(one, INSTANCE), width, height, tileWidth, tileHeight,
      columns: Math.ceil(width / tileWidth), rows: Math.ceil(height / tileHeight),
    };
  });
  return found.filter((level) => level.uid && level.columns > 0 && level.rows > 0).sort((a, b) => a.width - b.width);
}

/** Null when the series holds no level of a slide. */
export function slideOf(base: string, metadata: readonly Json[]): Slide | null {
  const levels = levelsOf(metadata);
  const whole = levels.at(-1);
  if (!whole) return null;
  const told = metadata.find((one) => text(one, INSTANCE) === whole.uid) as Json;
  const spacing = picturesOf({ ...told, "00280008": { Value: [1] } })[0]?.spacing ?? null; // of the level, not tile by tile
  return { base, levels, instance: rowOf(whole.uid), frame: 0, width: whole.width, height: whole.height, spacing };
}

/** Address of a tile below the series: frames are numbered row by row from 1 (PS3.3 C.7.6.17.3). */
export function tileUrl(base: string, level: Level, x: number, y: number): string {
  return `${base}/instances/${level.uid}/frames/${y * level.columns + x + 1}`;
}

/** What part of the slide fills the frame, in widths of the slide. */
export function boundsOf(whole: Level, size: { width: number; height: number }, at: Place): { x: number; y: number; width: number; height: number } {
  return {
    x: -at.left / at.across / whole.width,
    y: -at.top / at.along / whole.width,
    width: size.width / at.across / whole.width,
    height: size.height / at.along / whole.width,
  };
}

/** The one picture in a multipart/related answer. Throws when there is none. */
export function pictureIn(bytes: Uint8Array): Blob {
  const end = headEnd(bytes);
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, end));
  const length = Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? NaN);
  const picture = bytes.subarray(end, end + length);
  if (!(length > 0) || picture.length !== length) throw new Error("no picture");
  return new Blob([picture.slice()], { type: "image/jpeg" });
}

function headEnd(bytes: Uint8Array): number {
  for (let at = 3; at < Math.min(bytes.length, 1_024); at += 1) {
    if (bytes[at] === 10 && bytes[at - 1] === 13 && bytes[at - 2] === 10 && bytes[at - 3] === 13) return at + 1;
  }
  throw new Error("no head");
}

function size(one: Json, tag: string): number {
  return Math.max(0, number(one, tag) ?? 0);
}
