/** Audit events in words: what happened, how it came out, who did it. A newer server's code stays a code. */
import { hasWords, t } from "@/shared/i18n";
import { reasonWords } from "@/shared/reasons";

export const eventWords = (code: string): string => (hasWords(`events:${code}`) ? t(`events:${code}`) : code);
export const outcomeWords = (outcome: string): string => (outcome === "ok" ? t("console:outcome.ok") : reasonWords(outcome));
export const actorWords = (who: string): string => (who === "system" ? t("console:systemActor") : who);
