/** REST shapes of docs/protocol.md that only the console reads. */
import type {
  ConsultKind, ConsultStatus, Purpose, RecordingState, Role as SeatRole, SeatLink, SeatView, Standing,
} from "@/shared/protocol";

import type { Outcome } from "./outcome-types";
import type { Advice, HoldRequest } from "./policy-types";

export type Role = SeatRole | "archivist" | "approver" | "regulator" | "auditor" | "admin" | "coordinator";
export interface Items<T> { items: T[] }
export interface Label { zh: string; en: string }

export interface Me {
  staff: { id: string; name: string; name_en: string; title: string; roles: Role[]; department: string | null };
  institution: { id: string; name: string; name_en: string; short_name: string; phone: string; time_zone: string };
  csrf: string;
  step_up_until?: string | null;
}

export interface ConsultRow {
  id: string; kind: ConsultKind; status: ConsultStatus; starts_at: string; ends_at: string;
  patient: { id: string; masked_name: string; age: number; gender: string };
  doctor: { id: string; name: string };
  department: string; department_label: Label; reason: string;
  waiting: { seat: string; role: SeatRole; display_name: string; since: string; minutes: number }[];
  consent: Partial<Record<Purpose, Standing>>;
  /** The patient's last act of consent. */
  consent_last?: { at: string; action: "signed" | "withdrawn"; capacity: string } | null;
  evidence_count: number;
  recording?: { id: string; state: RecordingState } | null;
  needs: string[];
}

export interface InvitationRow {
  id: string; consult_id: string; state: "sent" | "accepted" | "refused"; chair: boolean;
  expert: { id: string; name: string }; institution: string; inviting_institution: string; inviting_institution_en?: string; inviting_doctor: string; inviting_doctor_en?: string;
  reason: string; aim: string; summary: string; wanted_specialty: string;
  starts_at: string; ends_at: string; sent_at: string; answered_at?: string | null; refusal_reason?: string | null;
}

export interface Today { items: ConsultRow[]; waiting: number; invitations: InvitationRow[] }

export interface Evidence {
  id: string; department: string; department_label: Label; visited_on: string; visited_institution: string;
  diagnosis: string; reference: string; added_at: string;
}
export interface NewEvidence {
  department: string; visited_on: string; visited_institution: string; diagnosis: string; reference: string;
}
export interface ConsentView {
  id: string; seat: string; action: "signed" | "withdrawn" | "assented" | "witnessed" | "entered_in_error"; permitted: Purpose[]; refused: Purpose[];
  capacity: string; locale: string; recorded_at: string; digest: string; signer: string; paper: boolean;
}
export interface CompanionView {
  seat: string; present: boolean; name: string; relation: string; in_call: boolean; permits_recording: boolean | null; recorded_at: string;
}
export interface Admission {
  allowed: boolean; rules_version: string; evidence_read: string[];
  reasons: { code: string; rule: string; citation: Label }[];
}
export interface Gate {
  rule: string; state: "passed" | "failed" | "relaxed" | "later"; codes: string[]; text: Label; citation: Label;
  values: { name: string; value: number; layer: string }[]; read: string[]; notice: string | null;
}
export interface Explained {
  allowed: boolean; stage: string; rules_version: string; layers: { version: string; kind: string; title: Label }[]; gates: Gate[];
}
export interface AttestationView {
  evidence: string; diagnosis: string; visited_on: string; visited_institution: string; doctor: string; signed_at: string;
}
export interface Filing { id: string; kind: "registered" | "filed"; number: string; valid_from: string; valid_to: string | null; revoked_at: string | null }
export interface Shift { id: string; department: string; department_label: Label; starts_at: string; ends_at: string; cancelled_at: string | null }
export interface Guardian { id: string; name: string; relation: string; proof: string; reference: string; ended_at: string | null }
export interface Agreement { id: string; doctor: string; number: string; signed_on: string; valid_to: string; ended_at: string | null }
export interface Note {
  complaint: string; findings: string; diagnosis: string; advice: string;
  author: string; updated_at: string; signed_at?: string | null;
}
export interface CaseView {
  id: string; invited_institution: string; invited_institution_id: string; reason: string; aim: string; summary: string;
  wanted_specialty: string; liability_mode: string; requested_at: string;
}
export interface OpinionView {
  id: string; expert: { id: string; name: string }; institution: string; title: string; department_label?: Label | null; chair: boolean;
  state: "draft" | "signed" | "waiting" | "returned"; text: string; dissent: boolean; updated_at: string; signed_at?: string | null;
}
export interface DecisionView {
  adoption: "adopt" | "partly" | "not" | "none"; reason: string; treatment: string; doctor: string;
  updated_at: string; signed_at?: string | null;
}
export interface ConsultDetail extends ConsultRow {
  patient: ConsultRow["patient"] & {
    name?: string | null; masked_id?: string | null; birth_date?: string | null;
    phone_masked?: string | null; identity_level?: number | null;
  };
  evidence: Evidence[]; seats: SeatView[]; consents: ConsentView[]; companions: CompanionView[]; admission: Admission;
  note?: Note | null; case?: CaseView | null; invitations: InvitationRow[]; opinions: OpinionView[];
  decision?: DecisionView | null; outcome?: Outcome | null; timeline: { t: string; code: string; who: string; outcome: string }[];
  fee_cents: number; institution: string; my_seat?: string | null;
  attestation?: AttestationView | null; whereabouts_told: boolean; may: string[]; needs_attestation: boolean;
  termination_advices: Advice[]; hold_requests: HoldRequest[];
  written?: { asked_at: string; due_at: string; begun_at: string | null } | null;
}
export interface SeatAdded { seat: string; link: SeatLink }

