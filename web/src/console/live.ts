/** The one live consult of the console. It lives outside the router, so the call survives moving about. */
import { computed, markRaw, shallowRef } from "vue";
import { api } from "@/shared/api";
import { useWords } from "@/shared/i18n";
import { Call } from "@/rtc/call";
import { LocalMedia } from "@/rtc/devices";
import { KeptOff } from "@/rtc/kept-off";

interface Live { consultId: string; call: Call }

const current = shallowRef<Live | null>(null);
export const media = markRaw(new LocalMedia());

/** Not `readonly()`: its deep proxy would stand between the call and its own state. */
export const live = computed(() => current.value);

/** Enters the consult's room; another live consult is left first. */
export function enter(consultId: string, takeover = false): void {
  if (current.value && current.value.consultId !== consultId) leaveLive();
  if (!current.value) {
    const { locale } = useWords();
    const call = markRaw(new Call({
      ticket: async () => (await api.post<{ ticket: string }>(`/api/consults/${consultId}/ticket`)).ticket,
      locale: () => locale.value,
      media,
      publish: { mic: true, camera: true },
      keptOff: new KeptOff(consultId),
    }));
    current.value = { consultId, call };
  }
  current.value.call.start({ takeover });
}

/** Leaves the room (others stay) and forgets the call. */
export function leaveLive(): void {
  const gone = current.value;
  current.value = null;
  if (!gone) return;
  void gone.call.leave();
  gone.call.close();
}

/** Forgets a call that has ended by itself. */
export function forgetLive(): void {
  current.value?.call.close();
  current.value = null;
}
