/** Windows by what is to be seen, for values in Hounsfield units. */
import type { Picture } from "./dicom-json";
import type { Pixels } from "./decoder";

export interface Window { readonly centre: number; readonly width: number }
export const PRESETS = [
  { key: "soft", centre: 40, width: 400 },
  { key: "lung", centre: -600, width: 1500 },
  { key: "bone", centre: 300, width: 2000 },
  { key: "brain", centre: 40, width: 80 },
] as const;

/** The picture's own window; where it has none, from its darkest to its brightest value. */
export function windowOf(picture: Picture, pixels: Pixels | null): Window {
  if (picture.colour) return { centre: 127.5, width: 255 };
  if (picture.window) return picture.window;
  let [least, most] = [Infinity, -Infinity];
  for (const value of pixels?.pixels ?? []) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least >= most) [least, most] = [0, 255];
  const [low, high] = [least * picture.slope + picture.intercept, most * picture.slope + picture.intercept];
  return { centre: (low + high) / 2, width: Math.max(1, Math.abs(high - low)) };
}

/** Dragging: to the right wider, downwards darker, by the width at hand. */
export function dragged(window: Window, dx: number, dy: number): Window {
  const step = Math.max(0.5, window.width / 300);
  return { centre: Math.round((window.centre + dy * step) * 10) / 10, width: Math.max(1, Math.round((window.width + dx * step) * 10) / 10) };
}
