/** Every key used in a template or script exists in both languages, every key that exists is used, and the tables agree. */
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

/** Whatever could name a key: each quoted text (quotes nest in templates, so each kind by itself), and each key with a hole. */
function literals(): { fixed: Set<string>; holes: RegExp[] } {
  const found = new Set<string>();
  for (const path of files(root)) {
    const text = readFileSync(path, "utf8");
    for (const quoted of [/"([^"\n]*)"/g, /'([^'\n]*)'/g, /`([^`\n]*)`/g, /([a-z]+:[\w.]+(?:\$\{[^}]*\}[\w.]*)*)/g])
      for (const match of text.matchAll(quoted)) found.add(match[1] ?? "");
  }
  const parts = (text: string): string[] => text.split(/\$\{[^}]*\}/);
  const keyed = [...found].filter((text) => text.includes("${") && /^[a-zA-Z]+[:.][\w.]*$/.test(parts(text)[0] ?? ""));
  return { fixed: found, holes: keyed.map((text) => new RegExp(`^${parts(text).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[\\w.]+")}$`)) };
}

const { fixed, holes } = literals();
function named(key: string): boolean {
  const plain = key.replace(/_(one|other)$/, "");
  const forms = [key, plain].flatMap((one) => (one.startsWith("shared:") ? [one, one.slice("shared:".length)] : [one]));
  return forms.some((one) => fixed.has(one) || holes.some((hole) => hole.test(one)));
}

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
      for (const name of names) {
        const table = read(locale, name);
        for (const path of leaves(table)) expect(String(path.split(".").reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], table)), `${locale}/${name}:${path}`).not.toBe("");
      }
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

  it("every key that exists is used", () => {
    const unused = [...known].filter((key) => !named(key));
    expect(unused).toEqual([]);
  });
});
