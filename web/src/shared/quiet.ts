/** "Others more quietly while the interpreter speaks": on unless this person turned it off; nothing where the browser cannot. */
import { ref, watch } from "vue";

const STORE = "hz.quiet";

function stored(): boolean {
  try {
    return localStorage.getItem(STORE) !== "0";
  } catch {
    return true;
  }
}

export const quieter = ref(stored());
watch(quieter, (on) => {
  try {
    localStorage.setItem(STORE, on ? "1" : "0");
  } catch {
    // kept for this page only
  }
});

/** iOS keeps the volume of an element at 1 whatever a page says; some browsers do not tell how loud a voice is. */
export function canQuiet(): boolean {
  const probe = new Audio();
  probe.volume = 0.5;
  return probe.volume === 0.5 && typeof RTCRtpReceiver !== "undefined" && "getSynchronizationSources" in RTCRtpReceiver.prototype;
}
