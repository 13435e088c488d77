/** Elder mode says on every screen what to do: in writing, and aloud where the server has a voice. */
import { computed, reactive, watch } from "vue";
import { api } from "@/shared/api";
import { inApp } from "@/rtc/in-app";
import { elder } from "@/shared/elder";
import { useWords } from "@/shared/i18n";
import type { Locale } from "@/shared/protocol";
import { aloud, say, silence } from "./aloud";
import { journey } from "./journey";

type Prompts = Record<string, { text: string; clip: string | null }>;
const KEY = "prompt";
const tables = reactive<Partial<Record<Locale, Prompts>>>({});
const { locale } = useWords();

const app = inApp();
/** In an in-app browser the first screen asks for another browser, not for a button. */
const asks = computed(() => (app && journey.screen === "open" ? "in_app" : journey.screen));
export const prompt = computed(() => (elder.value ? (tables[locale.value]?.[asks.value] ?? null) : null));
export const prompting = computed(() => aloud.key === KEY && aloud.playing);

export function sayPrompt(): void {
  const clip = prompt.value?.clip;
  if (clip) say([{ key: KEY, url: `/api/prompts/${clip}` }]);
}

export const stopPrompt = silence;

async function load(wanted: Locale): Promise<void> {
  try {
    tables[wanted] ??= await api.get<Prompts>("/api/prompts", { locale: wanted });
  } catch {
    // the screens say it in writing too
  }
}

export function startPrompts(): void {
  watch([elder, locale], ([on]) => {
    if (on) void load(locale.value);
    else if (aloud.key === KEY) silence();
  }, { immediate: true });
  watch(() => prompt.value?.clip, (clip) => {
    if (aloud.key === KEY) silence();
    if (clip && aloud.key === null) sayPrompt();
  });
}
