/** Taking back what one agreed to: asked once more, sent, and the page shows what stands now. */
import { ref, type Ref } from "vue";
import { api, codeOf } from "@/shared/api";
import type { Purpose, SeatOverview } from "@/shared/protocol";
import { journey } from "../journey";

export interface Withdraw { asking: Ref<Purpose | null>; busy: Ref<boolean>; withdraw: () => Promise<void> }

export function useWithdraw(then: () => Promise<void> | void): Withdraw {
  const asking = ref<Purpose | null>(null);
  const busy = ref(false);

  async function withdraw(): Promise<void> {
    if (!asking.value) return;
    busy.value = true;
    try {
      journey.overview = await api.post<SeatOverview>("/api/seat/consent/withdraw", { purposes: [asking.value] });
    } catch (error) {
      journey.code = codeOf(error);
      if (journey.code === "operation.repeated" || journey.code === "consent.nothing_to_withdraw") {
        journey.code = "";
        await journey.refresh();
      }
    }
    busy.value = false;
    asking.value = null;
    await then();
  }

  return { asking, busy, withdraw };
}
