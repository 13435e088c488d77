/** Shapes of docs/protocol.md (version 1), as both pages and src/rtc read them. */

export type Locale = "zh" | "en";
export type Role =
  | "patient" | "guardian" | "family" | "interpreter"
  | "attending" | "inviting" | "expert" | "chair" | "nurse";
export type Source = "mic" | "camera" | "screen";
export type SeatState = "expected" | "waiting" | "admitted" | "left" | "removed";
export type ConsultKind = "follow_up" | "expert_consult";
export type ConsultStatus =
  | "scheduled" | "waiting" | "in_progress" | "concluding" | "closed"
  | "cancelled" | "no_show" | "terminated_unsuitable";
export type Purpose = "treat" | "share_panel" | "rec_av";
export type Standing = "permitted" | "refused" | "withdrawn" | "undecided";
export type QualityLevel = "good" | "fair" | "poor" | "lost";
export type RecordingState = "requested" | "active" | "paused" | "finalizing" | "sealed" | "failed";

// ---- REST, patient page -------------------------------------------------------------------------------------

export interface InstitutionCard { id: string; name: string; name_en: string; phone: string; time_zone?: string }

export interface DoctorCard {
  name: string;
  name_en: string;
  title: string;
  licence_number: string | null;
  department: string | null;
  department_label: { zh: string; en: string };
}

export interface SeatOverview {
  seat: { id: string; role: Role; display_name: string; state: SeatState; relation?: string | null };
  patient: { masked_name: string };
  consult: { id: string; kind: ConsultKind; status: ConsultStatus; starts_at: string; ends_at: string; reason?: string };
  doctor: DoctorCard;
  institution: InstitutionCard;
  fee_cents: number;
  identity_confirmed: boolean;
  device_checked: boolean;
  consent: { complete: boolean; standing: Partial<Record<Purpose, Standing>> };
  /** Who helps at this device. */
  helper?: Aide | null;
  csrf: string;
  server_time: string;
}

export interface Aide { name: string; relation: string; in_call: boolean; permits_recording: boolean | null }

export type DeviceVerdict = "ok" | "missing" | "denied" | "busy";
export type NetworkVerdict = "good" | "fair" | "poor";

export interface DeviceCheck {
  camera: DeviceVerdict;
  microphone: DeviceVerdict;
  speaker: "ok" | "unknown";
  network: NetworkVerdict;
  rtt_ms: number;
  kbps: number;
}

export interface Presentation {
  template_id: string;
  key: string;
  version: number;
  locale: Locale;
  title: string;
  sections: { key: string; title: string; body: string }[];
  questions: { purpose: Purpose; question: string; if_refused: string; blocks_care: boolean }[];
  shown_sha256: string;
  signer: { expected_name_masked: string; capacity: "self" | "guardian"; child_must_assent?: boolean };
  /** Names of the institutions SHARE_PANEL is about. */
  shared_with?: string[];
  /** Section key or "question.<purpose>" → id of its sound; empty without a voice. */
  speech: Record<string, string>;
}

export interface Signing {
  template_id: string;
  shown_sha256: string;
  locale: Locale;
  decisions: Partial<Record<Purpose, boolean>>;
  typed_name: string;
  signature: SignatureDrawing;
  reading: { sections: SectionReading[]; read_aloud: boolean; font_px: number };
  capacity: "self" | "guardian";
  relation?: string;
  child_assents?: boolean;
}

/** One stroke is a list of [x, y, t_ms] in CSS pixels of the pad and milliseconds from the first touch. */
export type Stroke = [number, number, number][];

/** `method: "typed"` is the keyboard way: no strokes, the image shows the typed name. */
export interface SignatureDrawing { png: string; strokes: Stroke[]; method: "drawn" | "typed" }

export interface SectionReading { key: string; dwell_ms: number; scrolled_percent: number; heard_ms?: number }

export interface AfterVisit {
  status: ConsultStatus;
  ended_at: string | null;
  note?: {
    complaint: string; findings: string; diagnosis: string; advice: string;
    signed_at: string | null; author: string;
  } | null;
  consents: {
    id: string; action: "signed" | "withdrawn"; permitted: Purpose[]; refused: Purpose[];
    recorded_at: string; digest: string; title: string;
  }[];
  viewers: { when: string; who_role: string; institution: string; what: string }[];
  institution: InstitutionCard;
  recording: { exists: boolean; state: string | null; kept_until?: string | null; disposed_at?: string | null };
}

export interface SeatLink { url: string; qr_svg: string; expires_at: string; code?: string | null }

// ---- Socket -------------------------------------------------------------------------------------------------

export interface SeatView {
  id: string;
  role: Role;
  display_name: string;
  institution?: string | null;
  state: SeatState;
  online: boolean;
  publishing: Source[];
  muted: Source[];
  hand: boolean;
  quality?: QualityLevel | null;
  consent: Partial<Record<Purpose, Standing>>;
  recorded: boolean;
  helper?: Aide | null;
  waiting_since?: string | null;
}

export interface RecordingView {
  id: string;
  state: RecordingState;
  reason?: string | null;
  waiting_for: string[];
  started_at?: string | null;
  /** Seat whose spoken agreement is being asked for. */
  asking?: string | null;
  /** Seats whose spoken agreement is marked in it. */
  spoken?: string[];
}

export interface ChatMessage { id: string; seat: string; text: string; sent_at: string }
export interface QueuePlace { position: number; ahead: number; estimate_minutes: number | null }

export interface Me { seat: string; role: Role; may: string[]; publish: Source[] }

export interface Snapshot {
  epoch: string;
  seq: number;
  consult: { id: string; kind: ConsultKind; status: ConsultStatus; starts_at: string; ends_at: string };
  me: Me;
  seats: SeatView[];
  recording: RecordingView | null;
  chat: ChatMessage[];
  speaker: string | null;
  server_time: string;
  queue?: QueuePlace | null;
}

export type RoomEvent = { epoch: string; seq: number } & (
  | { type: "seat"; seat: SeatView }
  | { type: "consult"; status: ConsultStatus }
  | { type: "recording"; recording: RecordingView | null }
  | { type: "consent"; seat: string; standing: Partial<Record<Purpose, Standing>> }
  | { type: "chat"; message: ChatMessage }
  | { type: "ended"; reason: string }
);

export interface Slot { mid: string; seat: string | null; source: Source | null }

export type DirectEvent =
  | { type: "slots"; slots: Slot[] }
  | { type: "pool"; audio: number; video: number }
  | { type: "speaker"; seat: string | null }
  | {
      type: "quality"; seat: string; level: QualityLevel; reason?: string | null;
      rtt_ms?: number | null; loss_up?: number | null; loss_down?: number | null;
    }
  | ({ type: "queue" } & QueuePlace)
  | { type: "admitted"; snapshot: Snapshot }
  | { type: "replaced" }
  | { type: "removed"; reason: string }
  | { type: "video_limited"; on: boolean }
  | { type: "notice"; code: string };

export interface AckError { ok: false; code: string; reasons?: string[]; seats?: string[]; field?: string }
export type Ack<T = unknown> = ({ ok: true } & T) | AckError;

export interface Demand { seat: string; source: Source; width: number; height: number }
