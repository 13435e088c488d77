/** Plain words for stable codes: the server's list (GET /api/reasons), then our own, then the code itself. */
import { reactive, watch } from "vue";
import { api } from "./api";
import { hasWords, t, useWords } from "./i18n";
import type { Locale } from "./protocol";

const tables = reactive<Record<Locale, Record<string, string>>>({ zh: {}, en: {} });
const loading: Partial<Record<Locale, Promise<void>>> = {};

/** Fetched once per language; failing is harmless, our own words remain. */
export function loadReasons(locale: Locale): Promise<void> {
  loading[locale] ??= api
    .get<Record<string, string>>("/api/reasons", { locale })
    .then((answer) => {
      tables[locale] = answer;
    })
    .catch(() => {
      delete loading[locale];
    });
  return loading[locale];
}

export function startReasons(): void {
  const { locale } = useWords();
  watch(locale, (value) => void loadReasons(value), { immediate: true });
}

/** Words for a code in the language now shown. */
export function reasonWords(code: string): string {
  const { locale } = useWords();
  const own = `reason.${code.replaceAll(".", "_")}`;
  return tables[locale.value][code] ?? (hasWords(own) ? t(own) : t("reason.unknown", { code }));
}
