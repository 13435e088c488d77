import { describe, expect, it } from "vitest";
import type { SeatView } from "@/shared/protocol";
import type { CompanionView, ConsentView } from "../types";
import { correctable, matrixOf, summaryOf } from "./consent-matrix";

const seat = (id: string, role: SeatView["role"], consent: SeatView["consent"], more: Partial<SeatView> = {}): SeatView => ({
  id, role, display_name: id, state: "admitted", online: true, publishing: [], muted: [], hand: false, recorded: false, consent, ...more,
});
const act = (who: string, at: string, more: Partial<ConsentView>): ConsentView => ({
  id: at, seat: who, action: "signed", permitted: [], refused: [], capacity: "self", locale: "zh", recorded_at: at, digest: "", signer: "张晓明", paper: true, ...more,
});

describe("consent at a glance", () => {
  const people = [seat("p", "patient", { treat: "permitted", rec_av: "withdrawn" }), seat("d", "attending", { rec_av: "permitted" }), seat("f", "family", { rec_av: "undecided" })];
  const acts = [
    act("p", "1", { permitted: ["treat", "rec_av"] }), act("d", "2", { permitted: ["rec_av"], capacity: "staff_notice", signer: "" }),
    act("p", "3", { action: "withdrawn", permitted: ["rec_av"], signer: "" }),
  ];

  it("the newest act that speaks of a purpose says when and who", () => {
    const { purposes, rows } = matrixOf({ seats: people, consents: acts, companions: [] });
    expect(purposes).toEqual(["treat", "rec_av"]);
    const [patient, doctor, family] = rows;
    expect(patient?.cells.treat).toEqual({ standing: "permitted", at: "1", by: "张晓明", how: "self" });
    expect(patient?.cells.rec_av).toEqual({ standing: "withdrawn", at: "3", by: "p", how: "withdrew" });
    expect(doctor?.cells.treat).toEqual({ standing: "notAsked", at: null, by: "", how: "" });
    expect(doctor?.cells.rec_av).toMatchObject({ at: "2", by: "d", how: "staff_notice" });
    expect(matrixOf({ seats: people, consents: [], companions: [] }).rows[1]?.cells.rec_av?.standing).toBe("notice");
    expect(family?.cells.rec_av).toEqual({ standing: "undecided", at: null, by: "", how: "" });
  });

  it("shows who helps, and only while they do; not who was removed", () => {
    const helper: CompanionView = { seat: "p", present: true, name: "张小红", relation: "女儿", in_call: true, permits_recording: false, recorded_at: "4" };
    expect(matrixOf({ seats: people, consents: acts, companions: [helper] }).rows[0]?.helper).toEqual(helper);
    expect(matrixOf({ seats: people, consents: acts, companions: [{ ...helper, present: false }] }).rows[0]?.helper).toBeNull();
    expect(matrixOf({ seats: [seat("x", "family", {}, { state: "removed" })], consents: [], companions: [] })).toEqual({ purposes: [], rows: [] });
  });

  it("only what decides now can be marked as entered in error", () => {
    expect(correctable(acts)).toEqual(["3", "1"]); // "1" still decides about care; a notice is nobody's act
    expect(correctable([...acts, act("p", "4", { action: "entered_in_error", permitted: ["rec_av"] })])).toEqual(["1"]);
    expect(correctable([act("p", "1", { permitted: ["treat"] }), act("p", "2", { permitted: ["treat"] })])).toEqual(["2"]);
    expect(correctable([act("p", "1", { action: "witnessed" })])).toEqual([]);
  });

  it("sums a row up: a no weighs more than what is open", () => {
    expect(summaryOf(["permitted", "permitted"])).toEqual({ tone: "good", kind: "all", count: 0 });
    expect(summaryOf(["permitted", "undecided", undefined])).toEqual({ tone: "warn", kind: "some", count: 2 });
    expect(summaryOf(["undecided", "refused", "withdrawn"])).toEqual({ tone: "bad", kind: "no", count: 2 });
  });
});
