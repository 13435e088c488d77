// What a phone downloads to show the patient page, gzipped; fails above the promise of 250 kB.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT = 250_000;
const root = process.argv[2] ?? fileURLToPath(new URL("../../huizhen/static/", import.meta.url));
const html = readFileSync(`${root}/patient.html`, "utf8");
const names = [...html.matchAll(/(?:src|href)="\/static\/([^"]+)"/g)].map((match) => match[1]);
let total = gzipSync(html).length;
for (const name of names) {
  const size = gzipSync(readFileSync(`${root}/${name}`)).length;
  total += size;
  console.log(`${String(size).padStart(8)}  ${name}`);
}
console.log(`${String(total).padStart(8)}  bytes gzipped in all, limit ${LIMIT}`);
if (total > LIMIT || names.length === 0) process.exit(1);
