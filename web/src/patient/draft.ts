/** The text on the desk and what was decided so far; kept in memory until it is signed. */
import { reactive } from "vue";
import type { Presentation, Purpose } from "@/shared/protocol";
import type { ReadingTracker } from "./reading";

export const draft = reactive({
  text: null as Presentation | null,
  decisions: {} as Partial<Record<Purpose, boolean>>,
  /** Which question is on the screen. */
  at: 0,
  /** The browser's own voice, or ours, was used. */
  readAloud: false,
});

/** A text just fetched. What was decided stays only when it is the very same text. */
export function lay(text: Presentation): boolean {
  const same = draft.text?.shown_sha256 === text.shown_sha256;
  if (!same) Object.assign(draft, { decisions: {}, at: 0, readAloud: false });
  draft.text = text;
  return same;
}

export const undecided = (): Purpose[] =>
  (draft.text?.questions ?? []).map((question) => question.purpose).filter((purpose) => draft.decisions[purpose] === undefined);

let tracker: ReadingTracker | null = null;
export const trackedBy = (made: ReadingTracker): void => void (tracker = made);
export const readingOf = (): ReadingTracker | null => tracker;
