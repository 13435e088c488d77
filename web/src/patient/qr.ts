/** A link as a QR code, drawn on this device: the link is a secret and goes nowhere. */
import { encode } from "uqr";

/** The dark modules as one SVG path, in a field with the quiet zone of four modules around (ISO/IEC 18004, 6.3.8). */
export function qrPath(text: string): { size: number; path: string } {
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  const cells = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : [])));
  return { size, path: cells.join("") };
}
