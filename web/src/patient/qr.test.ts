import { describe, expect, it } from "vitest";
import { qrPath } from "./qr";

const LINK = "https://huizhen.remote-consultation.city-hospital.example.cn/p#aB3_-zQ9aB3_-zQ9aB3_-zQ9";

/** Rows of 0 and 1 from the path. */
function rows({ size, path }: { size: number; path: string }): string[] {
  const dark = new Set([...path.matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => `${x},${y}`));
  return Array.from({ length: size }, (_, y) => Array.from({ length: size }, (_, x) => (dark.has(`${x},${y}`) ? "1" : "0")).join(""));
}

describe("a link as a picture", () => {
  it("leaves four light modules all around", () => {
    const drawn = rows(qrPath(LINK));
    const light = "0".repeat(drawn.length);
    expect([...drawn.slice(0, 4), ...drawn.slice(-4)]).toEqual(Array.from({ length: 8 }, () => light));
    expect(drawn.every((row) => row.startsWith("0000") && row.endsWith("0000"))).toBe(true);
  });

  it("has its three eyes", () => {
    const drawn = rows(qrPath(LINK));
    const eye = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"];
    const at = (x: number, y: number): string[] => drawn.slice(y, y + 7).map((row) => row.slice(x, x + 7));
    const far = drawn.length - 11;
    for (const [x, y] of [[4, 4], [far, 4], [4, far]] as const) expect(at(x, y)).toEqual(eye);
  });

  it("is another picture for another link", () => {
    expect(qrPath(`${LINK}a`).path).not.toBe(qrPath(LINK).path);
  });
});
