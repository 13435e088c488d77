/** The text on the desk and what was decided so far; kept in memory until it is signed. */
import { reactive } from "vue";
import type { Presentation, Purpose } from "@/shared/protocol";
import type { ReadingTracker } from "./reading";

const LONGEST_MS = 86_400_000; // what the server takes for a time on this page
const MOST_SWITCHES = 50;
const MOST_ANSWERS = 6;

const blank = () => ({
  text: null as Presentation | null,
  /** A further language of the text, beyond those of the page; null = that of the page. */
  other: null as string | null,
  decisions: {} as Partial<Record<Purpose, boolean>>,
  /** Milliseconds after the text was opened at which each question was decided. */
  decidedAt: {} as Partial<Record<Purpose, number>>,
  /** Options chosen at the comprehension question, first to last. */
  answers: [] as number[],
  switches: [] as { at_ms: number; locale: string }[],
  /** Which question is on the screen. */
  at: 0,
  /** The browser's own voice, or ours, was used. */
  readAloud: false,
});

export const draft = reactive(blank());
let opened = 0;

/** Milliseconds since the text was opened first. */
const since = (): number => Math.min(LONGEST_MS, Math.max(0, Math.round(performance.now() - opened)));

/** A text just fetched. What was decided stays only when it is the very same text. */
export function lay(text: Presentation): boolean {
  const former = draft.text;
  const same = former?.shown_sha256 === text.shown_sha256;
  if (!former) opened = performance.now();
  else if (former.locale !== text.locale) draft.switches = [...draft.switches, { at_ms: since(), locale: text.locale }].slice(-MOST_SWITCHES);
  if (!same) Object.assign(draft, { decisions: {}, decidedAt: {}, answers: [], at: 0, readAloud: false });
  draft.text = text;
  return same;
}

export function decided(purpose: Purpose, yes: boolean): void {
  draft.decisions[purpose] = yes;
  draft.decidedAt[purpose] = since();
}

export function answered(option: number): void {
  draft.answers = [...draft.answers, option].slice(-MOST_ANSWERS);
}

export const undecided = (): Purpose[] =>
  (draft.text?.questions ?? []).map((question) => question.purpose).filter((purpose) => draft.decisions[purpose] === undefined);

/** It is signed. */
export function forget(): void {
  Object.assign(draft, blank());
  tracker = null;
}

let tracker: ReadingTracker | null = null;
export const trackedBy = (made: ReadingTracker): void => void (tracker = made);
export const readingOf = (): ReadingTracker | null => tracker;
