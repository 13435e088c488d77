/** Shapes of docs/protocol.md (version 1), as both pages and src/rtc read them. */

export type Locale = "zh" | "en";
export type Role =
  | "patient" | "guardian" | "family" | "interpreter"
  | "observer" | "declared" | "device"
  | "attending" | "inviting" | "expert" | "chair" | "nurse";
export type Source = "mic" | "camera" | "screen";
export type SeatState = "expected" | "waiting" | "admitted" | "left" | "removed";
export type ConsultKind = "follow_up" | "expert_consult" | "advice" | "remote_diagnosis" | "family_doctor";
/** Kinds with experts of another institution, led by the inviting doctor. */
export const isPanel = (kind: string): boolean => kind === "expert_consult" || kind === "remote_diagnosis";
export type ConsultStatus =
  | "scheduled" | "waiting" | "in_progress" | "concluding" | "closed"
  | "cancelled" | "no_show" | "terminated_unsuitable";
export type Purpose =
  | "treat" | "share_panel" | "rec_av" | "intimate" | "teach" | "observe" | "research"
  | "ai_transcribe" | "ai_assist" | "biometric" | "xborder";
export type Capacity = "self" | "guardian" | "proxy" | "relative";
export type CapacityBasis = "own" | "minor" | "self_supporting" | "incapacity" | "authorised" | "not_told";
export type ConsentAction = "signed" | "withdrawn" | "assented" | "witnessed" | "entered_in_error";
export type ConsentState = "active" | "withdrawn" | "expired" | "superseded" | "entered_in_error";
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
  consult: { id: string; kind: ConsultKind; status: ConsultStatus; starts_at: string; ends_at: string; opens_at: string; in_writing?: boolean; reason?: string };
  doctor: DoctorCard;
  institution: InstitutionCard;
  fee_cents: number;
  identity_confirmed: boolean;
  device_checked: boolean;
  consent: { complete: boolean; standing: Partial<Record<Purpose, Standing>>; again?: string[]; offline_visit?: boolean; reads?: string | null };
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
  sections: { key: string; title: string; body: string; check?: Comprehension | null }[];
  questions: { purpose: Purpose; question: string; if_refused: string; blocks_care: boolean }[];
  shown_sha256: string;
  signer: { expected_name_masked: string; capacity: "self" | "guardian"; child_must_assent?: boolean; may_be_self_supporting?: boolean };
  /** The person themself wished to decide anew what they refused; handed back when signing. */
  again?: boolean;
  /** Names of the institutions SHARE_PANEL is about. */
  shared_with?: string[];
  /** Languages this text can be had in, beyond those of the page. */
  locales?: string[];
  /** Section key or "question.<purpose>" → id of its sound; empty without a voice. */
  speech: Record<string, string>;
}

/** One question that shows whether a section was understood; a wrong answer is explained and never blocks. */
export interface Comprehension { question: string; options: string[]; right: number; explanation: string }

export interface ReadingEvidence {
  sections: SectionReading[];
  read_aloud: boolean;
  font_px: number;
  locale_switches?: { at_ms: number; locale: string }[];
  decided_ms?: Partial<Record<Purpose, number>>;
  answers?: number[];
}

export interface Signing {
  template_id: string;
  shown_sha256: string;
  locale: Locale;
  decisions: Partial<Record<Purpose, boolean>>;
  typed_name: string;
  signature: SignatureDrawing;
  reading: ReadingEvidence;
  capacity: Capacity;
  again?: boolean;
  relation?: string;
  child_assents?: boolean;
  child_name?: string;
  basis?: CapacityBasis;
  proof?: string;
  authorisation?: string;
}

/** One stroke is a list of [x, y, t_ms] in CSS pixels of the pad and milliseconds from the first touch. */
export type Stroke = [number, number, number][];

/** `method: "typed"` is the keyboard way: no strokes, the image shows the typed name. */
export interface SignatureDrawing { png: string; strokes: Stroke[]; method: "drawn" | "typed" }

export interface SectionReading {
  key: string; shown_ms?: number; dwell_ms: number; scrolled_percent: number; font_px?: number; read_aloud?: boolean; heard_ms?: number;
}

