/** Who is signed in. One per page; every console component reads it. */
import { computed, readonly, shallowRef } from "vue";
import { api, ApiProblem } from "@/shared/api";
import { setZone } from "@/shared/time";
import type { Me, Role } from "./types";

const me = shallowRef<Me | null>(null);

export const session = readonly(me);
export const roles = computed<readonly Role[]>(() => me.value?.staff.roles ?? []);

export function holds(...wanted: Role[]): boolean {
  return wanted.some((role) => roles.value.includes(role));
}

/** Asks the server; null = not signed in. */
export async function refreshSession(): Promise<Me | null> {
  try {
    me.value = await api.get<Me>("/api/me");
    setZone(me.value.institution.time_zone);
  } catch (error) {
    if (!(error instanceof ApiProblem) || (error.status !== 401 && error.status !== 403)) throw error;
    me.value = null;
  }
  return me.value;
}

export async function signIn(login: string, password: string): Promise<void> {
  await api.post("/api/login", { login, password });
  await refreshSession();
}

export async function signOut(): Promise<void> {
  try {
    await api.post("/api/logout");
  } finally {
    me.value = null;
    api.setCsrf(null);
  }
}

/** Password again, good for five minutes: destroying a record asks for it. */
export async function stepUp(password: string): Promise<void> {
  await api.post("/api/step-up", { password });
  await refreshSession();
}
