/** Vue's view of a Call: one shallow ref, replaced at each change. */
import { getCurrentScope, onScopeDispose, shallowRef, type ShallowRef } from "vue";
import type { Call, CallState } from "@/rtc/call";

export function useCall(call: Call): { state: ShallowRef<CallState> } {
  const state = shallowRef(call.state);
  const off = call.subscribe((next) => {
    state.value = next;
  });
  if (getCurrentScope()) onScopeDispose(off);
  return { state };
}
