/** In which column of the board a request stands, seen from the house that asks or from the one that is asked. */
import type { Party, RequestRow, Side } from "../request-types";

export const COLUMNS = { in: ["assign", "answer", "proposed", "taking", "over"], out: ["draft", "decide", "waiting", "convened", "over"] } as const satisfies Record<Side, readonly string[]>;
export type Column = (typeof COLUMNS)[Side][number];

const LIVE = ["sent", "accepted"];

/** The own party of a request that came in; the invited house is told of no other. */
export const ownParty = (row: RequestRow): Party | null => row.parties[0] ?? null;
export const assigned = (party: Party): boolean => party.seats.some((seat) => LIVE.includes(seat.state));
export const openProposals = (row: RequestRow): { party: Party; id: string }[] =>
  row.parties.flatMap((party) => party.proposals.filter((one) => one.state === "open").map((one) => ({ party, id: one.id })));

export function columnOf(row: RequestRow, side: Side): Column {
  if (side === "out") {
    if (row.state === "draft") return "draft";
    if (openProposals(row).length > 0) return "decide";
    if (row.state === "sent" || row.state === "triaged") return "waiting";
    return row.state === "convened" ? "convened" : "over";
  }
  const party = ownParty(row);
  if (party?.state === "asked") return assigned(party) ? "answer" : "assign";
  if (party?.state === "proposed") return "proposed";
  return party?.state === "accepted" && !["withdrawn", "declined", "expired"].includes(row.state) ? "taking" : "over";
}

/** Minutes until the answer is due; negative when it is over; null when nothing is awaited. */
export function minutesLeft(row: RequestRow, now: number): number | null {
  if (!row.answer_by || !["sent", "triaged"].includes(row.state)) return null;
  return Math.floor((Date.parse(row.answer_by) - now) / 60_000);
}

/** 95 → "1 h 35 min" in the words given. */
export function span(minutes: number, words: (key: string, params: Record<string, unknown>) => string): string {
  const whole = Math.max(0, Math.round(minutes));
  const [days, hours, rest] = [Math.floor(whole / 1440), Math.floor((whole % 1440) / 60), whole % 60];
  if (days > 0) return words("requests:span.days", { days, hours });
  return hours > 0 ? words("requests:span.hours", { hours, minutes: rest }) : words("requests:span.minutes", { minutes: rest });
}
