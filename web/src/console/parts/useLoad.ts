/** One loaded thing of a page: skeleton while loading, a coded refusal, or the value; `reload` keeps the old value shown. */
import { onMounted, shallowRef, type ShallowRef } from "vue";
import { ApiProblem } from "@/shared/api";

export interface Loaded<T> {
  value: ShallowRef<T | null>;
  problem: ShallowRef<ApiProblem | null>;
  loading: ShallowRef<boolean>;
  reload: () => Promise<void>;
}

export function asProblem(error: unknown): ApiProblem {
  return error instanceof ApiProblem ? error : new ApiProblem(0, "internal.error");
}

export function useLoad<T>(fetch: () => Promise<T>): Loaded<T> {
  const value = shallowRef<T | null>(null);
  const problem = shallowRef<ApiProblem | null>(null);
  const loading = shallowRef(true);
  let turn = 0;

  async function reload(): Promise<void> {
    const mine = ++turn;
    loading.value = true;
    try {
      const got = await fetch();
      if (mine !== turn) return; // a later reload overtook this one
      value.value = got;
      problem.value = null;
    } catch (error) {
      if (mine === turn) problem.value = asProblem(error);
    } finally {
      if (mine === turn) loading.value = false;
    }
  }
  onMounted(reload);
  return { value, problem, loading, reload };
}
