import { describe, expect, it } from "vitest";
import type { PartyRow } from "../party-types";
import { choices, everything, matching } from "./party-filter";

function row(changes: Partial<PartyRow> = {}): PartyRow {
  return {
    id: "1", name: "青溪县人民医院", name_en: "Qingxi County Hospital", short_name: "青溪", own: false, entered: true, we_may_ask: false, may_ask_us: false,
    tier: "county", region: "330127", province: { zh: "浙江", en: "Zhejiang" }, departments: [{ code: "03", label: { zh: "内科", en: "Internal medicine" } }],
    accepts: true, contact_name: "孟联诊", contact_phone: "1", note: "", changed_at: null, ...changes,
  };
}

describe("directory filter", () => {
  const rows = [row(), row({ id: "2", name: "江原省立医院", name_en: "Jiangyuan", short_name: "省立", tier: "province", region: "320000", accepts: false, we_may_ask: true }), row({ id: "3", name: "未登记", name_en: "", short_name: "", tier: null, region: "", departments: [], accepts: false, entered: false })];
  const ids = (changes: Partial<ReturnType<typeof everything>>): string[] => matching(rows, { ...everything(), ...changes }).map((one) => one.id);

  it("shows everything without a filter", () => expect(ids({})).toEqual(["1", "2", "3"]));
  it("finds every word in any field and language", () => {
    expect(ids({ words: " 青溪  内科 " })).toEqual(["1"]);
    expect(ids({ words: "JIANGYUAN" })).toEqual(["2"]);
    expect(ids({ words: "青溪 外科" })).toEqual([]);
  });
  it("filters by tier, province, department and its parts", () => {
    expect(ids({ tier: "province" })).toEqual(["2"]);
    expect(ids({ province: "33" })).toEqual(["1"]);
    expect(ids({ department: "03.04" })).toEqual(["1", "2"]);
    expect(ids({ department: "04" })).toEqual([]);
  });
  it("filters by who takes requests and with whom there is an agreement", () => {
    expect(ids({ accepting: true })).toEqual(["1"]);
    expect(ids({ agreed: true })).toEqual(["2"]);
  });
  it("offers each choice once, in order", () => {
    expect(choices(rows, (one) => one.departments.map((each) => [each.code, each.label.zh] as const))).toEqual([{ code: "03", label: "内科" }]);
  });
});
