/** REST shapes of holds asked for, advice to stop, the regulator's cases and the house's policies. */
import type { ConsultKind, ConsultStatus, Role as SeatRole } from "@/shared/protocol";
import type { Label } from "./types";

export type Scope = "chart" | "recording" | "audit";
export interface HoldRequest {
  id: string; consult_id: string; asked_as: string; who: string; reason: string; state: "asked" | "granted" | "refused";
  asked_at: string; decided_by?: string | null; decided_at?: string | null; decision_reason: string; hold_id?: string | null;
}
export interface Advice { id: string; seat: string; role: SeatRole; who: string; reason_code: string; text: string; advised_at: string }
export interface RegulatorCase {
  id: string; number: string; authority: string; regulator: string; reason: string; scope: Scope[]; since: string; until: string;
  consult_ids: string[]; state: "asked" | "open" | "refused" | "closed"; live: boolean; asked_at: string; ends_at: string;
  decided_by?: string | null; decided_at?: string | null; decision_reason: string; closed_by?: string | null; closed_at?: string | null;
}
export interface Cases { items: RegulatorCase[]; limits: { longest_days: number; shortest_reason: number } }
export interface CaseVisit {
  consult_id: string; kind: ConsultKind; status: ConsultStatus; starts_at: string; doctor: string; patient_masked: string;
  department_label: Label; recordings: string[];
}
export interface CaseVisits { case: RegulatorCase; items: CaseVisit[] }
export interface PolicyRow {
  name: string; value: string; source: "house" | "installation" | "rules"; default: string | null;
  options: { value: string; allowed: boolean }[];
}
export interface Policies {
  number: number; items: PolicyRow[]; rule: string; layer: string; text: Label; citation: Label;
  history: { number: number; values: Record<string, string>; reason: string; who: string; set_at: string }[];
}
