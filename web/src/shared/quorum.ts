/** Who is missing for a quorum, by name where somebody was there or is expected; never the same person twice. */
import type { PanelView, SeatView } from "./protocol";

export interface Missing { what: "chair" | "experts" | "inviting"; names: string[] }

export function missingOf(panel: PanelView, seats: Iterable<SeatView>): Missing[] {
  const codes = panel.quorum.missing ?? [];
  const all = [...seats];
  const gone = (seat: SeatView): boolean => seat.state === "admitted" && !seat.online;
  const absent = (seat: SeatView): boolean => gone(seat) || seat.state === "left" || seat.state === "expected";
  const found: Missing[] = [];
  const named = new Set<string>();
  const add = (what: Missing["what"], roles: string[]): void => {
    const them = all.filter((seat) => roles.includes(seat.role) && !named.has(seat.id) && (what !== "chair" || !panel.chair || seat.id === panel.chair));
    const lost = them.filter(gone);
    const names = (lost.length ? lost : them.filter(absent)).map((seat) => { named.add(seat.id); return seat.display_name; });
    if (names.length || what !== "experts" || !found.some((one) => one.what === "chair")) found.push({ what, names });
  };
  if (codes.includes("gate.quorum_chair")) add("chair", ["chair", "inviting"]);
  if (codes.includes("gate.quorum_experts")) add("experts", ["expert", "chair"]);
  if (codes.includes("gate.quorum_inviting")) add("inviting", ["inviting"]);
  return found;
}

/** The patient no longer shares with the invited institutions: nobody is waited for. */
export const unshared = (seats: Iterable<SeatView>): boolean => [...seats].some((seat) => seat.role === "patient" && seat.consent.share_panel === "withdrawn");
