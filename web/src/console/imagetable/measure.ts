/** What a measurement comes to, from the spacing of the picture. Twin of imaging/measurement.py. */
import type { Measurement, Shape } from "./document";

export const POINTS: Readonly<Record<Shape, number>> = { point: 1, length: 2, angle: 3, rectangle: 2, ellipse: 2, arrow: 2 };
export const SHAPES = Object.keys(POINTS) as Shape[];

/** Millimetres between rows and between columns. */
export type Spacing = readonly [down: number, right: number];
export interface Value { readonly amount: number; readonly unit: "mm" | "mm2" | "deg" | "px" | "px2" }

type Point = readonly [number, number];

export function valueOf(measurement: Pick<Measurement, "shape" | "points">, spacing: Spacing | null): Value | null {
  const [down, right] = spacing ?? [1, 1];
  const points = measurement.points.map(([x, y]): Point => [x * right, y * down]);
  const [a, b, c] = points;
  if (!a || !b) return null;
  switch (measurement.shape) {
    case "length":
      return { amount: Math.hypot(a[0] - b[0], a[1] - b[1]), unit: spacing ? "mm" : "px" };
    case "angle":
      return c ? { amount: angle(a, b, c), unit: "deg" } : null;
    case "rectangle":
    case "ellipse": {
      const area = Math.abs(a[0] - b[0]) * Math.abs(a[1] - b[1]);
      return { amount: measurement.shape === "ellipse" ? (area * Math.PI) / 4 : area, unit: spacing ? "mm2" : "px2" };
    }
    default:
      return null;
  }
}

/** At the middle one, 0 to 180; 0 where two of them coincide. */
function angle(a: Point, b: Point, c: Point): number {
  const one = Math.atan2(a[1] - b[1], a[0] - b[0]);
  const other = Math.atan2(c[1] - b[1], c[0] - b[0]);
  const turned = Math.abs(((one - other) * 180) / Math.PI) % 360;
  return Math.min(turned, 360 - turned);
}

const UNITS: Readonly<Record<Value["unit"], string>> = { mm: " mm", mm2: " mm²", deg: "°", px: " px", px2: " px²" };

/** Below a millimetre in µm: cells. */
export function valueWords(value: Value | null): string {
  if (value?.unit === "mm" && value.amount < 1) return `${(value.amount * 1_000).toFixed(0)} µm`;
  if (value?.unit === "mm2" && value.amount < 0.1) return `${(value.amount * 1_000_000).toFixed(0)} µm²`;
  return value ? `${value.amount.toFixed(value.amount < 100 ? 1 : 0)}${UNITS[value.unit]}` : "";
}
