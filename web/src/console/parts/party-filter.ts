/** What of the directory is shown: words, tier, province, department, who takes requests, with whom there is an agreement. */
import type { PartyRow, Tier } from "../party-types";

export interface PartyFilter { words: string; tier: Tier | ""; province: string; department: string; accepting: boolean; agreed: boolean }

export const everything = (): PartyFilter => ({ words: "", tier: "", province: "", department: "", accepting: false, agreed: false });

/** Every word typed stands somewhere in the row. */
function said(row: PartyRow, words: string): boolean {
  const text = [row.name, row.name_en, row.short_name, row.region, row.contact_name, row.province?.zh, row.province?.en, ...row.departments.flatMap((one) => [one.label.zh, one.label.en])]
    .join(" ").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** A department counts for its parts: who offers 03 (内科) is found by 03.04. */
export const offers = (row: PartyRow, code: string): boolean => row.departments.some((one) => one.code === code || code.startsWith(`${one.code}.`));

export function matching(rows: readonly PartyRow[], filter: PartyFilter): PartyRow[] {
  return rows.filter((row) =>
    said(row, filter.words.trim()) && (filter.tier === "" || row.tier === filter.tier) && (filter.province === "" || row.region.slice(0, 2) === filter.province) &&
    (filter.department === "" || offers(row, filter.department)) && (!filter.accepting || row.accepts) && (!filter.agreed || row.we_may_ask || row.may_ask_us));
}

/** Code and label of each, once, in the order of the codes. */
export function choices<T>(rows: readonly PartyRow[], of: (row: PartyRow) => readonly (readonly [string, T])[]): { code: string; label: T }[] {
  const found = new Map(rows.flatMap((row) => [...of(row)]));
  return [...found].map(([code, label]) => ({ code, label })).sort((a, b) => a.code.localeCompare(b.code));
}
