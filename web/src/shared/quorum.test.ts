import { describe, expect, it } from "vitest";
import type { PanelView, SeatView } from "./protocol";
import { missingOf, unshared } from "./quorum";

const seat = (id: string, role: string, online = true, state = "admitted"): SeatView => ({ id, role, online, state, display_name: id.toUpperCase() }) as unknown as SeatView;
const panel = (...missing: string[]): PanelView => ({ quorum: { state: "grace", missing: missing.map((one) => `gate.quorum_${one}`) }, chair: "c" });

describe("who is missing", () => {
  it("is named: who dropped out before who never came", () => {
    const seats = [seat("c", "chair"), seat("e", "expert", false), seat("f", "expert", false, "expected")];
    expect(missingOf(panel("experts"), seats)).toEqual([{ what: "experts", names: ["E"] }]);
    expect(missingOf(panel("experts"), seats.slice(2))).toEqual([{ what: "experts", names: ["F"] }]);
    expect(missingOf(panel("experts"), seats.slice(0, 1))).toEqual([{ what: "experts", names: [] }]);
  });

  it("is named once: a chair who dropped out is an expert too", () => {
    const seats = [seat("c", "chair", false), seat("i", "inviting", false, "left")];
    expect(missingOf(panel("chair", "experts", "inviting"), seats)).toEqual([{ what: "chair", names: ["C"] }, { what: "inviting", names: ["I"] }]);
  });

  it("is nobody where nothing is missing, and without a name where there is none", () => {
    expect(missingOf({ quorum: { state: "held" } }, [seat("c", "chair", false)])).toEqual([]);
    expect(missingOf({ ...panel("chair"), chair: null }, [])).toEqual([{ what: "chair", names: [] }]);
  });

  it("is nobody to wait for once the patient shares no more", () => {
    const patient = (standing: string): SeatView => ({ ...seat("p", "patient"), consent: { share_panel: standing } }) as unknown as SeatView;
    expect(unshared([seat("c", "chair"), patient("withdrawn")])).toBe(true);
    expect(unshared([patient("permitted")])).toBe(false);
    expect(unshared([])).toBe(false);
  });
});
