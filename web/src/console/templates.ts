/** Shapes of the wording routes and the words for what a draft lacks. */
import { hasWords, t } from "@/shared/i18n";
import type { Comprehension, Purpose } from "@/shared/protocol";

export interface SectionPart { key: string; title: string; body: string; statements: string[]; check: Comprehension | null }
export interface QuestionPart { purpose: Purpose; question: string; if_refused: string; blocks_care: boolean }
export interface TextView { title: string; sections: SectionPart[]; questions: QuestionPart[]; legal_basis: string[] }
export interface PartView { kind: string; key: string; sign: "same" | "added" | "removed"; changed: boolean; lines: { sign: "same" | "added" | "removed"; text: string }[] }
export interface VersionRow { id: string; version: number; sha256: string; published_at: string; published_by: string }
export interface DraftRow {
  id: string; key: string; locale: string; title: string; state: string; major: boolean; sha256: string; authors: string[]; mine: boolean;
  reviews: { who: string; at: string }[]; reviewed_by_me: boolean; changed_at: string;
}
export interface TextRow { key: string; locale: string; title: string; versions: VersionRow[]; drafts: DraftRow[] }
export interface TextList { items: TextRow[]; locales: string[]; required: Record<string, string[]>; purposes: Record<string, Purpose[]> }
export interface TemplateView extends VersionRow { key: string; locale: string; text: TextView; preview: TextView; changed: PartView[] }
export interface DraftView { draft: DraftRow; text: TextView; preview: TextView; lacking: string[]; changed: PartView[] }
export interface Choices { locales: string[]; purposes: Purpose[]; ethics_id: string; abroad: string; choosable: Purpose[] }

/** "statement:fee" -> "Missing statement: cost". An unknown code is shown as it is. */
export function faultWords(fault: string): string {
  const [what = "", which = ""] = fault.split(":");
  const named = hasWords(`templates:tag.${which}`) ? t(`templates:tag.${which}`) : hasWords(`shared:about.${which}`) ? t(`shared:about.${which}`) : which;
  return hasWords(`templates:fault.${what}`) ? t(`templates:fault.${what}`, { which: named }) : fault;
}

export function languageName(locale: string): string {
  return new Intl.DisplayNames([locale], { type: "language", fallback: "code" }).of(locale) ?? locale;
}

export function partName(part: PartView): string {
  if (part.kind === "section") return hasWords(`templates:tag.${part.key}`) ? t(`templates:tag.${part.key}`) : part.key;
  if (part.kind === "question") return t("templates:diff.question", { what: t(`shared:about.${part.key}`) });
  return t(`templates:diff.${part.kind}`);
}

/** A copy that may be written in. */
export function copyOf(text: TextView): TextView {
  return JSON.parse(JSON.stringify(text)) as TextView;
}