export interface InstitutionEntry { id: string; name: string; name_en: string; short_name: string }
export interface DoctorEntry {
  id: string; name: string; name_en: string; title: string; department: string | null;
  department_label: Label | null; roles: Role[];
}
export interface DepartmentEntry { code: string; label: Label }

// ---- archive --------------------------------------------------------------------------------------------------

export interface RecordingRow {
  recording_id: string; consult_id: string; kind: ConsultKind; department: string; doctor: string; patient_masked: string;
  started_at: string | null; duration_ms: number; state: RecordingState;
  retained: { record_id: string | null; state: string; due_on: string | null; policy_version: string; held: boolean } | null;
  people: number; segments: number; access: "none" | "requested" | "granted" | "refused"; access_expires_at?: string | null;
}
export interface AccessRequest {
  id: string; recording_id: string; consult_id: string; requester: string; reason: string;
  state: "requested" | "granted" | "refused" | "revoked"; requested_at: string; decided_by?: string | null;
  decided_at?: string | null; decision_reason?: string | null; expires_at?: string | null;
}
export interface Hold {
  id: string; consult_id: string; reason: string; placed_by: string; placed_at: string;
  lifted_by?: string | null; lifted_at?: string | null;
}
export interface Disposal {
  id: string; state: "proposed" | "purging" | "done" | "refused"; record_ids: string[]; records: Record<string, unknown>[];
  list_sha256: string; reason: string; proposed_by: string; proposed_at: string; approvals: Record<string, string>[];
  approvals_needed: number; refused_by?: string | null; done_at?: string | null;
}
export interface RecordingEntry extends RecordingRow {
  access_requests: AccessRequest[]; holds: Hold[]; disposal?: Disposal | null;
}
export interface ManifestSegment {
  id: string; number: number; start_ms: number; duration_ms: number; mime: string; size: number; url: string;
}
export interface Manifest {
  view_id: string | null; recording_id: string; started_at: string | null; duration_ms: number;
  people: { seat: string; role: SeatRole; display_name: string }[];
  tracks: { seat: string; track: "av" | "screen"; segments: ManifestSegment[] }[];
  gaps: { seat?: string | null; cause: string; start_ms: number; end_ms: number | null }[];
  timeline: { t_ms: number; code: string; seat?: string | null; text_code: string; params: Record<string, unknown> }[];
  chat: { t_ms: number; seat: string; text: string }[];
  viewed_by: { when: string; who: string }[];
  destroyed?: { when: string; by: string[]; certificate_id: string } | null;
}
export interface DueRow {
  record_id: string; record_class: string; consult_id: string; due_on: string; why: string[]; citations: string[];
  blocked_by: string[]; state: string;
}
export interface AuditRow {
  seq: number; id: string; t: string; code: string; consult_id: string | null; actor: string; who: string;
  subject: string | null; outcome: string; public: Record<string, unknown>; private?: Record<string, unknown> | null;
}
export interface VerifyAnswer {
  ok: boolean; findings: { code: string; where: string; what: string }[]; counts: Record<string, number>;
}

// ---- administration -------------------------------------------------------------------------------------------

export interface StaffView {
  id: string; login: string; name: string; name_en: string; title: string; roles: Role[]; department: string | null;
  state: "active" | "disabled"; licence_number: string | null; licence_valid_to: string | null; practice_scope: string[];
  independent_since: string | null; verified_until: string | null; requires_countersign: boolean; created_at: string;
}
export interface PatientView {
  id: string; name: string; name_en: string; birth_date: string; gender: string; masked_id: string; phone_masked: string;
  identity_level: number; created_at: string;
}
export interface InstitutionView {
  id: string; name: string; name_en: string; short_name: string; licence_number: string; licence_valid_to: string;
  departments: string[]; time_zone: string; phone: string; recording_basis: "consent" | "legal_duty"; province: string | null;
}
