/** REST shapes of opened hours, the waiting line, messages to patients, triage and absences. */
import type { ConsultKind } from "@/shared/protocol";
import type { Label } from "./types";

export interface SlotPlace { number: number; starts_at: string; ends_at: string; free: boolean; consult_id?: string | null; patient?: string | null }
export interface Slot {
  id: string; doctor: { id: string; name: string }; department: string; department_label: Label; kind: ConsultKind; day: string;
  starts_at: string; ends_at: string; capacity: number; taken: number; state: "open" | "closed"; places: SlotPlace[];
}
export interface QueueRow {
  consult_id: string; seat: string; patient: { id: string; masked_name: string; age: number; gender: string };
  position: number; due_at: string; arrived_at: string; waited_minutes: number; present: boolean; online: boolean; ready: boolean;
  urgent: boolean; triaged: boolean; low_minutes: number; high_minutes: number;
}
export interface DoctorLine {
  doctor: { id: string; name: string }; department: string; department_label: Label; here: boolean; late_minutes: number;
  open_visits: number; low_minutes: number; high_minutes: number; samples: number; items: QueueRow[];
}
export interface Board { lines: DoctorLine[]; waiting: number; ready: number }
export interface Vitals {
  temperature?: number | null; pulse?: number | null; breaths?: number | null; systolic?: number | null;
  diastolic?: number | null; oxygen?: number | null; glucose?: number | null;
}
export interface TriageNote {
  id: string; nurse: string; complaint: string; vitals: Vitals; red_flags: string[]; advice: string; handover: string;
  urgent_reason: string; signed_at: string;
}
export interface AbsenceEvidence {
  booked_from: string; invited_at?: string | null; notice_state: string; reminders: number; link_opened_at?: string | null;
  device_checked_at?: string | null; waited: { since: string; until: string }[]; waits: boolean;
  doctor_inside: { since: string; until: string }[]; refused: Record<"patient" | "doctor", string | null>;
  recorded?: "patient" | "doctor" | null; recorded_at?: string | null;
}
export type NoticeState = "queued" | "sent" | "for_staff" | "dead" | "dropped";
export interface NoticeRow {
  id: string; consult_id: string; patient: string; staff?: string | null; staff_en?: string; kind: string; channel: string; locale: string; address_hint: string;
  state: NoticeState; attempts: number; queued_at: string; next_try_at?: string | null; settled_at?: string | null;
  last_code?: string | null; revealed_at?: string | null; held: boolean;
}
export interface LetterView { subject: string; text: string; address: string; url: string; qr_svg: string }

/** Vital signs: how each is typed, and by what it is multiplied to be a whole number. */
export const VITALS = [
  { name: "temperature", times: 10, min: 25, max: 45, step: 0.1 }, { name: "pulse", times: 1, min: 0, max: 300, step: 1 },
  { name: "breaths", times: 1, min: 0, max: 120, step: 1 }, { name: "systolic", times: 1, min: 0, max: 320, step: 1 },
  { name: "diastolic", times: 1, min: 0, max: 250, step: 1 }, { name: "oxygen", times: 1, min: 0, max: 100, step: 1 },
  { name: "glucose", times: 10, min: 0, max: 100, step: 0.1 },
] as const;
