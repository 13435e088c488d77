/** Person × purpose, folded from the acts the server lists: pure, the newest act that speaks of a purpose decides. */
import type { Purpose, SeatView, Standing } from "@/shared/protocol";
import type { CompanionView, ConsentView } from "../types";

const STAFF = ["attending", "inviting", "expert", "chair", "nurse"];

export interface Cell { standing: Standing | "notAsked" | "notice"; at: string | null; by: string; how: string }
export interface Row {
  seat: string; name: string; role: string; helper: CompanionView | null;
  cells: Partial<Record<Purpose, Cell>>;
}
export interface Matrix { purposes: Purpose[]; rows: Row[] }

export interface Source {
  seats: readonly SeatView[]; consents: readonly ConsentView[]; companions: readonly CompanionView[];
}

export function matrixOf(source: Source): Matrix {
  const people = source.seats.filter((seat) => seat.state !== "removed" && seat.role !== ("device" as string));
  const purposes = [...new Set(people.flatMap((seat) => Object.keys(seat.consent) as Purpose[]))];
  const asked = purposes.filter((purpose) => people.some((seat) => !STAFF.includes(seat.role) && seat.consent[purpose] != null));
  return { purposes: asked, rows: people.map((seat) => rowOf(seat, asked, source)) };
}

function rowOf(seat: SeatView, purposes: readonly Purpose[], source: Source): Row {
  const helper = source.companions.find((one) => one.seat === seat.id && one.present) ?? null;
  const cells = Object.fromEntries(purposes.map((purpose) => [purpose, cellOf(seat, purpose, source.consents)]));
  return { seat: seat.id, name: seat.display_name, role: seat.role, helper, cells };
}

function cellOf(seat: SeatView, purpose: Purpose, acts: readonly ConsentView[]): Cell {
  const standing = seat.consent[purpose]; // null in REST answers: not asked
  if (standing == null) return { standing: "notAsked", at: null, by: "", how: "" };
  const act = [...acts].reverse().find((one) => one.seat === seat.id && (one.permitted.includes(purpose) || one.refused.includes(purpose)));
  if (!act && STAFF.includes(seat.role)) return { standing: "notice", at: null, by: "", how: "" }; // the standing notice
  if (!act) return { standing, at: null, by: "", how: "" };
  return { standing, at: act.recorded_at, by: act.signer || seat.display_name, how: act.action === "withdrawn" ? "withdrew" : act.capacity };
}

/** What one person's row comes to, in one word and a number. */
export function summaryOf(standings: readonly (Standing | "notAsked" | undefined)[]): { tone: "good" | "warn" | "bad"; kind: "all" | "some" | "no"; count: number } {
  const no = standings.filter((one) => one === "refused" || one === "withdrawn").length;
  const open = standings.filter((one) => one === "undecided" || one === undefined).length;
  if (no) return { tone: "bad", kind: "no", count: no };
  return open ? { tone: "warn", kind: "some", count: open } : { tone: "good", kind: "all", count: 0 };
}

/** Records that could still be marked as entered in error: the newest that speak of a purpose, and not marked already. */
export function correctable(acts: readonly ConsentView[]): string[] {
  const spoken = new Set<string>();
  const open: string[] = [];
  for (const act of [...acts].reverse()) {
    const about = [...act.permitted, ...act.refused].map((purpose) => `${act.seat}/${purpose}`);
    const newest = about.some((one) => !spoken.has(one));
    about.forEach((one) => spoken.add(one));
    if (newest && ["signed", "withdrawn"].includes(act.action) && act.capacity !== "staff_notice") open.push(act.id);
  }
  return open;
}
