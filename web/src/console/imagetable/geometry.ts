/** Where a picture lies in its frame on the screen: one rule for every kind of picture, so that pointers meet. Pure. */
import type { View } from "./document";

/** Pixels of the picture, and how wide and high one of them is (only the ratio matters here). `most`: how far it may be enlarged. */
export interface PictureSize { readonly width: number; readonly height: number; readonly right: number; readonly down: number; readonly most?: number }
export interface FrameSize { readonly width: number; readonly height: number }
/** Screen = left + x * across, top + y * along. */
export interface Placed { readonly across: number; readonly along: number; readonly left: number; readonly top: number }
type Place = Pick<View, "zoom" | "x" | "y">;

export const LEAST_ZOOM = 0.2;
export const MOST_ZOOM = 20;
export const MOST_ZOOM_SLIDE = 100; // a slide is many screens wide (imaging/form.py takes no more)

/** Zoom 1 shows the whole picture; x, y is how far the middle of the frame lies from the middle of the picture. */
export function placed(frame: FrameSize, picture: PictureSize, view: Place): Placed {
  const whole = Math.min(frame.width / (picture.width * picture.right), frame.height / (picture.height * picture.down));
  const scale = whole * view.zoom;
  const [across, along] = [scale * picture.right, scale * picture.down];
  return {
    across, along,
    left: frame.width / 2 - (picture.width / 2 + view.x) * across,
    top: frame.height / 2 - (picture.height / 2 + view.y) * along,
  };
}

export function toPicture(at: Placed, x: number, y: number): readonly [number, number] {
  return [(x - at.left) / at.across, (y - at.top) / at.along];
}

export function toFrame(at: Placed, [x, y]: readonly [number, number]): readonly [number, number] {
  return [at.left + x * at.across, at.top + y * at.along];
}

/** The same point of the picture stays under the finger. */
export function zoomedAt(frame: FrameSize, picture: PictureSize, view: Place, factor: number, x: number, y: number): { zoom: number; x: number; y: number } {
  const zoom = Math.min(picture.most ?? MOST_ZOOM, Math.max(LEAST_ZOOM, view.zoom * factor));
  const before = toPicture(placed(frame, picture, view), x, y);
  const after = toPicture(placed(frame, picture, { ...view, zoom }), x, y);
  return { zoom, x: view.x + before[0] - after[0], y: view.y + before[1] - after[1] };
}

export function inside(picture: PictureSize, [x, y]: readonly [number, number]): boolean {
  return x >= 0 && y >= 0 && x <= picture.width && y <= picture.height;
}
