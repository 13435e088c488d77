/** One act at a time: busy while it runs, its refusal afterwards, never an unhandled rejection. */
import { shallowRef, type ShallowRef } from "vue";
import { REPEATED, type ApiProblem } from "@/shared/api";
import { asProblem } from "./useLoad";

export interface Act {
  busy: ShallowRef<boolean>;
  problem: ShallowRef<ApiProblem | null>;
  /** True when it went through. A repeated operation counts as success: the first try had arrived. */
  run: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useAct(): Act {
  const busy = shallowRef(false);
  const problem = shallowRef<ApiProblem | null>(null);

  async function run(work: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    problem.value = null;
    try {
      await work();
      return true;
    } catch (error) {
      const refusal = asProblem(error);
      if (refusal.code === REPEATED) return true;
      problem.value = refusal;
      return false;
    } finally {
      busy.value = false;
    }
  }
  return { busy, problem, run };
}
