/** Every key used in a template or script exists in both languages, and the two tables have the same keys. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(__dirname, "..");

function leaves(table: object, prefix = ""): string[] {
  return Object.entries(table).flatMap(([key, value]) => (typeof value === "object" && value !== null ? leaves(value as object, `${prefix}${key}.`) : [`${prefix}${key}`]));
}

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return files(path);
    return /\.(vue|ts)$/.test(name) && !name.endsWith(".test.ts") ? [path] : [];
  });
}

const names = readdirSync(join(root, "locales/zh")).map((name) => name.replace(".json", ""));
const read = (locale: string, name: string): object => JSON.parse(readFileSync(join(root, `locales/${locale}/${name}.json`), "utf8")) as object;
const known = new Set(names.flatMap((name) => leaves(read("zh", name)).map((key) => `${name}:${key}`)));
const full = (key: string): string => (key.includes(":") ? key : `shared:${key}`);
const exists = (key: string): boolean => known.has(full(key)) || known.has(`${full(key)}_other`);

describe("locales", () => {
  it.each(names)("%s has the same keys and placeholders in zh and en", (name) => {
    const [zh, en] = [read("zh", name), read("en", name)];
    expect(leaves(en).sort()).toEqual(leaves(zh).sort());
    const holes = (table: object): Record<string, string[]> =>
      Object.fromEntries(leaves(table).map((path) => [path, [...String(path.split(".").reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], table)).matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1] ?? "").sort()]));
    expect(holes(en)).toEqual(holes(zh));
  });

  it("no empty words", () => {
    for (const locale of ["zh", "en"])
      for (const name of names)
        for (const path of leaves(read(locale, name))) expect(String(path.split(".").reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], read(locale, name))), `${locale}/${name}:${path}`).not.toBe("");
  });

  it("every key in the sources exists", () => {
    const missing: string[] = [];
    for (const path of files(root)) {
      const text = readFileSync(path, "utf8");
      for (const match of text.matchAll(/\bt\(\s*(["'`])([^"'`]+)\1/g)) {
        const key = match[2] ?? "";
        const fixed = key.split("${")[0] ?? "";
        const ok = key.includes("${") ? [...known].some((one) => one.startsWith(full(fixed))) : exists(key);
        if (!ok) missing.push(`${path.slice(root.length)}: ${key}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