export interface AfterVisit {
  status: ConsultStatus;
  ended_at: string | null;
  note?: {
    complaint: string; findings: string; diagnosis: string; advice: string;
    signed_at: string | null; author: string;
  } | null;
  panel?: { conclusion: string; advice: string; treatment: string; signed_at: string; author: string } | null;
  consents: {
    id: string; action: ConsentAction; permitted: Purpose[]; refused: Purpose[];
    recorded_at: string; digest: string; title: string; state: ConsentState; paper: boolean;
  }[];
  viewers: { when: string; who_role: string; institution: string; what: string }[];
  institution: InstitutionCard;
  recording: { exists: boolean; state: string | null; kept_until?: string | null; disposed_at?: string | null };
  may_ask_hold: boolean;
  hold_requests: { id: string; reason: string; state: "asked" | "granted" | "refused"; asked_at: string; decision_reason: string }[];
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
  /** The seat at whose side a person of role "declared" is, and what they are. */
  declared_by?: string | null;
  kind?: string | null;
  /** Consents without which this person cannot be let in yet. */
  held?: string[];
}

/** The room of a panel; everybody is told all of it. */
export interface PanelView {
  quorum: { state: "before" | "held" | "grace" | "lapsed"; missing?: string[]; since?: string | null; until?: string | null };
  chair?: string | null;
  /** Who may take the chair now. */
  heirs?: string[];
  opened_at?: string | null;
  turns?: string[];
  word?: string | null;
  /** Raised hands, the first raised first. */
  hands?: string[];
  spotlight?: string | null;
  side?: SideRoomView | null;
  /** Who may start a side-room, or enter the one that is on. */
  side_open_to?: string[];
}

/** Experts talk among themselves: who, since when, who of them also hears the others. */
export interface SideRoomView { by: string; since: string; members: string[]; hearing?: string[]; inviting?: boolean }

/** Privacy pauses in force and the exam view, asked for or on. */
export interface PrivacyView {
  pauses?: { seat: string; role: string; since: string }[];
  exam?: { state: "asked" | "on" | "closing"; seat: string; since: string } | null;
  exam_declined?: boolean;
  ready?: boolean;
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
export interface QueuePlace {
  position: number; ahead: number; estimate_minutes: number | null;
  low_minutes?: number; high_minutes?: number; late_minutes?: number; near?: boolean; doctor_here?: boolean;
}
/** A line from the doctor or the nurse to those who wait. */
export interface WaitingWords { id: string; text: string; said_at: string }

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
  refused?: string[];
  privacy?: PrivacyView | null;
  words?: WaitingWords[];
  panel?: PanelView | null;
}

export type RoomEvent = { epoch: string; seq: number } & (
  | { type: "seat"; seat: SeatView }
  | { type: "consult"; status: ConsultStatus }
  | { type: "recording"; recording: RecordingView | null }
  | { type: "consent"; seat: string; standing: Partial<Record<Purpose, Standing>> }
  | { type: "privacy"; privacy: PrivacyView }
  | { type: "panel"; panel: PanelView }
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
  | ({ type: "waiting_words" } & WaitingWords)
  | { type: "admitted"; snapshot: Snapshot }
  | { type: "replaced" }
  | { type: "removed"; reason: string }
  | { type: "video_limited"; on: boolean }
  | { type: "admission"; allowed: boolean; reasons: string[] }
  | { type: "asked"; what: string; by: string }
  | { type: "me"; me: Me }
  | { type: "table"; epoch: string; version: number; seat: string; op: string; act: TableAct }
  | { type: "pointer"; seat: string; colour: string; instance: string; frame: number; x: number; y: number }
  | { type: "notice"; code: string };

/** One operation of the shared view of images; what does not belong to the kind is left out. */
export interface TableAct {
  kind: string; series?: string; at?: number; centre?: number; width?: number; zoom?: number; x?: number; y?: number;
  to?: string; on?: boolean; id?: string; measurement?: TableMeasurement;
}

export interface TableMeasurement {
  id: string; by: string; instance: string; frame: number; shape: string; points: number[][]; label?: string;
}

export interface AckError { ok: false; code: string; reasons?: string[]; seats?: string[]; field?: string }
export type Ack<T = unknown> = ({ ok: true } & T) | AckError;

export interface Demand { seat: string; source: Source; width: number; height: number }
