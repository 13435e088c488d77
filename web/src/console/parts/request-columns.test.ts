import { describe, expect, it } from "vitest";
import type { Party, Proposal, RequestRow } from "../request-types";
import { columnOf, minutesLeft, span } from "./request-columns";

const party = (changes: Partial<Party> = {}): Party => ({ id: "p", institution_id: "i", institution: "x", rank: 1, state: "asked", wished: [], seats: [], proposals: [], answered_at: null, reason: null, ...changes });
const row = (changes: Partial<RequestRow> = {}): RequestRow => ({ state: "sent", parties: [party()], answer_by: null, ...changes }) as RequestRow;
const seat = { invitation: "v", expert: { id: "e", name: "e" }, chair: false, state: "sent" as const, sent_at: "", answered_at: null, refusal_reason: null };
const proposal: Proposal = { id: "q", party_id: "p", kind: "time", state: "open", reason: "r", made_at: "", starts_at: null, ends_at: null, expert: null, stand_in: null, answer_reason: null };

describe("columns of the board", () => {
  it("seen by the house that is asked", () => {
    expect(columnOf(row(), "in")).toBe("assign");
    expect(columnOf(row({ parties: [party({ seats: [seat] })] }), "in")).toBe("answer");
    expect(columnOf(row({ parties: [party({ seats: [{ ...seat, state: "released" }] })] }), "in")).toBe("assign");
    expect(columnOf(row({ parties: [party({ state: "proposed" })] }), "in")).toBe("proposed");
    expect(columnOf(row({ state: "convened", parties: [party({ state: "accepted" })] }), "in")).toBe("taking");
    expect(columnOf(row({ state: "withdrawn", parties: [party({ state: "accepted" })] }), "in")).toBe("over");
    expect(columnOf(row({ parties: [] }), "in")).toBe("over");
  });
  it("seen by the house that asks", () => {
    expect(columnOf(row({ state: "draft" }), "out")).toBe("draft");
    expect(columnOf(row(), "out")).toBe("waiting");
    expect(columnOf(row({ parties: [party({ state: "proposed", proposals: [proposal] })] }), "out")).toBe("decide");
    expect(columnOf(row({ state: "convened" }), "out")).toBe("convened");
    expect(columnOf(row({ state: "expired" }), "out")).toBe("over");
  });
  it("minutes left only while an answer is awaited", () => {
    const now = Date.parse("2026-03-02T09:00:00Z");
    expect(minutesLeft(row({ answer_by: "2026-03-02T09:30:30Z" }), now)).toBe(30);
    expect(minutesLeft(row({ answer_by: "2026-03-02T08:59:00Z" }), now)).toBe(-1);
    expect(minutesLeft(row({ state: "convened", answer_by: "2026-03-02T09:30:00Z" }), now)).toBeNull();
    expect(minutesLeft(row(), now)).toBeNull();
  });
  it("spans in words", () => {
    const words = (key: string, params: Record<string, unknown>): string => `${key.split(".")[1]} ${Object.values(params).join(":")}`;
    expect([5, 95, 1500, -3].map((each) => span(each, words))).toEqual(["minutes 5", "hours 1:35", "days 1:1", "minutes 0"]);
  });
});
