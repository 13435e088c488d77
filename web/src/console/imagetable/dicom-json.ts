/** What of a picture's DICOM JSON metadata the viewer needs. Pure; what is missing has a plain answer. */
import type { Spacing } from "./measure";

type Element = { vr?: string; Value?: unknown[] };
export type Json = Record<string, Element | undefined>;

export interface Picture {
  /** Row id: how the shared view and measurements name it. */
  readonly instance: string;
  readonly uid: string;
  /** From 0. */
  readonly frame: number;
  readonly rows: number;
  readonly columns: number;
  readonly colour: boolean;
  readonly inverted: boolean;
  readonly slope: number;
  readonly intercept: number;
  readonly window: { readonly centre: number; readonly width: number } | null;
  readonly spacing: Spacing | null;
  /** The spacing is that of the detector: lengths in the patient are somewhat smaller. */
  readonly atDetector: boolean;
  readonly modality: string;
  readonly position: string;
  readonly lossy: boolean;
}

/** A row's id of a UID the server told: "2.25." and the id as a decimal. */
export function rowOf(uid: string): string {
  return BigInt(uid.slice("2.25.".length)).toString(16).padStart(32, "0");
}

export function uidOf(row: string): string {
  return `2.25.${BigInt(`0x${row}`).toString()}`;
}

/** The pictures of one instance, frame by frame; none for what is no picture. */
export function picturesOf(told: Json): Picture[] {
  const [rows, columns] = [number(told, "00280010"), number(told, "00280011")];
  if (!rows || !columns) return [];
  const uid = text(told, "00080018");
  const shared = items(told, "52009229")[0] ?? {};
  const each = items(told, "52009230");
  const frames = Math.max(1, number(told, "00280008") ?? 1);
  return Array.from({ length: frames }, (_, frame) => picture(told, shared, each[frame] ?? {}, { rows, columns, uid, frame }));
}

function picture(told: Json, shared: Json, own: Json, place: Pick<Picture, "rows" | "columns" | "uid" | "frame">): Picture {
  const group = (sequence: string): Json => items(own, sequence)[0] ?? items(shared, sequence)[0] ?? told;
  const scale = group("00289145");
  const window = group("00289132");
  const [centre, width] = [number(window, "00281050"), number(window, "00281051")];
  const spacing = spacingOf(group("00289110"));
  const detector = spacing ? null : pair(told, "00181164");
  return {
    ...place,
    instance: rowOf(place.uid),
    colour: (number(told, "00280002") ?? 1) > 1,
    inverted: text(told, "00280004") === "MONOCHROME1",
    slope: number(scale, "00281053") ?? 1,
    intercept: number(scale, "00281052") ?? 0,
    window: centre === null || width === null || width <= 0 ? null : { centre, width },
    spacing: spacing ?? detector ?? regionSpacing(told),
    atDetector: detector !== null,
    modality: text(told, "00080060"),
    position: positionOf(told, own),
    lossy: text(told, "00282110") === "01",
  };
}

function spacingOf(told: Json): Spacing | null {
  return pair(told, "00280030");
}

/** Of an ultrasound: centimetres a pixel, where all its regions agree. */
function regionSpacing(told: Json): Spacing | null {
  const regions = items(told, "00186011");
  const found = regions.map((region) => {
    const metric = number(region, "00186024") === 3 && number(region, "00186026") === 3;
    const [right, down] = [number(region, "0018602C"), number(region, "0018602E")];
    return metric && right && down ? ([Math.abs(down) * 10, Math.abs(right) * 10] as const) : null;
  });
  const first = found[0];
  return first && found.every((one) => one && one[0] === first[0] && one[1] === first[1]) ? first : null;
}

function positionOf(told: Json, own: Json): string {
  const plane = items(own, "00209113")[0] ?? told;
  const place = plane["00200032"]?.Value?.[2] ?? told["00201041"]?.Value?.[0];
  return typeof place === "number" ? place.toFixed(1) : "";
}

function pair(told: Json, tag: string): Spacing | null {
  const [down, right] = told[tag]?.Value ?? [];
  return typeof down === "number" && typeof right === "number" && down > 0 && right > 0 ? [down, right] : null;
}

export function items(told: Json, tag: string): Json[] {
  return (told[tag]?.Value ?? []) as Json[];
}

export function number(told: Json, tag: string): number | null {
  const value = told[tag]?.Value?.[0];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function text(told: Json, tag: string): string {
  const value = told[tag]?.Value?.[0];
  return typeof value === "string" ? value : "";
}
