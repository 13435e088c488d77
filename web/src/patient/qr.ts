/**
 * A link as a QR code (ISO/IEC 18004), made on this device: the link is a secret and goes nowhere.
 * Bytes, error correction M, versions 1 to 10 (up to 213 bytes); longer text has no picture.
 */
const CHECK_PER_BLOCK = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
const LEVEL_M = 0b00;

export type Matrix = boolean[][];

/** Null when the text is too long. `mask` only to compare with other encoders; by default the least confusing one. */
export function qrCode(text: string, mask?: number): Matrix | null {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex((_, at) => bytes.length <= capacity(at + 1)) + 1;
  if (version === 0) return null;
  const words = interleave(dataWords(bytes, version), version);
  const drawn = [0, 1, 2, 3, 4, 5, 6, 7].filter((one) => mask === undefined || one === mask).map((one) => draw(words, version, one));
  return drawn.reduce((best, one) => (penalty(one) < penalty(best) ? one : best));
}

/** The dark modules as one SVG path, in a field with the quiet zone of four modules around. */
export function qrPath(matrix: Matrix): { size: number; path: string } {
  const cells = matrix.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x + 4} ${y + 4}h1v1h-1z`] : [])));
  return { size: matrix.length + 8, path: cells.join("") };
}

function rawBits(version: number): number {
  const aligns = version === 1 ? 0 : Math.floor(version / 7) + 2;
  const taken = aligns ? (25 * aligns - 10) * aligns - 55 + (version >= 7 ? 36 : 0) : 0;
  return (16 * version + 128) * version + 64 - taken;
}

const dataLength = (version: number): number => Math.floor(rawBits(version) / 8) - (CHECK_PER_BLOCK[version - 1] ?? 0) * (BLOCKS[version - 1] ?? 0);
const capacity = (version: number): number => dataLength(version) - (version < 10 ? 2 : 3);

function dataWords(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const put = (value: number, count: number): void => { for (let at = count - 1; at >= 0; at -= 1) bits.push((value >> at) & 1); };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => put(byte, 8));
  const most = dataLength(version) * 8;
  put(0, Math.min(4, most - bits.length));
  while (bits.length % 8) bits.push(0);
  for (let pad = 0xec; bits.length < most; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Array.from({ length: bits.length / 8 }, (_, at) => bits.slice(at * 8, at * 8 + 8).reduce((value, bit) => value * 2 + bit, 0));
}

function times(a: number, b: number): number {
  let product = 0;
  for (let at = 7; at >= 0; at -= 1) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((b >> at) & 1) * a);
  return product;
}

function checkWords(data: readonly number[], count: number): number[] {
  const divisor = Array.from({ length: count }, (_, at): number => (at === count - 1 ? 1 : 0));
  for (let root = 1, step = 0; step < count; step += 1, root = times(root, 2))
    for (let at = 0; at < count; at += 1) divisor[at] = times(divisor[at] ?? 0, root) ^ (divisor[at + 1] ?? 0);
  const rest = Array.from({ length: count }, () => 0);
  for (const word of data) {
    const factor = word ^ (rest.shift() ?? 0);
    rest.push(0);
    divisor.forEach((each, at) => { rest[at] = (rest[at] ?? 0) ^ times(each, factor); });
  }
  return rest;
}

/** Blocks of data, the short ones first, each with its check words, read column by column. */
function interleave(data: readonly number[], version: number): number[] {
  const [count, check] = [BLOCKS[version - 1] ?? 1, CHECK_PER_BLOCK[version - 1] ?? 0];
  const short = Math.floor(data.length / count);
  const long = data.length % count;
  const blocks: number[][] = [];
  for (let at = 0, from = 0; at < count; at += 1) {
    const size = short + (at >= count - long ? 1 : 0);
    blocks.push(data.slice(from, from + size));
    from += size;
  }
  const columns = (parts: number[][]): number[] => Array.from({ length: Math.max(...parts.map((part) => part.length)) }, (_, at) => parts.flatMap((part) => part.slice(at, at + 1))).flat();
  return [...columns(blocks), ...columns(blocks.map((block) => checkWords(block, check)))];
}

function alignments(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, at) => version * 4 + 10 - (count - 2 - at) * step)];
}

const MASKS: ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function draw(words: readonly number[], version: number, mask: number): Matrix {
  const size = version * 4 + 17;
  const grid: (boolean | null)[][] = Array.from({ length: size }, () => Array.from({ length: size }, () => null));
  const set = (x: number, y: number, dark: boolean): void => { const row = grid[y]; if (row && x >= 0 && x < size) row[x] = dark; };
  for (let at = 0; at < size; at += 1) { set(6, at, at % 2 === 0); set(at, 6, at % 2 === 0); }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) square(cx, cy, 4, set);
  const centres = alignments(version);
  const last = centres.length - 1;
  centres.forEach((x, i) => centres.forEach((y, j) => { if (!((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0))) square(x, y, 2, set); }));
  format(mask, size, set);
  versionMarks(version, size, set);
  fill(words, grid, size, mask);
  return grid.map((row) => row.map((dark) => dark === true));
}

/** Rings around a centre: a finder (radius 4, with its light edge) or an alignment mark (radius 2). */
function square(cx: number, cy: number, radius: number, set: (x: number, y: number, dark: boolean) => void): void {
  for (let dy = -radius; dy <= radius; dy += 1)
    for (let dx = -radius; dx <= radius; dx += 1) {
      const ring = Math.max(Math.abs(dx), Math.abs(dy));
      set(cx + dx, cy + dy, radius === 4 ? ring !== 2 && ring !== 4 : ring !== 1);
    }
}

function format(mask: number, size: number, set: (x: number, y: number, dark: boolean) => void): void {
  const data = (LEVEL_M << 3) | mask;
  let rest = data;
  for (let at = 0; at < 10; at += 1) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((data << 10) | rest) ^ 0x5412;
  const bit = (at: number): boolean => ((bits >> at) & 1) === 1;
  for (let at = 0; at <= 5; at += 1) set(8, at, bit(at));
  set(8, 7, bit(6)); set(8, 8, bit(7)); set(7, 8, bit(8));
  for (let at = 9; at < 15; at += 1) set(14 - at, 8, bit(at));
  for (let at = 0; at < 8; at += 1) set(size - 1 - at, 8, bit(at));
  for (let at = 8; at < 15; at += 1) set(8, size - 15 + at, bit(at));
  set(8, size - 8, true);
}

function versionMarks(version: number, size: number, set: (x: number, y: number, dark: boolean) => void): void {
  if (version < 7) return;
  let rest = version;
  for (let at = 0; at < 12; at += 1) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let at = 0; at < 18; at += 1) {
    const [a, b, dark] = [size - 11 + (at % 3), Math.floor(at / 3), ((bits >> at) & 1) === 1];
    set(a, b, dark); set(b, a, dark);
  }
}

/** Two columns at a time from the right, up and down, past column 6; masked as it is written. */
function fill(words: readonly number[], grid: (boolean | null)[][], size: number, mask: number): void {
  const masked = MASKS[mask] ?? (() => false);
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        const row = grid[y];
        if (!row || row[x] !== null) continue;
        const dark = (((words[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1;
        row[x] = dark !== masked(x, y);
        at += 1;
      }
    }
  }
}

/** How easily a reader would be misled: runs, blocks, what looks like a finder, too dark or too light. */
function penalty(matrix: Matrix): number {
  const size = matrix.length;
  const lines = [...matrix, ...matrix.map((_, x) => matrix.map((row) => row[x] === true))].map((line) => line.map((dark) => (dark ? "1" : "0")).join(""));
  let score = 0;
  for (const line of lines) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) score += run.length - 2;
    score += 40 * (line.match(/(?=00001011101|10111010000)/g)?.length ?? 0);
  }
  for (let y = 0; y + 1 < size; y += 1)
    for (let x = 0; x + 1 < size; x += 1)
      if ([matrix[y]?.[x + 1], matrix[y + 1]?.[x], matrix[y + 1]?.[x + 1]].every((one) => one === matrix[y]?.[x])) score += 3;
  const dark = matrix.flat().filter(Boolean).length;
  return score + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}
