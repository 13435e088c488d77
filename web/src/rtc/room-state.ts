/** What a page knows of its room: a pure function of a snapshot and the events after it. */
import type {
  ChatMessage, DirectEvent, Me, PanelView, PrivacyView, QualityLevel, QueuePlace, RecordingView, RoomEvent, SeatView, Snapshot, WaitingWords,
} from "../shared/protocol";

export interface Quality {
  level: QualityLevel;
  reason: string | null;
  rtt_ms: number | null;
  loss_up: number | null;
  loss_down: number | null;
}

export interface RoomState {
  readonly consult: Snapshot["consult"];
  readonly me: Me;
  readonly seats: Readonly<Record<string, SeatView>>;
  readonly recording: RecordingView | null;
  readonly chat: readonly ChatMessage[];
  readonly speaker: string | null;
  readonly queue: QueuePlace | null;
  /** What speaks against the consult now, while people wait or a small child is seen: codes of `gate.*`. */
  readonly refused: readonly string[];
  /** What the waiting were told last, newest last. */
  readonly words: readonly WaitingWords[];
  readonly qualities: Readonly<Record<string, Quality>>;
  readonly videoLimited: boolean;
  readonly privacy: PrivacyView;
  /** The seat that asks me to end my privacy pause. */
  readonly askedBy: string | null;
  /** Chair, order, hands, side-room and quorum of a panel; null elsewhere. */
  readonly panel: PanelView | null;
  /** The chair who asks me to mute myself. */
  readonly muteAskedBy: string | null;
  /** Codes of the latest notices, newest last, at most 20. */
  readonly notices: readonly { id: number; code: string }[];
  readonly endedReason: string | null;
  /** Server's clock minus ours, ms. */
  readonly skew: number;
}

const MAX_CHAT = 500;
const MAX_NOTICES = 20;
const MAX_WORDS = 5;

/** `former` keeps what a snapshot does not carry: queue place, qualities, notices. */
export function fromSnapshot(snapshot: Snapshot, former: RoomState | null, nowMs: number): RoomState {
  const served = Date.parse(snapshot.server_time);
  return {
    consult: snapshot.consult,
    me: snapshot.me,
    seats: Object.fromEntries(snapshot.seats.map((seat) => [seat.id, seat])),
    recording: snapshot.recording,
    chat: snapshot.chat.slice(-MAX_CHAT),
    speaker: snapshot.speaker,
    queue: snapshot.queue ?? former?.queue ?? null,
    refused: snapshot.refused ?? [],
    words: snapshot.words ?? former?.words ?? [],
    qualities: former?.qualities ?? {},
    videoLimited: former?.videoLimited ?? false,
    privacy: snapshot.privacy ?? {},
    askedBy: null,
    panel: snapshot.panel ?? null,
    muteAskedBy: null,
    notices: former?.notices ?? [],
    endedReason: null,
    skew: Number.isNaN(served) ? 0 : served - nowMs,
  };
}

export function applyRoom(state: RoomState, event: RoomEvent): RoomState {
  switch (event.type) {
    case "seat":
      return { ...state, seats: { ...state.seats, [event.seat.id]: event.seat } };
    case "consult":
      return { ...state, consult: { ...state.consult, status: event.status } };
    case "recording":
      return { ...state, recording: event.recording };
    case "consent": {
      const seat = state.seats[event.seat];
      if (!seat) return state;
      return { ...state, seats: { ...state.seats, [seat.id]: { ...seat, consent: { ...seat.consent, ...event.standing } } } };
    }
    case "privacy":
      return { ...state, privacy: event.privacy, askedBy: event.privacy.pauses?.some((one) => one.seat === state.me.seat) ? state.askedBy : null };
    case "panel":
      return { ...state, panel: event.panel };
    case "chat":
      if (state.chat.some((message) => message.id === event.message.id)) return state;
      return { ...state, chat: [...state.chat, event.message].slice(-MAX_CHAT) };
    case "ended":
      return { ...state, endedReason: event.reason };
    default:
      return state; // a newer server's event
  }
}

function queueOf({ type: _type, ...place }: { type: "queue" } & QueuePlace): QueuePlace {
  return place;
}

export function applyDirect(state: RoomState, event: DirectEvent): RoomState {
  switch (event.type) {
    case "speaker":
      return { ...state, speaker: event.seat };
    case "quality": {
      const quality: Quality = {
        level: event.level, reason: event.reason ?? null, rtt_ms: event.rtt_ms ?? null,
        loss_up: event.loss_up ?? null, loss_down: event.loss_down ?? null,
      };
      return { ...state, qualities: { ...state.qualities, [event.seat]: quality } };
    }
    case "queue":
      return { ...state, queue: queueOf(event) };
    case "waiting_words":
      if (state.words.some((one) => one.id === event.id)) return state;
      return { ...state, words: [...state.words, { id: event.id, text: event.text, said_at: event.said_at }].slice(-MAX_WORDS) };
    case "admission":
      return { ...state, refused: event.reasons };
    case "video_limited":
      return { ...state, videoLimited: event.on };
    case "asked":
      return event.what === "mute" ? { ...state, muteAskedBy: event.by } : { ...state, askedBy: event.by };
    case "me":
      return { ...state, me: event.me };
    case "notice": {
      const id = (state.notices.at(-1)?.id ?? 0) + 1;
      return { ...state, notices: [...state.notices, { id, code: event.code }].slice(-MAX_NOTICES) };
    }
    default:
      return state;
  }
}

export const mySeat = (state: RoomState | null): SeatView | null => state?.seats[state.me.seat] ?? null;
export const admitted = (state: RoomState | null): boolean => mySeat(state)?.state === "admitted";

/** Whether a picture of this seat is to be expected: a stopped screen or camera stays published, but muted. */
export const shows = (seat: SeatView, source: "camera" | "screen"): boolean => seat.publishing.includes(source) && !seat.muted.includes(source);

/** Whether this seat is in the experts' side-room. */
export const isAside = (state: RoomState | null, seat: string): boolean => state?.panel?.side?.members.includes(seat) ?? false;
/** Neither seen nor heard by me: they are aside and I am not. */
export const awayAside = (state: RoomState, seat: string): boolean => isAside(state, seat) && !isAside(state, state.me.seat);

/** Everybody else who is in the room, doctors first, in a stable order. */
export function others(state: RoomState): SeatView[] {
  const rank: Record<string, number> = { attending: 0, inviting: 1, chair: 2, expert: 3, nurse: 4, patient: 5 };
  return Object.values(state.seats)
    .filter((seat) => seat.id !== state.me.seat && seat.state === "admitted" && seat.role !== "declared") // no picture of their own
    .sort((a, b) => (rank[a.role] ?? 9) - (rank[b.role] ?? 9) || (a.id < b.id ? -1 : 1));
}
