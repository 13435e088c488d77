/** Elder mode: larger text and targets, 7:1 contrast. Carried by `data-elder` on the html element. */
import { ref, watch } from "vue";

const STORE = "hz.elder";

function stored(): boolean {
  try {
    return localStorage.getItem(STORE) === "1";
  } catch {
    return false;
  }
}

export const elder = ref(stored());

export function startElder(): void {
  watch(
    elder,
    (on) => {
      document.documentElement.toggleAttribute("data-elder", on);
      try {
        localStorage.setItem(STORE, on ? "1" : "0");
      } catch {
        // kept for this page only
      }
    },
    { immediate: true },
  );
}
