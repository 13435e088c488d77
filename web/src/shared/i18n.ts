/** Words of both pages. Components call `useWords()`; switching the language re-renders in place. */
import i18next from "i18next";
import { computed, readonly, ref, type ComputedRef, type Ref } from "vue";
import type { Locale } from "./protocol";

export type Words = (key: string, params?: Record<string, unknown>) => string;

const STORE = "hz.locale";
const current = ref<Locale>("zh");
const instance = i18next.createInstance();

function stored(): Locale {
  try {
    return localStorage.getItem(STORE) === "en" ? "en" : "zh";
  } catch {
    return "zh"; // storage may be closed (private mode, policy)
  }
}

/** Start once per page with its string tables, e.g. `{zh: {shared, patient}, en: {...}}`. */
export function startI18n(tables: Record<Locale, Record<string, object>>): void {
  current.value = stored();
  void instance.init({
    lng: current.value,
    fallbackLng: "zh",
    ns: Object.keys(tables.zh),
    defaultNS: "shared",
    nsSeparator: ":",
    keySeparator: ".",
    resources: tables as never,
    interpolation: { escapeValue: false }, // Vue escapes
    initAsync: false,
    showSupportNotice: false,
  } as never);
  applyLanguage();
}

function applyLanguage(): void {
  document.documentElement.lang = current.value === "zh" ? "zh-CN" : "en";
}

export function setLocale(locale: Locale): void {
  current.value = locale;
  void instance.changeLanguage(locale);
  applyLanguage();
  try {
    localStorage.setItem(STORE, locale);
  } catch {
    // kept for this page only
  }
}

/** `t("patient:open.go")`; without a prefix the key is looked up in `shared`. */
export const t: Words = (key, params = {}) => instance.t(key, { ...params, lng: current.value }) as string;

export function hasWords(key: string): boolean {
  return instance.exists(key, { lng: current.value });
}

export function useWords(): { t: Words; locale: Readonly<Ref<Locale>>; english: ComputedRef<boolean> } {
  return { t, locale: readonly(current) as Readonly<Ref<Locale>>, english: computed(() => current.value === "en") };
}
