/** Shapes of a consult's outcome (docs/protocol.md), as the console reads them. */
import type { Hold } from "./types";

export interface Signer { name: string; title: string; department: string; institution: string }
export interface Referral {
  id: string; consult_id: string; number: string; direction: "out" | "back"; from_institution: string; to_institution: string;
  incoming: boolean; reason: string; state: "issued" | "accepted" | "declined" | "arrived" | "withdrawn"; issued_at: string;
  remark: string; answered: boolean;
}
export interface Task {
  id: string; consult_id: string; what: string; due_on: string; overdue: boolean; state: "open" | "done" | "dropped";
  set_by: string; done_by: string; done_at?: string | null; remark: string;
}
export interface Copy {
  id: string; consult_id: string; institution: string; inviting_institution: string; state: "due" | "sealed";
  ordered_at: string; sealed_at?: string | null; size: number; sha256: string;
}
/** As the archive of its institution sees it: `retained` begins with the sealing. */
export interface KeptCopy extends Copy {
  retained?: { state: string; due_on?: string | null; held: boolean } | null; holds: Hold[];
}
export interface Owed {
  expert: string; expert_id: string; institution: string; due_at?: string | null; late: boolean; reminders: number;
  stand_in: string; handed_at?: string | null;
}
export interface Outcome {
  missing: ("opinion" | "countersign" | "report" | "decision")[];
  report?: { conclusion: string; advice: string; chair: string; updated_at: string; signed_at?: string | null; author?: Signer | null } | null;
  marks: { expert: Signer; agrees: boolean; remark: string; signed_at: string }[];
  countersignatures: { opinion: string; senior: Signer; agrees: boolean; remark: string; signed_at: string }[];
  owed: Owed[]; released: string[]; referrals: Referral[]; tasks: Task[];
  paper?: { code: string; sha256: string; made_at: string } | null;
  copies: Copy[]; may: string[];
  /** Ended before it could close: why in words, and whether there is anything to print. */
  ended?: { at: string; said: { zh: string; en: string }; paper: boolean } | null;
}
export interface ToCountersign {
  opinion: string; consult_id: string; author: Signer; inviting_institution: string; reason: string; summary: string;
  text: string; dissent: boolean; signed_at: string;
}
export interface PaperCheck {
  known: boolean; code: string; institution: string; institution_en: string; kind: string; made_at?: string | null;
  document_sha256: string; pdf_sha256: string; sealed: boolean;
}
