/** REST shapes of the parties: directory, cooperation agreements, matching. */
import type { ConsultKind } from "@/shared/protocol";
import type { DepartmentEntry, Label } from "./types";

export const TIERS = ["province", "city", "county", "township"] as const;
export type Tier = (typeof TIERS)[number];
export const PANEL_KINDS = ["expert_consult", "remote_diagnosis"] as const satisfies readonly ConsultKind[];
export const LIABILITIES = ["by_kind", "inviting", "shared"] as const;

export interface PartyName { id: string; name: string; name_en: string }
export interface PartyRow extends PartyName {
  short_name: string; own: boolean; entered: boolean; we_may_ask: boolean; may_ask_us: boolean;
  tier?: Tier | null; region: string; province?: Label | null; departments: DepartmentEntry[];
  accepts: boolean; contact_name: string; contact_phone: string; note: string; changed_at?: string | null;
}
export interface Directory { items: PartyRow[]; offered: DepartmentEntry[]; may_edit: boolean }

export type AgreementState = "draft" | "offered" | "sealed" | "declined" | "ended";
export interface AgreementRow {
  id: string; series_id: string; version: number; number: string; inviting: PartyName; invited: PartyName; ours: boolean;
  kinds: ConsultKind[]; valid_from: string; valid_to: string; state: AgreementState; in_force: boolean;
  days_left?: number | null; ending_soon: boolean; replaced_on?: string | null; ended_on?: string | null; changed_at: string;
  may_seal: boolean; may_edit: boolean; may_drop: boolean; may_end: boolean;
}
export interface Agreements { items: AgreementRow[]; longest_years: number; may_draft: boolean }
export interface AgreementView {
  row: AgreementRow; purpose: string; content: string; liability: (typeof LIABILITIES)[number]; liability_text: string;
  fee_split: string; seals: { institution: PartyName; who: string; at: string; digest: string }[]; sha256: string;
  ended_by?: string | null; end_reason: string;
}
