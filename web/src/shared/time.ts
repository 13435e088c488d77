/** Times as people read them: in the institution's zone, tabular, by language. */
import type { Locale } from "./protocol";

let zone = "Asia/Shanghai";

export function setZone(name: string | null | undefined): void {
  if (!name) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name;
  } catch {
    // unknown zone name: keep the former
  }
}

export function zoneName(): string {
  return zone;
}

function format(iso: string, locale: Locale, options: Intl.DateTimeFormatOptions): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return new Intl.DateTimeFormat(locale === "zh" ? "zh-CN" : "en-GB", { ...options, timeZone: zone, hourCycle: "h23" }).format(date);
}

export const clockTime = (iso: string, locale: Locale): string => format(iso, locale, { hour: "2-digit", minute: "2-digit" });

export const dayTime = (iso: string, locale: Locale): string =>
  format(iso, locale, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

export const day = (iso: string, locale: Locale): string => format(iso, locale, { year: "numeric", month: "short", day: "numeric" });

export const weekdayTime = (iso: string, locale: Locale): string =>
  format(iso, locale, { month: "short", day: "numeric", weekday: "short", hour: "2-digit", minute: "2-digit" });

export const weekday = (iso: string, locale: Locale): string => format(iso, locale, { month: "short", day: "numeric", weekday: "short" });

/** A day and a time as typed, meant in the institution's zone, as an ISO moment. */
export function zoned(date: string, time: string): string {
  const guess = Date.parse(`${date}T${time}:00Z`);
  const shown = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(guess);
  return new Date(2 * guess - Date.parse(`${shown.replace(" ", "T")}Z`)).toISOString();
}

/** 3725 s → "1:02:05"; 65 s → "1:05". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const tail = String(s).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

export function money(cents: number, locale: Locale): string {
  return new Intl.NumberFormat(locale === "zh" ? "zh-CN" : "en-GB", { style: "currency", currency: "CNY" }).format(cents / 100);
}
