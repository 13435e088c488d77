/** Bit for bit what another encoder (segno, which the server uses) draws, for every mask; digests of the rows of 0 and 1. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { qrCode, qrPath, type Matrix } from "./qr";

// Texts that fill their version: segno 1.6 puts a byte of zeros before the padding, which the standard does not.
const KNOWN: [string, string[]][] = [
  ["https://hz.cn/", ["a909d73244ff079d", "861366f87f236faf", "4ad909bab44dc20f", "9f95c39889e727bb", "81898f79678f2058", "fdc8280e65415838", "05b500921b619377", "30fe3a6f82795f1a"]],
  ["https://huizhen.remote-consultation.city-hospital.example.cn/p", ["5005859fda0405f7", "4359b990571b7aee", "97720c5c98d164b2", "d949d0697aeee2c7", "4375d18ae02d2d36", "eabf978f08067b75", "79ab0dddb81b0c41", "783a3126d53727d4"]],
  ["https://huizhen.remote-consultation.city-hospital.example.cn/p#aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3", ["44708e93b515e0d5", "4aa43e64279628d2", "dd526586638bf535", "52aff11972bba339", "095c614997ff8acc", "0102580b3d1a16fb", "17129ad0a8badba2", "208e160bcf57c202"]],
  ["https://huizhen.remote-consultation.city-hospital.example.cn/p#aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-zQ9aB3_-z", ["3fff874b174a612e", "94200b212250923e", "e2bef9e529c41b5a", "659ee992024c81c4", "8d38b6d947a838fd", "031a27fc3ac481a7", "e6fd357e6d653e03", "d78b3295f778fc58"]],
];

/** The data words of a version 1 code drawn with mask 0: every second module inverted. */
function words(matrix: Matrix): number[] {
  const bits: number[] = [];
  const frame = (x: number, y: number): boolean => x === 6 || y === 6 || (x < 9 && y < 9) || (x > 12 && y < 9) || (x < 9 && y > 12);
  for (let right = 20; right >= 1; right -= right === 8 ? 3 : 2)
    for (let step = 0; step < 21; step += 1)
      for (const x of [right, right - 1]) {
        const y = ((right + 1) & 2) === 0 ? 20 - step : step;
        if (!frame(x, y)) bits.push(Number(matrix[y]?.[x] !== ((x + y) % 2 === 0)));
      }
  return Array.from({ length: 16 }, (_, at) => parseInt(bits.slice(at * 8, at * 8 + 8).join(""), 2));
}

describe("a link as a picture", () => {
  it.each(KNOWN)("%s", (text, digests) => {
    digests.forEach((digest, mask) => {
      const rows = (qrCode(text, mask) ?? []).map((row) => row.map((dark) => (dark ? "1" : "0")).join("")).join("\n");
      expect(createHash("sha256").update(rows).digest("hex").slice(0, 16), `mask ${mask}`).toBe(digest);
    });
    expect(qrCode(text)?.length).toBe(qrCode(text, 0)?.length);
  });

  it("pads as the standard says", () => {
    expect(words(qrCode("HUIZHEN", 0) ?? [])).toEqual([0x40, 0x74, 0x85, 0x54, 0x95, 0xa4, 0x84, 0x54, 0xe0, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec]);
  });

  it("has room for 213 bytes and no more", () => {
    expect(qrCode("x".repeat(213))?.length).toBe(57);
    expect(qrCode("x".repeat(214))).toBeNull();
  });

  it("leaves four light modules all around", () => {
    const { size, path } = qrPath(qrCode("HUIZHEN") ?? []);
    expect(size).toBe(29);
    expect(path.startsWith("M4 4h1v1h-1z")).toBe(true);
    for (const [, x, y] of path.matchAll(/M(\d+) (\d+)/g)) expect([x, y].every((at) => Number(at) >= 4 && Number(at) < 25)).toBe(true);
  });
});
