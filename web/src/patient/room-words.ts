/** What the room says in words: one sentence about the picture, one about ourselves. */
import type { CallState } from "@/rtc/call";
import type { RemoteTrack } from "@/rtc/peer";
import { awayAside, others, shows, type RoomState } from "@/rtc/room-state";
import type { Words } from "@/shared/i18n";
import type { SeatView, Source } from "@/shared/protocol";

export interface Main { seat: SeatView; source: Extract<Source, "camera" | "screen"> }

const DOCTORS = new Set(["attending", "inviting", "chair", "expert"]);

/** Whom to show large: whom the chair shows everybody, a shared screen, the doctor of a visit, who speaks in a panel, then
 * anybody. Experts who talk apart are not seen now. */
export function mainPicture(room: RoomState): Main | null {
  const present = others(room);
  const seen = present.filter((seat) => !awayAside(room, seat.id));
  const here = seen.length ? seen : present;
  const spotlit = here.find((seat) => seat.id === room.panel?.spotlight);
  if (spotlit) return { seat: spotlit, source: "camera" };
  const sharing = here.find((seat) => shows(seat, "screen"));
  if (sharing) return { seat: sharing, source: "screen" };
  const speaking = here.find((seat) => seat.id === room.speaker);
  const doctors = here.filter((seat) => DOCTORS.has(seat.role));
  const seat = (doctors.length === 1 ? doctors[0] : (speaking ?? doctors[0])) ?? speaking ?? here[0];
  return seat ? { seat, source: "camera" } : null;
}

/** Over the large picture. Empty when there is nothing to say. */
export function pictureWords(state: CallState, main: Main, remote: RemoteTrack | null, t: Words): string {
  const { seat } = main;
  const name = seat.display_name;
  if (state.link !== "live" || state.media === "interrupted") return ""; // said about ourselves
  if (!seat.online) return t("patient:live.doctorOffline", { name });
  if (state.room && awayAside(state.room, seat.id)) return t("panelroom:side.tile");
  const level = state.room?.qualities[seat.id]?.level ?? seat.quality;
  if (level === "lost") return t("patient:live.doctorOffline", { name });
  if (level === "poor") return t("patient:live.doctorPoor", { name });
  const showing = shows(seat, main.source);
  return showing && !remote && !state.videoLimited ? t("patient:live.waitPicture", { name }) : "";
}

/** About our own line. Empty when there is nothing to say. */
export function ownWords(state: CallState, t: Words): string {
  if (state.link === "reconnecting") return t("patient:live.reconnecting");
  if (state.link === "connecting" || state.media === "connecting") return t("patient:live.entering");
  if (state.media === "interrupted") return t("patient:live.restoring");
  if (state.interruption === "taken") return t("patient:live.phoneCall");
  if (state.videoLimited) return t("patient:live.limited");
  const mine = state.room ? state.room.qualities[state.room.me.seat]?.level : undefined;
  return mine === "poor" || mine === "lost" ? t("patient:live.minePoor") : "";
}
