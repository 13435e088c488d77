/** On a phone a row is a card: each cell tells its column by the head's visible words, put there by `v-labels` on the table. */
import type { Directive } from "vue";

function label(table: HTMLElement): void {
  const heads = [...table.querySelectorAll("thead th, thead td")].map((cell) => (cell.querySelector(".hz-hidden") ? "" : (cell.textContent?.trim() ?? "")));
  for (const row of table.querySelectorAll("tbody tr"))
    [...row.children].forEach((cell, at) => {
      const words = heads[at] ?? "";
      if (cell.getAttribute("data-label") !== words) cell.setAttribute("data-label", words);
    });
}

export const vLabels: Directive<HTMLElement> = { mounted: label, updated: label };
