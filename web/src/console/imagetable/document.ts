/** The shared view of the image table: one document per consult, changed by small absolute operations. Twin of imaging/viewer.py. */
import type { TableAct, TableMeasurement } from "@/rtc/messages.gen";

export const MOST_MEASUREMENTS = 500;

export type Shape = TableMeasurement["shape"];
export type Measurement = Readonly<Omit<TableMeasurement, "points" | "label"> & { points: readonly (readonly [number, number])[]; label: string }>;

/** `at`: slice, frame or page from 0. Centre and width in the values of the series; x, y in pixels of the picture; zoom 1 = fits. */
export interface View {
  readonly series: string;
  readonly at: number;
  readonly centre: number | null;
  readonly width: number | null;
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export type Move =
  | { kind: "show"; series: string; at: number }
  | { kind: "scroll"; at: number }
  | { kind: "window"; centre: number; width: number }
  | { kind: "place"; zoom: number; x: number; y: number };
export type Op =
  | Move
  | { kind: "lead"; to: string }
  | { kind: "follow"; on: boolean }
  | { kind: "put"; measurement: Measurement }
  | { kind: "take"; id: string };

export interface Person { readonly id: string; readonly presides: boolean }

export interface Document {
  readonly version: number;
  readonly view: View;
  readonly leader: string;
  readonly apart: ReadonlySet<string>;
  readonly measurements: ReadonlyMap<string, Measurement>;
}

export const EMPTY_VIEW: View = { series: "", at: 0, centre: null, width: null, zoom: 1, x: 0, y: 0 };
export const EMPTY: Document = { version: 0, view: EMPTY_VIEW, leader: "", apart: new Set(), measurements: new Map() };

/** A refusal with the server's code. */
export class Refused extends Error {
  constructor(readonly code: "images.not_leading" | "images.not_yours" | "images.table_full") {
    super(code);
  }
}

/** The next version. Throws Refused. */
export function apply(document: Document, person: Person, op: Op): Document {
  return { ...changed(document, person, op), version: document.version + 1 };
}

function changed(document: Document, person: Person, op: Op): Document {
  switch (op.kind) {
    case "lead":
      return lead(document, person, op.to);
    case "follow": {
      const apart = new Set(document.apart);
      if (op.on) apart.delete(person.id);
      else apart.add(person.id);
      return { ...document, apart };
    }
    case "put":
      return put(document, person, op.measurement);
    case "take":
      return take(document, person, op.id);
    default:
      if (document.leader !== "" && document.leader !== person.id) throw new Refused("images.not_leading");
      return { ...document, view: moved(document.view, op) };
  }
}

export function moved(view: View, op: Move): View {
  switch (op.kind) {
    case "show":
      return { ...EMPTY_VIEW, series: op.series, at: op.at };
    case "scroll":
      return { ...view, at: op.at };
    case "window":
      return { ...view, centre: op.centre, width: op.width };
    case "place":
      return { ...view, zoom: op.zoom, x: op.x, y: op.y };
  }
}

function lead(document: Document, person: Person, to: string): Document {
  const foreign = document.leader !== "" && document.leader !== person.id;
  const free = document.leader === "" && to !== "" && to !== person.id;
  if ((foreign || free) && !person.presides) throw new Refused("images.not_leading");
  const apart = new Set(document.apart);
  apart.delete(to);
  return { ...document, leader: to, apart };
}

function put(document: Document, person: Person, measurement: Measurement): Document {
  const before = document.measurements.get(measurement.id);
  if (measurement.by !== person.id || (before !== undefined && before.by !== person.id)) throw new Refused("images.not_yours");
  if (before === undefined && document.measurements.size >= MOST_MEASUREMENTS) throw new Refused("images.table_full");
  return { ...document, measurements: new Map(document.measurements).set(measurement.id, measurement) };
}

function take(document: Document, person: Person, id: string): Document {
  const before = document.measurements.get(id);
  if (before !== undefined && before.by !== person.id && !person.presides) throw new Refused("images.not_yours");
  const measurements = new Map(document.measurements);
  measurements.delete(id);
  return { ...document, measurements };
}

// ---- the wire -----------------------------------------------------------------------------------------------------

/** From what the server told; it has checked it. */
export function opOf(act: TableAct | Omit<TableAct, "op">): Op {
  const { kind } = act;
  switch (kind) {
    case "show":
      return { kind, series: act.series ?? "", at: act.at ?? 0 };
    case "scroll":
      return { kind, at: act.at ?? 0 };
    case "window":
      return { kind, centre: act.centre ?? 0, width: act.width ?? 1 };
    case "place":
      return { kind, zoom: act.zoom ?? 1, x: act.x ?? 0, y: act.y ?? 0 };
    case "lead":
      return { kind, to: act.to ?? "" };
    case "follow":
      return { kind, on: act.on ?? true };
    case "put":
      return { kind, measurement: measurementOf(act.measurement as TableMeasurement) };
    case "take":
      return { kind, id: act.id ?? "" };
  }
}

export function measurementOf(raw: TableMeasurement): Measurement {
  return { ...raw, label: raw.label ?? "", points: raw.points.map(([x, y]) => [x ?? 0, y ?? 0] as const) };
}

interface WireDocument { version: number; view: View; leader: string; apart: string[]; measurements: TableMeasurement[] }

export function documentOf(raw: object): Document {
  const { version, view, leader, apart, measurements } = raw as WireDocument;
  return {
    version, view, leader, apart: new Set(apart),
    measurements: new Map(measurements.map((one) => [one.id, measurementOf(one)])),
  };
}
