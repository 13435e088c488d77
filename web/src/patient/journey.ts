/** Where a patient or guest stands on their way, decided by what the server knows; one screen at a time. */
import { reactive } from "vue";
import { api, ApiProblem, UNREACHABLE } from "@/shared/api";
import type { DeviceCheck, Presentation, SeatOverview, Signing } from "@/shared/protocol";
import { setZone } from "@/shared/time";

export type Screen =
  | "loading" | "open" | "factor" | "problem" | "identity" | "devices" | "consent" | "sign" | "refused" | "live" | "after";

export const STEPS: readonly Screen[] = ["identity", "devices", "consent", "sign"];
const OVER = new Set(["concluding", "closed", "cancelled", "no_show", "terminated_unsuitable"]);

/** The secret of a link such as /p#AbC..., or null. */
export function secretOf(hash: string): string | null {
  const text = hash.replace(/^#/, "");
  return /^[A-Za-z0-9_-]{16,128}$/.test(text) ? text : null;
}

/** The first thing still to do, from what the server says is done. */
export function nextScreen(overview: SeatOverview): Screen {
  if (OVER.has(overview.consult.status)) return "after";
  if (!overview.identity_confirmed) return "identity";
  if (!overview.device_checked) return "devices";
  if (overview.consent.complete) return "live";
  const { treat, share_panel } = overview.consent.standing;
  const no = (standing: string | undefined): boolean => standing === "refused" || standing === "withdrawn";
  return no(treat) || no(share_panel) || overview.consent.offline_visit ? "refused" : "consent";
}

class Journey {
  screen: Screen = "loading";
  overview: SeatOverview | null = null;
  problem = ""; // code, on the "problem" screen
  factorAsk: "id_last4" | "code" = "id_last4";
  /** Kept in memory only, for "copy the link" and for the second factor. */
  secret: string | null = null;
  busy = false;
  code = ""; // of the last refusal on the present screen
  /** What was decided on the consent screen, until it is signed. */
  draft: Omit<Signing, "typed_name" | "signature" | "relation" | "child_assents"> | null = null;
  /** The person wishes to decide anew what they refused: only their own tap sets it (条例 art. 22). */
  again = false;
  signer: Presentation["signer"] | null = null;

  async begin(): Promise<void> {
    this.secret = secretOf(location.hash);
    if (this.secret) this.screen = "open";
    else await this.load();
    window.addEventListener("hashchange", () => {
      const secret = secretOf(location.hash);
      if (!secret) return;
      this.secret = secret;
      this.screen = "open";
    });
  }

  get link(): string {
    return this.secret ? `${location.origin}${location.pathname}#${this.secret}` : location.href;
  }

  /** From a tap only: previews and scanners never get this far. */
  redeem(factor?: string): Promise<void> {
    return this.doing(async () => {
      try {
        const body = { secret: this.secret, ...(factor ? { second_factor: factor } : {}) };
        const answer = await api.post<{ csrf: string; seat: SeatOverview }>("/api/links/redeem", body);
        history.replaceState(null, "", location.pathname); // the secret leaves the address bar and the history
        this.take(answer.seat);
        this.screen = nextScreen(answer.seat);
      } catch (error) {
        this.redeemFailed(error, factor !== undefined);
      }
    });
  }

  private redeemFailed(error: unknown, withFactor: boolean): void {
    if (!(error instanceof ApiProblem)) throw error;
    if (error.status === 401 && error.code === "link.second_factor") {
      this.factorAsk = error.body.ask === "code" ? "code" : "id_last4";
      if (withFactor) this.code = "link.second_factor_wrong";
      this.screen = "factor";
    } else if (withFactor && error.status < 500 && error.code !== UNREACHABLE) {
      this.code = error.code;
    } else this.fail(error.code);
  }

  load(): Promise<void> {
    return this.doing(async () => {
      try {
        const seat = await api.get<SeatOverview>("/api/seat");
        this.take(seat);
        this.screen = nextScreen(seat);
      } catch (error) {
        const status = error instanceof ApiProblem ? error.status : 0;
        this.fail(status === 401 || status === 403 ? "link.none" : (error as ApiProblem).code);
      }
    });
  }

  /** Re-read without leaving the screen, e.g. to see whether the consult is over. */
  async refresh(): Promise<SeatOverview | null> {
    try {
      const seat = await api.get<SeatOverview>("/api/seat");
      this.take(seat);
      return seat;
    } catch {
      return null;
    }
  }

  confirmIdentity(): Promise<void> {
    return this.step(() => api.post<SeatOverview>("/api/seat/identity", { confirmed: true }));
  }

  deviceCheck(check: DeviceCheck): Promise<void> {
    return this.step(() => api.post<SeatOverview>("/api/seat/device-check", check));
  }

  sign(signing: Signing): Promise<void> {
    return this.step(async () => {
      const seat = await api.post<SeatOverview>("/api/seat/consent", signing);
      this.again = false;
      return seat;
    });
  }

  go(screen: Screen): void {
    this.code = "";
    this.screen = screen;
  }

  decideAnew(): void {
    this.again = true;
    this.draft = null;
    this.go("consent");
  }

  back(): void {
    const at = STEPS.indexOf(this.screen);
    const former = STEPS[at - 1];
    if (former) this.go(former);
  }

  private take(seat: SeatOverview): void {
    this.overview = seat;
    api.setCsrf(seat.csrf);
    setZone(seat.institution.time_zone);
  }

  private fail(code: string): void {
    this.problem = code;
    this.screen = "problem";
  }

  private step(act: () => Promise<SeatOverview>): Promise<void> {
    return this.doing(async () => {
      try {
        this.take(await act());
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        if (error.status === 401) return this.fail("link.none");
        if (error.code !== "operation.repeated") {
          this.code = error.code;
          return;
        }
        await this.refresh(); // it was done the first time
      }
      if (this.overview) this.screen = this.afterStep(this.overview);
    });
  }

  /** Going back and forth: the next screen is never before the one just done. */
  private afterStep(overview: SeatOverview): Screen {
    const next = nextScreen(overview);
    const following = STEPS[STEPS.indexOf(this.screen) + 1];
    if (this.screen === "identity" && STEPS.indexOf(next) > 1) return "devices";
    if (next === "live" && this.screen === "devices") return "live";
    return next === this.screen && following ? following : next;
  }

  private async doing(act: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.code = "";
    try {
      await act();
    } finally {
      this.busy = false;
    }
  }
}

export const journey = reactive(new Journey()) as unknown as Journey;
