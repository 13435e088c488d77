/** Reading aloud by the browser's own voices, one section after another. */
import { ref } from "vue";

const synth: SpeechSynthesis | undefined = typeof speechSynthesis === "undefined" ? undefined : speechSynthesis;
const MAX_PIECE = 160; // some engines fall silent on long texts

export const canSpeak = synth !== undefined && typeof SpeechSynthesisUtterance !== "undefined";
/** The key of the section being read, or null. */
export const speaking = ref<string | null>(null);
let turn = 0;

/** Sentences grouped into pieces an engine can take. */
export function pieces(text: string): string[] {
  const sentences = text.match(/[^。！？；.!?;\n]+[。！？；.!?;\n]*/g) ?? [];
  const result: string[] = [];
  for (const sentence of sentences.map((s) => s.trim()).filter(Boolean)) {
    const last = result.at(-1);
    if (last !== undefined && last.length + sentence.length < MAX_PIECE) result[result.length - 1] = `${last} ${sentence}`;
    else result.push(sentence);
  }
  return result;
}

export function speak(parts: readonly { key: string; text: string }[], locale: string): void {
  if (!synth) return;
  stopSpeaking();
  const mine = ++turn;
  const queue = parts.flatMap(({ key, text }) => pieces(text).map((piece) => ({ key, piece })));
  const next = (): void => {
    if (mine !== turn) return;
    const item = queue.shift();
    if (!item) {
      speaking.value = null;
      return;
    }
    speaking.value = item.key;
    const utterance = new SpeechSynthesisUtterance(item.piece);
    utterance.lang = { zh: "zh-CN", en: "en-US" }[locale] ?? locale;
    utterance.rate = 0.95;
    utterance.onend = next;
    utterance.onerror = () => {
      if (mine === turn) speaking.value = null;
    };
    synth.speak(utterance);
  };
  next();
}

export function stopSpeaking(): void {
  turn += 1;
  speaking.value = null;
  synth?.cancel();
}
