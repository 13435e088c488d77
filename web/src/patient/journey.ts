/** Where a patient or guest stands on their way, decided by what the server knows; one screen at a time. */
import { reactive } from "vue";
import { api, ApiProblem, UNREACHABLE } from "@/shared/api";
import type { Aide, DeviceCheck, Presentation, SeatOverview, Signing } from "@/shared/protocol";
import { setZone } from "@/shared/time";

export type Screen =
  | "loading" | "open" | "factor" | "problem" | "identity" | "devices" | "consent" | "decide" | "sign" | "refused" | "ready" | "helper" | "live" | "written" | "after";

export const STEPS: readonly Screen[] = ["identity", "devices", "consent", "decide", "sign"];
const OVER = new Set(["concluding", "closed", "cancelled", "no_show", "terminated_unsuitable"]);

/** The secret of a link such as /p#AbC..., or null. */
export function secretOf(hash: string): string | null {
  const text = hash.replace(/^#/, "");
  return /^[A-Za-z0-9_-]{16,128}$/.test(text) ? text : null;
}

/**
 * The first thing still to do, from what the server says is done. `early`: days before one reads and signs, without a
 * camera; the devices are looked at when the time has come. `written`: opened to sign for a panel in writing, before it
 * is asked for; such a panel has no room, so that no camera is looked at and nobody is waited for.
 */
export function nextScreen(overview: SeatOverview, early = false, written = false): Screen {
  if (OVER.has(overview.consult.status)) return "after";
  if (!overview.identity_confirmed) return "identity";
  const roomless = written || overview.consult.in_writing === true;
  if (roomless && overview.consent.complete) return "written";
  if (early && overview.consent.complete) return "ready";
  if (!overview.device_checked && !early && !roomless) return "devices";
  if (overview.consent.complete) return "live";
  const { treat, share_panel } = overview.consent.standing;
  const no = (standing: string | undefined): boolean => standing === "refused" || standing === "withdrawn";
  return no(treat) || no(share_panel) || overview.consent.offline_visit ? "refused" : "consent";
}

/** The doctor opened this page to have it signed for a panel in writing (WrittenPanel.vue). */
export const signsInWriting = (search: string = location.search): boolean => new URLSearchParams(search).has("written");

const PHONE = "hz.phone";

function remembered(): string {
  try {
    return localStorage.getItem(PHONE) ?? "";
  } catch {
    return "";
  }
}

function remember(phone: string): void {
  try {
    localStorage.setItem(PHONE, phone);
  } catch {
    // storage may be closed (private mode, policy)
  }
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
  /** The clinic's phone as this browser last saw it: there before the link is opened. */
  knownPhone = remembered();
  private skew = 0; // server's clock minus ours
  private askedFrom: Screen = "identity";

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
        history.replaceState(null, "", location.pathname + location.search); // the secret leaves the address bar and the history
        this.take(answer.seat);
        // "I am the patient" was the button, and the number held: that is the answer to "is this you?"
        const said = factor !== undefined && this.factorAsk === "id_last4" && !answer.seat.identity_confirmed;
        if (said) this.take(await api.post<SeatOverview>("/api/seat/identity", { confirmed: true }));
        this.screen = this.upcoming();
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
        this.screen = this.upcoming();
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

  /** Who helps at this device; stays on the screen. */
  declareHelper(said: { present: boolean } & Partial<Aide>): Promise<void> {
    return this.doing(async () => {
      try {
        this.take(await api.post<SeatOverview>("/api/seat/helper", said));
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        if (error.status === 401) return this.fail("link.none");
        this.code = error.code;
      }
    });
  }

  askHelper(): void {
    this.askedFrom = this.screen;
    this.go("helper");
  }

  helperDone(): void {
    this.go(this.askedFrom);
  }

  /** Milliseconds until the consult's time, by the server's clock. */
  untilStart(): number {
    const starts = Date.parse(this.overview?.consult.starts_at ?? "");
    return Number.isNaN(starts) ? 0 : starts - (Date.now() + this.skew);
  }

  /** Before the room opens (HZ-01, told by the server) the link is for reading and signing; nobody waits yet. */
  early(): boolean {
    const opens = Date.parse(this.overview?.consult.opens_at ?? "");
    return this.overview?.consult.status === "scheduled" && !Number.isNaN(opens) && opens > Date.now() + this.skew;
  }

  private roomless(): boolean {
    return signsInWriting() || this.overview?.consult.in_writing === true;
  }

  private upcoming(): Screen {
    return this.overview ? nextScreen(this.overview, this.early(), signsInWriting()) : "problem";
  }

  go(screen: Screen): void {
    this.code = "";
    this.screen = screen;
  }

  /** Something that stood was taken back: the screen that follows from what stands now. */
  tookBack(): void {
    if (this.code === "") this.go(this.upcoming());
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
    const served = Date.parse(seat.server_time);
    if (!Number.isNaN(served)) this.skew = served - Date.now();
    this.knownPhone = seat.institution.phone;
    remember(seat.institution.phone);
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
    const next = nextScreen(overview, this.early(), signsInWriting());
    if (next === "written") return next;
    const following = STEPS[STEPS.indexOf(this.screen) + 1];
    if (this.screen === "identity" && STEPS.indexOf(next) > 1 && !this.early() && !this.roomless()) return "devices";
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
