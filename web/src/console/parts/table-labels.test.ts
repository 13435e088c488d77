import { describe, expect, it } from "vitest";
import { createApp, defineComponent, h, nextTick, ref, withDirectives } from "vue";
import { vLabels } from "./table-labels";

describe("a row as a card", () => {
  it("each cell carries its column's words, also after the language changed", async () => {
    const head = ref("患者");
    const Table = defineComponent(() => () => withDirectives(h("table", [
      h("thead", [h("tr", [h("th", head.value), h("td")])]), h("tbody", [h("tr", [h("td", "张*明"), h("td", "开")])]),
    ]), [[vLabels]]));
    const root = document.createElement("div");
    createApp(Table).mount(root);
    const labels = (): (string | null)[] => [...root.querySelectorAll("tbody td")].map((cell) => cell.getAttribute("data-label"));
    expect(labels()).toEqual(["患者", ""]);
    head.value = "Patient";
    await nextTick();
    expect(labels()).toEqual(["Patient", ""]);
  });
});
