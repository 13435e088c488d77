/** REST shapes of requests between institutions: the board, one request, the week, load, statistics. */
import type { ConsultKind, ConsultStatus } from "@/shared/protocol";
import type { PartyName, Tier } from "./party-types";
import type { Label } from "./types";

export type RequestState = "draft" | "sent" | "triaged" | "convened" | "declined" | "withdrawn" | "expired";
export type PartyState = "named" | "asked" | "proposed" | "accepted" | "refused" | "released" | "expired";
export type Side = "in" | "out";
export interface Doctor { id: string; name: string; name_en?: string; title?: string }
export interface RequestSeat { invitation: string; expert: Doctor; chair: boolean; state: "sent" | "accepted" | "refused" | "released"; sent_at: string; answered_at: string | null; refusal_reason: string | null }
export interface Proposal {
  id: string; party_id: string; kind: "time" | "stand_in"; state: "open" | "accepted" | "declined" | "void"; reason: string; made_at: string;
  starts_at: string | null; ends_at: string | null; expert: Doctor | null; stand_in: Doctor | null; answer_reason: string | null;
}
export interface Party {
  id: string; institution_id: string; institution: string; institution_en?: string; rank: number; state: PartyState; wished: Doctor[]; seats: RequestSeat[]; proposals: Proposal[];
  answered_at: string | null; reason: string | null; reason_code?: string | null;
}
export interface RequestRow {
  id: string; consult_id: string; kind: ConsultKind; consult_status: ConsultStatus; state: RequestState; mode: "direct" | "matched"; urgency: "routine" | "urgent";
  inviting_institution_id: string; inviting_institution: string; inviting_institution_en?: string; inviting_doctor: string; inviting_doctor_en?: string; wanted_department: string; department_label: Label; wanted_specialty: string;
  wanted_title: string; wanted_from: string; wanted_to: string; wanted: number; starts_at: string; ends_at: string; drafted_at: string; sent_at: string | null;
  answer_by: string | null; waiting_seconds: number; parties: Party[];
}
export interface RequestView extends RequestRow {
  reason: string; aim: string; summary: string; liability_mode: string; chair_id: string | null; digest: string | null;
  materials: { kind: string; id: string; sha256: string }[]; ended_at: string | null; end_reason: string | null; blocks: string[];
}
export interface Load { expert: Doctor; asked: number; accepted: number; minutes: number; chaired: number }
export interface WeekRow { ours: boolean; row: RequestRow }
export interface Suggested {
  expert_id: string; name: string; name_en: string; title: string; department_label?: Label | null; institution: PartyName; tier?: Tier | null;
  open_cases: number; obstacle?: string | null; unfit: string[];
}
export interface Match { items: Suggested[]; left_out: Suggested[]; unagreed: PartyName[]; titles: string[] }
/** Why one does not take part (clinic/rules HZ-19; a test compares). */
export const REFUSALS = ["no_time", "expert_away", "not_our_field", "materials_missing", "equipment", "conflict_of_interest", "other"] as const;
export const OUTCOMES = ["waiting", "accepted", "refused", "released", "expired"] as const;
export interface Tally { key: string; requests: number; urgent: number; outcomes: Record<(typeof OUTCOMES)[number], number>; answers: number; median_seconds: number | null; p90_seconds: number | null }
export interface Statistics {
  side: Side; states: Partial<Record<RequestState, number>>; whole: Tally; months: Tally[]; pairs: (Tally & { inviting: PartyName; invited: PartyName })[];
  reasons: { code: string; label: Label | null; count: number; said: { reason: string; count: number }[] }[];
}
